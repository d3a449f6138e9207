-- Publishing changes of leads and keeping their scores. All but the last two run as waybill_scorer, across organisations: every join is by org_id too.

-- name: touched_organisations(after, count)
-- The next organisations that have notes, in order of their ids; found by jumping along the index, however many notes each has.
WITH RECURSIVE o AS (
    (SELECT org_id FROM ingest.lead_touches WHERE org_id > :after ORDER BY org_id LIMIT 1)
    UNION ALL
    SELECT (SELECT t.org_id FROM ingest.lead_touches t WHERE t.org_id > o.org_id ORDER BY t.org_id LIMIT 1) FROM o WHERE o.org_id IS NOT NULL)
SELECT org_id FROM o WHERE org_id IS NOT NULL LIMIT :count;

-- name: take_touches(org_ids, each)
-- The oldest notes of each organisation, but for those that another process has in hand. What they are about is committed, so statements after this one see it.
WITH taken AS (
    SELECT t.seq FROM unnest(:org_ids::text[]) o (org_id)
    CROSS JOIN LATERAL (SELECT seq FROM ingest.lead_touches t WHERE t.org_id = o.org_id ORDER BY seq LIMIT :each FOR UPDATE SKIP LOCKED) t)
DELETE FROM ingest.lead_touches t USING taken WHERE t.seq = taken.seq RETURNING t.org_id, t.through, t.ids;

-- name: share_leads(org_ids)!
-- For the rest of the transaction none of these organisations' leads is deleted or erased: who does has the organisation's leads alone (queries.sql of
-- ingest, enter_alone). In one order for all.
SELECT pg_advisory_xact_lock_shared(hashtextextended(o.org_id || '/lead', 0)) FROM unnest(:org_ids::text[]) o (org_id);

-- name: models(org_ids)
SELECT org_id, model_version, scoring FROM tenancy.organisations WHERE org_id = ANY (:org_ids::text[]);

-- name: raise_versions(lead_orgs, lead_ids, conversation_orgs, conversation_ids, model_orgs, model_versions)
-- Of the leads that are there: a version above all that any lead ever had, under the row's lock, so that of two publishings of a lead the later one has the
-- higher version, and reads its facts after the earlier one has ended. (Beside the lock: what is inserted was numbered before, and nobody has published it.)
WITH touched AS (
    SELECT t.org_id, t.id FROM unnest(:lead_orgs::text[], :lead_ids::text[]) t (org_id, id)
    UNION
    SELECT c.org_id, c.lead_id FROM unnest(:conversation_orgs::text[], :conversation_ids::text[]) t (org_id, id)
    JOIN ingest.conversations_current c ON c.org_id = t.org_id AND c.id = t.id WHERE c.lead_id IS NOT NULL
), numbered AS (
    SELECT t.org_id, t.id, nextval('ingest.facts_versions') AS version FROM touched t JOIN ingest.leads_current l ON l.org_id = t.org_id AND l.id = t.id)
INSERT INTO ingest.lead_facts AS f (org_id, id, first_version, facts_version, model_version)
SELECT n.org_id, n.id, n.version, n.version, m.version
FROM numbered n JOIN unnest(:model_orgs::text[], :model_versions::bigint[]) m (org_id, version) ON m.org_id = n.org_id ORDER BY n.org_id, n.id
ON CONFLICT (org_id, id) DO UPDATE SET facts_version = nextval('ingest.facts_versions'), model_version = excluded.model_version
RETURNING org_id, id, facts_version;

-- name: facts(org_ids, ids, versions)
-- All that rules may ask about (shared/scoring/facts.py), of each lead. Deleted messages count, as everywhere.
SELECT w.org_id, w.id, w.version AS facts_version, l.email, l.phone, l.company, l.title, l.source, l.tags, l.status, l.last_intent, l.custom_properties,
       c.conversations AS conversation_count, c.visitors AS visitor_message_count, c.agents AS agent_message_count, q.score AS qualification_score,
       c.booked AS meeting_booked, c.triggered AS qualification_triggered
FROM unnest(:org_ids::text[], :ids::text[], :versions::bigint[]) w (org_id, id, version)
JOIN ingest.leads_current l ON l.org_id = w.org_id AND l.id = w.id
CROSS JOIN LATERAL (
    SELECT count(*) AS conversations, coalesce(bool_or(c.meeting_booked), false) AS booked, coalesce(bool_or(c.qualification_triggered), false) AS triggered,
           coalesce(sum(m.visitors), 0)::bigint AS visitors, coalesce(sum(m.agents), 0)::bigint AS agents
    FROM ingest.conversations_current c
    CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE m.sender_kind = 'visitor') AS visitors, count(*) FILTER (WHERE m.sender_kind = 'agent') AS agents
        FROM ingest.messages_current m WHERE m.org_id = c.org_id AND m.conversation_id = c.id) m
    WHERE c.org_id = l.org_id AND c.lead_id = l.id) c
LEFT JOIN LATERAL (
    SELECT e.data::json ->> 'score' AS score
    FROM ingest.conversations_current c JOIN ingest.events_current e ON e.org_id = c.org_id AND e.conversation_id = c.id
    WHERE c.org_id = l.org_id AND c.lead_id = l.id AND e.kind = 'qualification_check' AND e.data::json ->> 'score' IS NOT NULL
    ORDER BY e.at DESC, e.id DESC LIMIT 1) q ON true;

