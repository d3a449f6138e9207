-- What ingest asks of PostgreSQL. {table}, {staging}, {columns} and {type} are filled in for each record type by statements.py from
-- core/rows.py; to run one in psql, write the type's own (messages, staging_messages, conversation_id, created_at, …). {touched} and
-- {touched_by_end} are note_touches and note_touches_of_ended, filled in from core/touches.py, for the types that a lead's score follows from; else nothing.
-- {emptied} and {conversation} come from core/contents.py, for the types of its.

-- name: enter_shared
-- For the rest of the transaction: whose rows it sees, and that it may write records of a type. Writers that only add and replace share a type …
SELECT set_config('app.org_id', $1, true), pg_advisory_xact_lock_shared(hashtextextended($1 || '/{type}', 0));

-- name: enter_alone
-- … one that must know what is held before it writes (a delete, an erasure, an id twice in its batch) has the organisation's type for itself.
-- Each statement after this one takes its snapshot anew (READ COMMITTED), so it sees what the writers before it left.
SELECT set_config('app.org_id', $1, true), pg_advisory_xact_lock(hashtextextended($1 || '/{type}', 0));

-- name: name_organisation!
SELECT set_config('app.org_id', $1, true);

-- name: is_organisation$
SELECT EXISTS (SELECT FROM tenancy.organisations WHERE org_id = $1);

-- name: claim_positions
-- How far each partition had been written before this transaction (null: never), and that it now is as far as `next`. Waits for a transaction
-- that has claimed one of them and is not through yet.
INSERT INTO ingest.positions AS p (topic_id, partition, next_offset)
SELECT $1::uuid, t.partition, t.next FROM unnest($2::integer[], $3::bigint[]) t (partition, next) ORDER BY t.partition
ON CONFLICT (topic_id, partition) DO UPDATE SET next_offset = greatest(p.next_offset, excluded.next_offset)
RETURNING partition, old.next_offset;

-- name: create_staging#
-- COPY can't write into a table with row-level security; a temporary one has none. Emptied by every commit.
CREATE TEMP TABLE {staging} ON COMMIT DELETE ROWS AS SELECT org_id, id, version, {columns} FROM ingest.{table} WITH NO DATA;

-- name: are_there^
-- Whether the organisation has tombstones of this type, and whether anyone of it was ever erased.
SELECT EXISTS (SELECT FROM ingest.tombstones WHERE org_id = $1 AND type = '{type}') AS tombstones,
       EXISTS (SELECT FROM ingest.erasures WHERE org_id = $1) AS erasures;

-- name: buried
SELECT id FROM ingest.tombstones WHERE org_id = $1 AND type = '{type}' AND id = ANY ($2::text[]);

-- name: held
-- The current row, or the tombstone, of each id that has one.
SELECT id, version, NULL::boolean AS erased FROM ingest.{table}_current WHERE org_id = $1 AND id = ANY ($2::text[])
UNION ALL
SELECT id, version, erased FROM ingest.tombstones WHERE org_id = $1 AND type = '{type}' AND id = ANY ($2::text[]);

-- name: put_versions$
-- New ids are added; a new version takes its row's place, where the page has room without touching an index, and what it replaces is added
-- to the ended ones, unless this very transaction added it, so that nobody ever saw it. A record is stale where its version isn't above the
-- one held; one without a version that repeats what is held changes nothing. Another writer of the same id is waited for, and then
-- measured against what it left. Returns how many records with a version were not stale.
WITH put AS (
    INSERT INTO ingest.{table}_current AS h (org_id, id, version, {columns})
    SELECT org_id, id, version, {columns} FROM {staging} WHERE org_id = $1
    ON CONFLICT (org_id, id) DO UPDATE SET version = coalesce(excluded.version, h.version), added = pg_current_xact_id(), {assignments}
    WHERE (h.version IS NULL OR excluded.version IS NULL OR excluded.version > h.version)
      AND (h.version, {held_columns}) IS DISTINCT FROM (coalesce(excluded.version, h.version), {new_columns})
    RETURNING old.org_id, old.id, old.version, old.added, {old_columns}, new.version AS put_version{put_touching}
), kept AS (
    INSERT INTO ingest.{table}_ended (org_id, id, version, added, ended, {columns})
    SELECT org_id, id, version, added, pg_current_xact_id(), {columns} FROM put WHERE id IS NOT NULL AND added <> pg_current_xact_id()
){touched}
SELECT count(*) FROM put WHERE put_version IS DISTINCT FROM version;

-- name: note_touches
-- Part of put_versions. The leads (or the conversations that may lead to one) whose score may be another now; a change of what it doesn't follow from notes nothing.
, touched AS (
    INSERT INTO ingest.lead_touches (org_id, through, ids)
    SELECT $1::text, '{through}', array_agg(key) FROM (
        SELECT key, row_number() OVER () / 100 AS part FROM (
            SELECT put_{key} AS key FROM put WHERE ({touching}) IS DISTINCT FROM ({put_touching}) AND {put_counts}
            UNION
            SELECT {key} FROM put WHERE id IS NOT NULL AND ({touching}) IS DISTINCT FROM ({put_touching}) AND {counts}) k
        WHERE key IS NOT NULL) p
    GROUP BY part)

