-- What the Leads API asks of PostgreSQL. {lead} are a lead's columns, {conditions} those of the list's filter, {order} asc or desc.

-- name: lead
-- One current lead with its score and what its conversations say.
SELECT {lead}, l.added::text AS version_id, coalesce(s.score, 0) AS score,
       (SELECT count(*) FROM ingest.conversations_current c WHERE c.org_id = $1 AND c.lead_id = l.id) AS conversation_count
FROM ingest.leads_current l LEFT JOIN ingest.lead_scores_current s ON s.org_id = l.org_id AND s.id = l.id
WHERE l.org_id = $1 AND l.id = $2;

-- name: lock_lead
-- To change it: whoever else writes it is waited for.
SELECT {lead}, l.added::text AS version_id FROM ingest.leads_current l WHERE l.org_id = $1 AND l.id = $2 FOR UPDATE;

-- name: lock_email
-- One at a time gives an address to a lead of the organisation, in whatever process.
SELECT pg_advisory_xact_lock(hashtextextended($1 || '/lead-email/' || ingest.email_key($2), 0));

-- name: lead_with_email
-- The first lead that has the address, other than `except`; imported records may have given it to several.
SELECT l.id FROM ingest.lead_lookup k JOIN ingest.leads_current l ON l.org_id = k.org_id AND l.id = k.id
WHERE k.org_id = $1 AND k.email_key = ingest.email_key($2) AND k.id <> $3 ORDER BY l.created_at, l.id LIMIT 1;

-- name: claim_key
-- Waits for another request with this key, and claims it where that one has failed.
INSERT INTO ingest.idempotency_keys (org_id, key, body_sha256) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING true;

-- name: known_key
SELECT body_sha256, lead_id, answer, etag FROM ingest.idempotency_keys WHERE org_id = $1 AND key = $2;

-- name: keep_answer!
UPDATE ingest.idempotency_keys SET lead_id = $3, answer = $4, etag = $5 WHERE org_id = $1 AND key = $2;

-- name: prune_keys!
-- A few old ones of the organisation with each new one.
DELETE FROM ingest.idempotency_keys WHERE (org_id, key) IN
    (SELECT org_id, key FROM ingest.idempotency_keys WHERE org_id = $1 AND created_at < now() - interval '30 days' ORDER BY created_at LIMIT 10);

-- name: enter_list
-- Which plan is good hangs on the values.
SELECT set_config('app.org_id', $1, true), set_config('plan_cache_mode', 'force_custom_plan', true);

-- name: count_some
-- How many there are, as far as it pays to count at once.
SELECT count(*) FROM (SELECT FROM ingest.leads_current l WHERE l.org_id = $1 {conditions} LIMIT $2) counted;

-- name: count_all
SELECT count(*) FROM ingest.leads_current l WHERE l.org_id = $1 {conditions};

-- name: page_of_few
-- The filter leaves few: all of them are sorted.
WITH few AS MATERIALIZED (
    SELECT l.id, {key} AS key FROM ingest.leads_current l {joined} WHERE l.org_id = $1 {conditions}
), page AS MATERIALIZED (SELECT id, key FROM few ORDER BY key {order}, id {order} LIMIT $2 OFFSET $3)
SELECT {lead}, coalesce(s.score, 0) AS score FROM page JOIN ingest.leads_current l ON l.org_id = $1 AND l.id = page.id
LEFT JOIN ingest.lead_scores_current s ON s.org_id = l.org_id AND s.id = l.id ORDER BY page.key {order}, page.id {order};

-- name: page_of_many
-- The filter leaves many: a walk along the index that is in order soon has a page of them.
WITH page AS MATERIALIZED (
    SELECT l.id, {key} AS key FROM ingest.leads_current l WHERE l.org_id = $1 {conditions} ORDER BY {key} {order}, l.id {order} LIMIT $2 OFFSET $3
)
SELECT {lead}, coalesce(s.score, 0) AS score FROM page JOIN ingest.leads_current l ON l.org_id = $1 AND l.id = page.id
LEFT JOIN ingest.lead_scores_current s ON s.org_id = l.org_id AND s.id = l.id ORDER BY page.key {order}, page.id {order};

-- name: page_of_many_by_score
-- As page_of_many: those with a score along its index, those without in the order of their ids. An Append without workers gives one after the other.
WITH page AS MATERIALIZED (
    SELECT id, score FROM ({first} UNION ALL {second}) both_of LIMIT $2 OFFSET $3
)
SELECT {lead}, page.score FROM page JOIN ingest.leads_current l ON l.org_id = $1 AND l.id = page.id ORDER BY page.score {order}, page.id {order};

-- name: scored
SELECT s.id, s.score FROM ingest.lead_scores_current s
CROSS JOIN LATERAL (SELECT FROM ingest.leads_current l WHERE l.org_id = $1 AND l.id = s.id {conditions} OFFSET 0) l
WHERE s.org_id = $1 AND s.score > 0 ORDER BY s.org_id {order}, s.score {order}, s.id {order}

-- name: unscored
SELECT l.id, 0::smallint AS score FROM ingest.leads_current l
LEFT JOIN LATERAL (SELECT s.score FROM ingest.lead_scores_current s WHERE s.org_id = $1 AND s.id = l.id OFFSET 0) s ON true
WHERE l.org_id = $1 {conditions} AND coalesce(s.score, 0) = 0 ORDER BY l.org_id {order}, l.id {order}

-- name: enter_search
-- The words. Starting workers takes longer than they save.
SELECT ingest.plain($1) FROM set_config('max_parallel_workers_per_gather', '0', true);

-- name: known_words
SELECT ingest.known_words($1);

-- name: search
-- The best first; of equals those with the higher score. A page beyond the end still says how many there are.
WITH found AS MATERIALIZED (SELECT id, rank FROM ingest.find_leads($2, $3, $4)),
page AS MATERIALIZED (
    SELECT f.id, f.rank, coalesce(s.score, 0) AS score FROM found f
    LEFT JOIN LATERAL (SELECT s.score FROM ingest.lead_scores_current s WHERE s.org_id = $1 AND s.id = f.id OFFSET 0) s ON true
    ORDER BY f.rank DESC, score DESC, f.id LIMIT $5 OFFSET $6
)
SELECT hits.total, {lead}, page.score FROM (SELECT count(*) AS total FROM found) hits
LEFT JOIN (page JOIN ingest.leads_current l ON l.org_id = $1 AND l.id = page.id) ON true ORDER BY page.rank DESC, page.score DESC, page.id;
