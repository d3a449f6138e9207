-- Passwords of exports' files: sealed under a key that no database holds, gone when the export ends. export_request puts them there and can't read them;
-- only delivery opens them, when it writes a file. `protected` stays: such a file is never written without its password.
SET ROLE waybill_owner;
ALTER TABLE exports.exports ADD COLUMN protected boolean NOT NULL DEFAULT false;
GRANT SELECT (protected) ON exports.exports TO waybill_delivery;
ALTER TABLE tenancy.organisations ADD COLUMN require_password boolean NOT NULL DEFAULT false;

CREATE TABLE exports.passwords (
    export_id text COLLATE "C" PRIMARY KEY REFERENCES exports.exports ON DELETE CASCADE, org_id text COLLATE "C" NOT NULL, sealed bytea NOT NULL);
ALTER TABLE exports.passwords ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON exports.passwords USING (org_id = current_setting('app.org_id', true));
CREATE POLICY dispatcher ON exports.passwords TO waybill_dispatcher USING (true);
GRANT INSERT, DELETE, SELECT (export_id, org_id) ON exports.passwords TO waybill_export_request, waybill_dispatcher;
GRANT SELECT ON exports.passwords TO waybill_delivery;
RESET ROLE;
