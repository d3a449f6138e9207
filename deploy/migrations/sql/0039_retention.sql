-- Retention (docs/retention.md): how far superseded versions are pruned, legal holds, what a reconciliation counted.
SET ROLE waybill_owner;

-- A held export doesn't expire, and can't be deleted.
ALTER TABLE exports.exports ADD COLUMN hold_reason text, ADD COLUMN hold_by text, ADD COLUMN hold_at timestamptz,
    ADD CONSTRAINT exports_hold_check CHECK ((hold_at IS NULL) = (hold_reason IS NULL) AND (hold_at IS NULL) = (hold_by IS NULL)) NOT VALID;
CREATE INDEX exports_held ON exports.exports (org_id, created_at DESC, id DESC) WHERE hold_at IS NOT NULL;
DROP INDEX exports.exports_to_expire;
CREATE INDEX exports_to_expire ON exports.exports (expires_at) WHERE status = 'completed' AND hold_at IS NULL;
CREATE INDEX exports_to_forget ON exports.exports ((coalesce(deleted_at, completed_at)))
    WHERE status IN ('failed', 'cancelled', 'expired') OR deleted_at IS NOT NULL;
GRANT SELECT (hold_at) ON exports.exports TO waybill_delivery, waybill_dispatcher;

-- What an erasure would recall and a hold keeps: it is recalled once it is released (`recalled_at` null until then).
ALTER TABLE exports.recalls ALTER recalled_at DROP NOT NULL;
CREATE INDEX recalls_waiting ON exports.recalls (export_id) WHERE recalled_at IS NULL;
CREATE INDEX recalls_by_age ON exports.recalls (recalled_at);
GRANT UPDATE (recalled_at), DELETE ON exports.recalls TO waybill_dispatcher;

-- Instants that must stay to be seen, as before; what waits for an approval too.
CREATE OR REPLACE VIEW exports.kept_snapshots WITH (security_invoker = true) AS
    SELECT org_id, id AS export_id, snapshot, CASE WHEN completed_at IS NULL THEN 'running' ELSE 'base' END AS reason
    FROM exports.exports WHERE deleted_at IS NULL AND status NOT IN ('failed', 'cancelled', 'expired')
    UNION ALL
    SELECT org_id, id, since_snapshot, 'delta' FROM exports.exports
    WHERE since_snapshot IS NOT NULL AND deleted_at IS NULL AND status NOT IN ('failed', 'cancelled', 'expired');
CREATE INDEX exports_kept ON exports.exports (org_id) INCLUDE (snapshot, since_snapshot)
    WHERE deleted_at IS NULL AND status NOT IN ('failed', 'cancelled', 'expired');
GRANT SELECT (id, org_id, status, deleted_at, completed_at, snapshot, since_snapshot) ON exports.exports TO waybill_ingest;
GRANT SELECT ON exports.kept_snapshots TO waybill_ingest;

-- Which transactions had all ended at an instant: what ended before `ended_before`, had ended then. Written by whoever prunes, about once an hour.
CREATE TABLE ingest.horizons (at timestamptz PRIMARY KEY DEFAULT clock_timestamp(), ended_before xid8 NOT NULL);
GRANT SELECT, INSERT, DELETE ON ingest.horizons TO waybill_ingest;
-- `before` is written before anything is taken away. `looked_to` and `kept`: up to where the last whole round went, and the instants that it kept.
ALTER TABLE ingest.prunings ADD COLUMN looked_to xid8 NOT NULL DEFAULT '0', ADD COLUMN kept text[] NOT NULL DEFAULT '{}', ADD COLUMN lease_until timestamptz;
GRANT SELECT, INSERT, UPDATE ON ingest.prunings TO waybill_ingest;

-- Ended versions go in batches now: room is made before the next come.
DO $$
DECLARE t text;
BEGIN
    FOR t IN SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'ended'
             WHERE c.relnamespace = 'ingest'::regnamespace AND c.relkind = 'p' LOOP
        EXECUTE format('ALTER TABLE ingest.%I SET (autovacuum_vacuum_scale_factor = 0.05)', t || '_ended');
    END LOOP;
END $$;

-- Rows of a day that nobody asks for any more are forgotten.
CREATE POLICY dispatcher ON tenancy.usage FOR ALL TO waybill_dispatcher USING (true);
GRANT SELECT, DELETE ON tenancy.usage TO waybill_dispatcher;

-- One look over the store and the tables; `report` is JSON. No customers' data but ids in names of objects.
CREATE TABLE delivery.reconciliations (
    id text COLLATE "C" PRIMARY KEY, asked_at timestamptz NOT NULL, asked_by text NOT NULL, repair boolean NOT NULL, lease_until timestamptz,
    ended_at timestamptz, error text, report text);
CREATE INDEX reconciliations_by_time ON delivery.reconciliations (asked_at DESC, id DESC);
GRANT SELECT, INSERT, UPDATE, DELETE ON delivery.reconciliations TO waybill_delivery;
RESET ROLE;