-- name: keep_scores(org_ids, ids, versions, scores, reasons, models)$
-- The newest score of each lead that is there holds, by the version of its facts. Another score is another version of the row, for exports to tell apart; the
-- same score by other facts changes the row in place. Returns how many were news.
WITH heard AS (
    SELECT DISTINCT ON (h.org_id, h.id) h.* FROM unnest(:org_ids::text[], :ids::text[], :versions::bigint[], :scores::smallint[], :reasons::text[], :models::bigint[])
        h (org_id, id, version, score, reasons, model_version)
    JOIN ingest.lead_facts f ON f.org_id = h.org_id AND f.id = h.id AND h.version >= f.first_version
    ORDER BY h.org_id, h.id, h.version DESC
), put AS (
    INSERT INTO ingest.lead_scores_current AS s (org_id, id, version, score, reasons, model_version, scored_at)
    SELECT org_id, id, version, score, reasons, model_version, now() FROM heard ORDER BY org_id, id
    ON CONFLICT (org_id, id) DO UPDATE SET version = excluded.version, score = excluded.score, reasons = excluded.reasons,
        model_version = excluded.model_version, scored_at = excluded.scored_at,
        added = CASE WHEN s.score = excluded.score THEN s.added ELSE pg_current_xact_id() END
    WHERE s.version IS NULL OR excluded.version > s.version
    RETURNING old.org_id, old.id, old.version, old.added, old.score, old.reasons, old.model_version, old.scored_at, new.score AS put_score
), kept AS (
    INSERT INTO ingest.lead_scores_ended (org_id, id, version, added, ended, score, reasons, model_version, scored_at)
    SELECT org_id, id, version, added, pg_current_xact_id(), score, reasons, model_version, scored_at
    FROM put WHERE id IS NOT NULL AND score <> put_score AND added <> pg_current_xact_id())
SELECT count(*) FROM put;

-- name: to_rescore(count)
-- Organisations whose rules are others than those by which all of its leads have been published; any of them, so that none is always the last.
SELECT o.org_id, o.model_version FROM tenancy.organisations o LEFT JOIN ingest.rescorings r ON r.org_id = o.org_id
WHERE r.model_version IS DISTINCT FROM o.model_version ORDER BY random() LIMIT :count;

-- name: stale_leads(org_id, model_version, after_model, after_id, count)
-- The next leads that were published by an older model, but for those that another process has in hand.
SELECT id, model_version FROM ingest.lead_facts
WHERE org_id = :org_id AND model_version < :model_version AND (model_version, id) > (:after_model, :after_id::text)
ORDER BY model_version, id LIMIT :count FOR UPDATE SKIP LOCKED;

-- name: have_leads_alone(org_id)!
-- Waits until nobody publishes or keeps anything of this organisation's leads: who read the rules of before has committed then.
SELECT pg_advisory_xact_lock(hashtextextended(:org_id || '/lead', 0));

-- name: end_rescoring(org_id)$
-- Note that all leads have been published by the rules of now; nothing is noted where one hasn't.
INSERT INTO ingest.rescorings AS r (org_id, model_version)
SELECT o.org_id, o.model_version FROM tenancy.organisations o WHERE o.org_id = :org_id AND NOT EXISTS (
    SELECT FROM ingest.lead_facts f JOIN ingest.leads_current l ON l.org_id = f.org_id AND l.id = f.id
    WHERE f.org_id = o.org_id AND f.model_version < o.model_version)
ON CONFLICT (org_id) DO UPDATE SET model_version = excluded.model_version RETURNING true;

-- name: is_kept(org_id, id, version)$
-- Whether this score, or a newer one, has come; also where the lead is gone.
SELECT NOT EXISTS (SELECT FROM ingest.lead_facts WHERE org_id = :org_id AND id = :id)
    OR EXISTS (SELECT FROM ingest.lead_scores_current WHERE org_id = :org_id AND id = :id AND version >= :version);

-- name: oldest_touch()$
-- Seconds for which the oldest note has waited.
SELECT coalesce(extract(epoch FROM clock_timestamp() - min(touched_at)), 0)::float FROM (SELECT touched_at FROM ingest.lead_touches ORDER BY seq LIMIT 1) t;

-- name: progress(org_id)^
-- As the organisation. How many of its leads have a score by the rules of now.
SELECT o.model_version, (SELECT count(*) FROM ingest.leads_current WHERE org_id = :org_id) AS leads,
       (SELECT count(*) FROM ingest.lead_scores_current WHERE org_id = :org_id AND model_version = o.model_version) AS rescored
FROM tenancy.organisations o WHERE o.org_id = :org_id;

-- name: score_of(org_id, id)^
-- As the organisation. A lead that has none yet has no columns of it.
SELECT l.id, s.score, s.reasons, s.model_version, s.version AS facts_version, s.scored_at
FROM ingest.leads_current l LEFT JOIN ingest.lead_scores_current s ON s.org_id = l.org_id AND s.id = l.id WHERE l.org_id = :org_id AND l.id = :id;
