-- Which exports an erasure recalled, for whoever asks what became of it. Written by export_request, shown by ingest.
SET ROLE waybill_owner;
CREATE TABLE exports.recalls (
    org_id text COLLATE "C", erasure_id text COLLATE "C", export_id text COLLATE "C", ended_as text NOT NULL, files jsonb NOT NULL,
    recalled_at timestamptz NOT NULL, PRIMARY KEY (org_id, erasure_id, export_id));
ALTER TABLE exports.recalls ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON exports.recalls USING (org_id = current_setting('app.org_id', true));
CREATE POLICY dispatcher ON exports.recalls TO waybill_dispatcher USING (true);
GRANT SELECT, INSERT ON exports.recalls TO waybill_dispatcher;
GRANT USAGE ON SCHEMA exports TO waybill_ingest;
GRANT SELECT ON exports.recalls TO waybill_ingest;

-- Exports are looked for while one may still be accepted at an instant from before the erasure; an older one costs the sweep nothing.
ALTER TABLE ingest.erasures ADD COLUMN watched boolean NOT NULL DEFAULT true;
CREATE INDEX erasures_watched ON ingest.erasures (erased_at) WHERE watched;
GRANT UPDATE (watched) ON ingest.erasures TO waybill_dispatcher;
CREATE POLICY dispatcher_watches ON ingest.erasures FOR UPDATE TO waybill_dispatcher USING (true);
RESET ROLE;
