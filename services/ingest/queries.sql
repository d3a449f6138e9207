-- What ingest asks of PostgreSQL. {table}, {staging}, {columns} and {type} are filled in for each record type by store.py from
-- core/rows.py; to run one in psql, write the type's own (messages, staging_messages, conversation_id, created_at, …).

-- name: lock_shared#
-- Before the transaction takes its snapshot: writers do not exclude one another …
LOCK TABLE ingest.tombstones IN ROW EXCLUSIVE MODE;

-- name: lock_alone#
-- … unless one leaves a tombstone for an id of which nothing is held: there is no row on which it and an insert could meet.
LOCK TABLE ingest.tombstones IN EXCLUSIVE MODE;

-- name: enter_organisation$
-- Rows are joined with staging by their place: a TID scan (ctid = ANY …) and a hash, whatever the planner knows of the organisation. Before
-- it had been analyzed, a nested loop went over all of its rows for each record.
SELECT set_config('enable_nestloop', 'off', true), set_config('enable_mergejoin', 'off', true), set_config('app.org_id', :org_id, true);

-- name: is_organisation$
SELECT EXISTS (SELECT FROM tenancy.organisations WHERE org_id = :org_id);

-- name: create_staging#
-- COPY can't write into a table with row-level security; a temporary one has none. Emptied by every commit.
CREATE TEMP TABLE {staging} ON COMMIT DELETE ROWS AS
SELECT org_id, id, version, ctid AS place, {columns} FROM ingest.{table} WITH NO DATA;

-- name: held
-- The current row, or the tombstone, of each id that has one.
SELECT id, version, ctid, NULL::boolean AS erased FROM ingest.{table} WHERE org_id = $1 AND id = ANY ($2::text[]) AND ended IS NULL
UNION ALL
SELECT id, version, NULL, erased FROM ingest.tombstones WHERE org_id = $1 AND type = '{type}' AND id = ANY ($2::text[]);

-- name: drop_unchanged!
-- A record without a version that repeats what is held is no new version.
DELETE FROM {staging} s USING ingest.{table} h
WHERE s.org_id = $1 AND h.org_id = $1 AND h.ctid = ANY (ARRAY(SELECT place FROM {staging} WHERE org_id = $1)) AND h.ctid = s.place
  AND (h.version, {held_columns}) IS NOT DISTINCT FROM (s.version, {staging_columns});

-- name: keep_replaced!
-- What is about to be replaced stays, as an ended version; one that this very transaction added was never seen by anyone.
INSERT INTO ingest.{table} (org_id, id, version, added, ended, {columns})
SELECT h.org_id, h.id, h.version, h.added, pg_current_xact_id(), {held_columns} FROM {staging} s JOIN ingest.{table} h ON h.ctid = s.place
WHERE s.org_id = $1 AND h.org_id = $1 AND h.ctid = ANY (ARRAY(SELECT place FROM {staging} WHERE org_id = $1))
  AND h.added <> pg_current_xact_id() ORDER BY s.place;

-- name: replace_versions!
-- In its row's place: where the page has room no index is touched, and rows keep the order in which they came.
UPDATE ingest.{table} h SET version = s.version, added = pg_current_xact_id(), {assignments} FROM {staging} s
WHERE s.org_id = $1 AND h.org_id = $1 AND h.ctid = ANY (ARRAY(SELECT place FROM {staging} WHERE org_id = $1)) AND h.ctid = s.place;

-- name: add_versions!
INSERT INTO ingest.{table} (org_id, id, version, {columns})
SELECT org_id, id, version, {columns} FROM {staging} WHERE org_id = $1 AND place IS NULL;

-- name: end_versions!
-- Deleted: nothing takes its place. A version that this very transaction added goes instead (remove_own_versions).
UPDATE ingest.{table} SET ended = pg_current_xact_id()
WHERE org_id = $1 AND ctid = ANY ($2::tid[]) AND added <> pg_current_xact_id();

-- name: remove_own_versions!
DELETE FROM ingest.{table} WHERE org_id = $1 AND ctid = ANY ($2::tid[]) AND added = pg_current_xact_id();

-- name: erase_versions!
-- No export of an instant that saw one of these can be reproduced any more: that is remembered, without saying who.
WITH gone AS (DELETE FROM ingest.{table} WHERE org_id = $1 AND id = ANY ($2::text[]) RETURNING added)
INSERT INTO ingest.erasures (org_id, oldest) SELECT $1, min(added) FROM gone HAVING count(*) > 0;

-- name: erase_scores!
DELETE FROM ingest.lead_scores WHERE org_id = $1 AND id = ANY ($2::text[]);

-- name: add_tombstones!
INSERT INTO ingest.tombstones (org_id, type, id, version, erased)
SELECT $1, '{type}', t.id, t.version, t.erased FROM unnest($2::text[], $3::bigint[], $4::boolean[]) t (id, version, erased);

-- name: change_tombstones!
-- Not an upsert: that would add one anew where another writer has just removed it, instead of failing.
UPDATE ingest.tombstones b SET version = t.version, erased = t.erased
FROM unnest($2::text[], $3::bigint[], $4::boolean[]) t (id, version, erased)
WHERE b.org_id = $1 AND b.type = '{type}' AND b.id = t.id;

-- name: remove_tombstones!
DELETE FROM ingest.tombstones WHERE org_id = $1 AND type = '{type}' AND id = ANY ($2::text[]);