-- name: note_touches_of_ended
-- Part of end_versions.
, touched AS (
    INSERT INTO ingest.lead_touches (org_id, through, ids)
    SELECT $1::text, '{through}', array_agg(DISTINCT {key}) FROM gone WHERE {key} IS NOT NULL AND {counts} HAVING count(*) > 0)

-- name: end_versions!
-- Deleted: nothing takes its place. A version that this very transaction added leaves nothing.
WITH gone AS (DELETE FROM ingest.{table}_current WHERE org_id = $1 AND id = ANY ($2::text[]) RETURNING org_id, id, version, added, {columns}){touched_by_end}
INSERT INTO ingest.{table}_ended (org_id, id, version, added, ended, {columns})
SELECT org_id, id, version, added, pg_current_xact_id(), {columns} FROM gone WHERE added <> pg_current_xact_id();

-- name: contacts_of_leads
-- The same people.
SELECT DISTINCT id FROM ingest.contacts WHERE org_id = $1 AND lead_id = ANY ($2::text[]);

-- name: conversations_of
-- All that one of the leads, or one of the contacts, ever had.
SELECT id FROM ingest.conversations WHERE org_id = $1 AND lead_id = ANY ($2::text[])
UNION SELECT id FROM ingest.conversations WHERE org_id = $1 AND contact_id = ANY ($3::text[]);

-- name: visitors_of
SELECT DISTINCT visitor_id FROM ingest.conversations WHERE org_id = $1 AND id = ANY ($2::text[]) AND visitor_id IS NOT NULL;

-- name: erase_versions
-- Each version; the first transaction that added one.
WITH gone AS (DELETE FROM ingest.{table} WHERE org_id = $1 AND id = ANY ($2::text[]) RETURNING added) SELECT min(added)::text FROM gone;

-- name: erase_visits
-- The visits' ids stay blocked, as nothing else would tell that one which comes again was theirs.
WITH gone AS (
    DELETE FROM ingest.visits WHERE org_id = $1 AND visitor_id = ANY ($2::text[]) RETURNING id, added
), blocked AS (
    INSERT INTO ingest.tombstones (org_id, type, id, erased) SELECT DISTINCT $1::text, 'visit', id, true FROM gone
    ON CONFLICT (org_id, type, id) DO UPDATE SET erased = true
) SELECT min(added)::text FROM gone;

-- name: erase_content
-- What was said goes, in every version ({emptied}, core/contents.py); that there was a conversation, and when, stays.
WITH emptied AS (
    UPDATE ingest.{table} SET {emptied} WHERE org_id = $1 AND {conversation} = ANY ($2::text[]) RETURNING added
) SELECT min(added)::text FROM emptied;

-- name: block_conversations!
-- What comes of them later is emptied too.
INSERT INTO ingest.erased_conversations (org_id, id) SELECT $1, unnest($2::text[]) ON CONFLICT DO NOTHING;

-- name: erased_leads
SELECT id FROM ingest.tombstones WHERE org_id = $1 AND type = 'lead' AND id = ANY ($2::text[]) AND erased;

-- name: late_conversations
-- Staged conversations of a person who was erased before, and the visitors that they name.
SELECT s.id, s.visitor_id FROM pg_temp.staging_conversations s
WHERE s.org_id = $1 AND NOT EXISTS (SELECT FROM ingest.erased_conversations e WHERE e.org_id = $1 AND e.id = s.id) AND (
    EXISTS (SELECT FROM ingest.tombstones t WHERE t.org_id = $1 AND t.type = 'lead' AND t.id = s.lead_id AND t.erased)
    OR EXISTS (SELECT FROM ingest.tombstones t WHERE t.org_id = $1 AND t.type = 'contact' AND t.id = s.contact_id AND t.erased));

-- name: empty_staged!
UPDATE {staging} s SET {emptied} WHERE s.org_id = $1 AND EXISTS (SELECT FROM ingest.erased_conversations e WHERE e.org_id = $1 AND e.id = s.{conversation});

-- name: note_erasure!
-- No export of an instant that saw one of these can be reproduced any more: that is remembered, without saying who.
INSERT INTO ingest.erasures (org_id, id, kind, oldest) VALUES ($1, $2, $3, coalesce($4::text::xid8, pg_current_xact_id()));

