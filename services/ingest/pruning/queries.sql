-- Pruning of one organisation after another, under its row-level security. {table} is filled in for each versioned table.

-- name: note_horizon!
-- What had ended by now; once in $1 seconds, whoever asks.
INSERT INTO ingest.horizons (ended_before) SELECT pg_snapshot_xmin(pg_current_snapshot())
WHERE NOT EXISTS (SELECT FROM ingest.horizons WHERE at > clock_timestamp() - make_interval(secs => $1::float) AND at <= clock_timestamp());

-- name: horizon$
-- What had ended $1 days ago; null: nobody knows yet. A database that was restored counts from anew, so never beyond what has ended by now.
SELECT least(h.ended_before, pg_snapshot_xmin(pg_current_snapshot()))::text
FROM (SELECT max(ended_before) AS ended_before FROM ingest.horizons WHERE at <= clock_timestamp() - make_interval(secs => $1::float * 86400)) h WHERE h.ended_before IS NOT NULL;

-- name: forget_horizons!
-- Older ones say less.
DELETE FROM ingest.horizons h WHERE EXISTS (
    SELECT FROM ingest.horizons n WHERE n.at <= clock_timestamp() - make_interval(secs => $1::float * 86400) AND n.at > h.at AND n.ended_before >= h.ended_before);

-- name: organisations
SELECT org_id FROM tenancy.organisations WHERE org_id > $1 ORDER BY org_id LIMIT $2;

-- name: enter_alone
-- Whoever accepts an export holds this lock, shared, from before it takes the instant (or looks whether an old one can still be seen) until it has committed.
SELECT pg_advisory_xact_lock(hashtextextended('exports.instants/' || $1, 0));

-- name: state^
SELECT before::text AS before, looked_to::text AS looked_to, kept, coalesce(lease_until > clock_timestamp(), false) AS taken FROM ingest.prunings WHERE org_id = $1;

-- name: kept
SELECT DISTINCT snapshot FROM exports.kept_snapshots WHERE org_id = $1;

-- name: mark!
-- From here on an instant from before can't be seen any more, unless it is kept.
INSERT INTO ingest.prunings AS p (org_id, before, lease_until) VALUES ($1, $2::text::xid8, clock_timestamp() + make_interval(secs => $3::float))
ON CONFLICT (org_id) DO UPDATE SET before = greatest(p.before, excluded.before), lease_until = excluded.lease_until;

-- name: finish!
-- A whole round.
UPDATE ingest.prunings SET looked_to = $2::text::xid8, kept = $3::text[], lease_until = NULL WHERE org_id = $1;

-- name: leave!
UPDATE ingest.prunings SET lease_until = NULL WHERE org_id = $1;

-- name: end_of_batch$
-- Along <table>_ended_since: what ended the version behind the next $4.
SELECT ended::text FROM ingest.{table}_ended WHERE org_id = $1 AND ended >= $2::text::xid8 AND ended < $3::text::xid8 ORDER BY ended OFFSET $4 LIMIT 1;

-- name: prune
-- What ended in [$2, $3) and none of the instants $4 sees.
WITH kept AS MATERIALIZED (SELECT s::pg_snapshot AS s FROM unnest($4::text[]) s)
DELETE FROM ingest.{table}_ended v WHERE v.org_id = $1 AND v.ended >= $2::text::xid8 AND v.ended < $3::text::xid8
    AND NOT EXISTS (SELECT FROM kept k WHERE pg_visible_in_snapshot(v.added, k.s) AND NOT pg_visible_in_snapshot(v.ended, k.s));

-- name: prune_arrivals
DELETE FROM ingest.arrivals WHERE ctid = ANY (ARRAY(SELECT ctid FROM ingest.arrivals WHERE org_id = $1 AND type = $2 AND added < $3::text::xid8 LIMIT $4));
