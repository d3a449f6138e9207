-- Checkpoints: what was the newest entry of a chain at an instant, signed by delivery, which has the keys. Written once and never changed.
SET ROLE waybill_owner;

-- The dispatcher (delivery takes it to look for chains that have grown) sees of the trail where each chain ends, and nothing of what is in it.
CREATE POLICY dispatcher ON tenancy.audit FOR SELECT TO waybill_dispatcher USING (true);
GRANT SELECT (org_id, seq, hash) ON tenancy.audit TO waybill_dispatcher;

-- `document` is the signed JSON as it is shown.
CREATE TABLE delivery.audit_checkpoints (
    org_id text COLLATE "C" NOT NULL, seq bigint NOT NULL, at timestamptz NOT NULL, document text NOT NULL, PRIMARY KEY (org_id, seq));
ALTER TABLE delivery.audit_checkpoints ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON delivery.audit_checkpoints FOR SELECT USING (org_id = current_setting('app.org_id', true));
CREATE POLICY dispatcher ON delivery.audit_checkpoints TO waybill_dispatcher USING (true);
GRANT SELECT ON delivery.audit_checkpoints TO waybill_delivery;
GRANT SELECT, INSERT ON delivery.audit_checkpoints TO waybill_dispatcher;

-- Why an export was asked for: a download says so too, where it has no purpose of its own.
ALTER TABLE exports.exports ADD COLUMN purpose text;
GRANT SELECT (purpose) ON exports.exports TO waybill_delivery;
RESET ROLE;