-- name: erasure
-- With the exports that were recalled, and where files of theirs had been brought by then or since.
SELECT e.id, e.kind, e.erased_at, coalesce(r.exports, '[]') AS exports
FROM ingest.erasures e LEFT JOIN LATERAL (
    SELECT json_agg(json_build_object('export_id', k.export_id, 'was', ended_as, 'files', files, 'destinations', coalesce(b.brought, '[]'),
                                      'recalled_at', to_char(recalled_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) ORDER BY k.export_id) AS exports
    FROM exports.recalls k LEFT JOIN LATERAL (
        SELECT json_agg(json_build_object('delivery_id', d.id, 'destination', d.destination_id, 'type', d.type, 'status', d.status) ORDER BY d.id) AS brought
        FROM delivery.deliveries d WHERE d.org_id = k.org_id AND d.export_id = k.export_id
          AND (d.status = 'delivered' OR EXISTS (SELECT FROM delivery.delivery_files f WHERE f.delivery_id = d.id AND f.sent_at IS NOT NULL))) b ON true
    WHERE org_id = e.org_id AND erasure_id = e.id) r ON true
WHERE e.org_id = $1 AND e.id = $2;

-- name: is_known$
-- Whether anything is held of an id that was not erased: versions, or that it was deleted.
SELECT EXISTS (SELECT FROM ingest.{table} WHERE org_id = $1 AND id = $2)
    OR EXISTS (SELECT FROM ingest.tombstones WHERE org_id = $1 AND type = '{type}' AND id = $2 AND NOT erased);

-- name: erase_scores!
DELETE FROM ingest.lead_scores WHERE org_id = $1 AND id = ANY ($2::text[]);

-- name: note_leads!
-- What the leads of staging_leads that this transaction has written are found by (0017_leads.sql, 0020_lead_search.sql), where it changed.
INSERT INTO ingest.lead_lookup AS k (org_id, id, print, email_key, words)
SELECT l.org_id, l.id, l.print, ingest.email_key(l.email), ingest.lead_words(l.org_id, l.name, l.email, l.company, l.custom_properties, l.status)
FROM (SELECT c.org_id, c.id, c.email, c.name, c.company, c.custom_properties, c.status,
             hashtextextended(concat_ws(E'\x01', c.email, coalesce(c.name, ''), coalesce(c.company, ''), c.custom_properties, c.status), 0) AS print
      FROM pg_temp.staging_leads s JOIN ingest.leads_current c ON c.org_id = s.org_id AND c.id = s.id
      WHERE s.org_id = $1 AND c.added = pg_current_xact_id()) l
LEFT JOIN ingest.lead_lookup h ON h.org_id = l.org_id AND h.id = l.id
WHERE h.print IS DISTINCT FROM l.print
ON CONFLICT (org_id, id) DO UPDATE SET print = excluded.print, email_key = excluded.email_key, words = excluded.words;

-- name: forget_leads!
DELETE FROM ingest.lead_lookup WHERE org_id = $1 AND id = ANY ($2::text[]);

-- name: erase_answers!
-- What the Leads API answered of them; that the keys were used is remembered.
UPDATE ingest.idempotency_keys SET body_sha256 = NULL, lead_id = NULL, answer = NULL, etag = NULL WHERE org_id = $1 AND lead_id = ANY ($2::text[]);

-- name: end_scores!
-- A deleted lead has no score any more; should it come again, it has none yet.
WITH gone AS (
    DELETE FROM ingest.lead_scores_current WHERE org_id = $1 AND id = ANY ($2::text[])
    RETURNING org_id, id, version, added, score, reasons, model_version, scored_at)
INSERT INTO ingest.lead_scores_ended (org_id, id, version, added, ended, score, reasons, model_version, scored_at)
SELECT org_id, id, version, added, pg_current_xact_id(), score, reasons, model_version, scored_at FROM gone WHERE added <> pg_current_xact_id();

-- name: touch_conversations!
-- What was said in them has gone: a lead of theirs that stays has other facts now.
INSERT INTO ingest.lead_touches (org_id, through, ids) VALUES ($1, 'conversation', $2::text[]);

-- name: forget_facts!
-- With it goes what is still under way of the lead's scores.
DELETE FROM ingest.lead_facts WHERE org_id = $1 AND id = ANY ($2::text[]);

-- name: forget_changes!
-- What was to be published of leads, or of leads that had these conversations: the latter are published again, by a note of touch_conversations.
DELETE FROM ingest.outbox WHERE topic = 'lead-changes' AND key IN (
    SELECT convert_to($1 || '/' || l.id, 'UTF8') FROM (
        SELECT unnest($2::text[]) AS id UNION SELECT lead_id FROM ingest.conversations WHERE org_id = $1 AND id = ANY ($3::text[])) l);

-- name: add_tombstones!
INSERT INTO ingest.tombstones (org_id, type, id, version, erased)
SELECT $1, '{type}', t.id, t.version, t.erased FROM unnest($2::text[], $3::bigint[], $4::boolean[]) t (id, version, erased)
ON CONFLICT (org_id, type, id) DO UPDATE SET version = excluded.version, erased = excluded.erased;

-- name: remove_tombstones!
DELETE FROM ingest.tombstones WHERE org_id = $1 AND type = '{type}' AND id = ANY ($2::text[]);
