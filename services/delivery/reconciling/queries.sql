-- Reconciliations: who asked, and the comparison itself. Queries of the second half go across organisations.

-- name: add(id, asked_by, repair, now)^
INSERT INTO delivery.reconciliations (id, asked_at, asked_by, repair) VALUES (:id, :now, :asked_by, :repair) RETURNING *;

-- name: add_where_due(id, asked_by, now, since)!
INSERT INTO delivery.reconciliations (id, asked_at, asked_by, repair)
SELECT :id, :now, :asked_by, false WHERE NOT EXISTS (SELECT FROM delivery.reconciliations WHERE asked_at > :since);

-- name: one(id)^
SELECT * FROM delivery.reconciliations WHERE id = :id;

-- name: newest(count)
SELECT * FROM delivery.reconciliations ORDER BY asked_at DESC, id DESC LIMIT :count;

-- name: last_ended()^
SELECT ended_at, report FROM delivery.reconciliations WHERE report IS NOT NULL ORDER BY asked_at DESC, id DESC LIMIT 1;

-- name: claim(seconds)^
UPDATE delivery.reconciliations SET lease_until = now() + make_interval(secs => :seconds) WHERE id = (
    SELECT id FROM delivery.reconciliations WHERE ended_at IS NULL AND (lease_until IS NULL OR lease_until < now()) ORDER BY asked_at LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING *;

-- name: renew(id, seconds)!
UPDATE delivery.reconciliations SET lease_until = now() + make_interval(secs => :seconds) WHERE id = :id;

-- name: ended(id, now, report, error)!
UPDATE delivery.reconciliations SET ended_at = :now, report = :report, error = :error, lease_until = NULL WHERE id = :id;

-- name: forget(kept)!
DELETE FROM delivery.reconciliations WHERE ended_at IS NOT NULL
    AND id NOT IN (SELECT id FROM delivery.reconciliations ORDER BY asked_at DESC, id DESC LIMIT :kept);

-- ---- the comparison, in a connection of its own

-- name: create_seen#
-- What the store listed; sorted and joined by PostgreSQL, on disk where it is much.
CREATE TEMP TABLE seen (key text COLLATE "C" NOT NULL, bytes bigint NOT NULL, at timestamptz NOT NULL);

-- name: create_index#
CREATE INDEX ON pg_temp.seen (key);

-- name: drop_seen#
DROP TABLE IF EXISTS pg_temp.seen CASCADE;

-- name: compare(began)
-- One row a kind. Published before the listing began, so that it must have been in it; removed later, so it is not looked for.
WITH expected AS (
    SELECT a.key, a.bytes, p.org_id, p.export_id FROM delivery.publications p JOIN delivery.assemblies a USING (export_id)
    WHERE p.published_at < :began AND p.discard IS DISTINCT FROM 'files' AND a.state = 'assembled'
    UNION ALL
    SELECT p.manifest_key, octet_length(p.manifest), p.org_id, p.export_id FROM delivery.publications p
    WHERE p.published_at < :began AND p.discard IS DISTINCT FROM 'files' AND p.manifest IS NOT NULL AND p.manifest_key IS NOT NULL
), compared AS (
    SELECT e.key, e.bytes, CASE WHEN s.key IS NULL THEN 'missing' WHEN s.bytes <> e.bytes THEN 'wrong_size' ELSE 'matched' END AS kind
    FROM expected e LEFT JOIN pg_temp.seen s ON s.key = e.key
    UNION ALL
    SELECT s.key, s.bytes, CASE WHEN s.orphan THEN s.owner WHEN s.owner IS NULL THEN 'foreign' ELSE 'under_way' END
    FROM pg_temp.unclaimed s WHERE NOT EXISTS (SELECT FROM expected e WHERE e.key = s.key)
)
SELECT c.kind, c.objects, c.bytes, e.examples FROM (SELECT kind, count(*) AS objects, coalesce(sum(bytes), 0)::bigint AS bytes FROM compared GROUP BY kind) c
CROSS JOIN LATERAL (SELECT array_agg(key ORDER BY key) AS examples FROM (
    SELECT key FROM compared k WHERE k.kind = c.kind AND c.kind NOT IN ('matched', 'under_way') ORDER BY key LIMIT 20) first) e;

-- name: create_unclaimed#
-- What the store has and nobody has published, and whether it is nobody's. A view, so that it is asked anew for each batch that is removed.
CREATE OR REPLACE TEMP VIEW unclaimed AS
SELECT s.key, s.bytes, s.at, o.owner, o.export_id, o.owner IS NOT NULL AND coalesce(e.status, 'expired') IN ('completed', 'failed', 'cancelled', 'expired')
    AND NOT coalesce(p.discard IS NOT NULL AND p.discarded_at IS NULL, false)
    AND greatest(s.at, p.published_at, p.discarded_at, e.completed_at) < now() - make_interval(secs => current_setting('waybill.grace')::float) AS orphan
FROM pg_temp.seen s
CROSS JOIN LATERAL (SELECT CASE WHEN s.key LIKE 'files/%/%/%' THEN 'orphan_files' WHEN s.key LIKE 'parts/%/%' THEN 'orphan_parts' END AS owner,
    CASE WHEN s.key LIKE 'files/%/%/%' THEN split_part(s.key, '/', 3) WHEN s.key LIKE 'parts/%/%' THEN split_part(s.key, '/', 2) END AS export_id) o
LEFT JOIN exports.exports e ON e.id = o.export_id
LEFT JOIN delivery.publications p ON p.export_id = o.export_id
WHERE NOT (p.discard IS DISTINCT FROM 'files' AND p.export_id IS NOT NULL AND (s.key = p.manifest_key OR EXISTS (
    SELECT FROM delivery.assemblies a WHERE a.export_id = o.export_id AND a.key = s.key)));

-- name: set_grace(seconds)$
SELECT set_config('waybill.grace', :seconds::text, true);

-- name: totals^
SELECT count(*) AS objects, coalesce(sum(bytes), 0)::bigint AS bytes FROM pg_temp.seen;

-- name: orphans(after, count)
SELECT key, bytes FROM pg_temp.unclaimed WHERE orphan AND key > :after ORDER BY key LIMIT :count;

-- name: harmed(began, after, count)
-- Exports of which something that was published is missing, or of another size: the next behind `after`.
WITH expected AS (
    SELECT a.key, a.bytes, a.name, p.org_id, p.export_id FROM delivery.publications p JOIN delivery.assemblies a USING (export_id)
    WHERE p.published_at < :began AND p.discard IS DISTINCT FROM 'files' AND a.state = 'assembled' AND p.export_id > :after)
SELECT e.org_id, e.export_id, array_agg(e.name ORDER BY e.name) AS names FROM expected e LEFT JOIN pg_temp.seen s ON s.key = e.key
WHERE s.key IS NULL OR s.bytes <> e.bytes GROUP BY 1, 2 ORDER BY 2 LIMIT :count;
