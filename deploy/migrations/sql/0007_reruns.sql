-- Re-runs: which export one is of, what its files have to be, and what would make its instant irreproducible.

SET ROLE waybill_owner;

-- `chunk_…_max`: where chunks end shapes the bytes of compressed files, so the limits are kept with the export. `reproduces_sha256`: one
-- checksum over the files that a re-run has to give again (shared/digests.py), null where the first one never had any.
ALTER TABLE exports.exports ADD COLUMN chunk_rows_max integer, ADD COLUMN chunk_bytes_max bigint,
    ADD COLUMN rerun_of text COLLATE "C", ADD COLUMN reproduces_sha256 text;

-- Erasures take versions away that a snapshot may have seen: `oldest` is the first transaction that added one of them. Nobody's data.
CREATE TABLE ingest.erasures (
    org_id text COLLATE "C" NOT NULL, erased_in xid8 NOT NULL DEFAULT pg_current_xact_id(), oldest xid8 NOT NULL,
    erased_at timestamptz NOT NULL DEFAULT now());
CREATE INDEX erasures_by_org ON ingest.erasures (org_id);
ALTER TABLE ingest.erasures ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON ingest.erasures USING (org_id = current_setting('app.org_id', true));
GRANT SELECT, INSERT ON ingest.erasures TO waybill_ingest;
GRANT SELECT ON ingest.erasures TO waybill_export_request;

RESET ROLE;
