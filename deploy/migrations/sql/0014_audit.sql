-- The audit trail: a chain of entries for each organisation, and one for the operator (`@operator`, which no organisation can be called). Who appends can
-- do nothing else: no role that services log in as may change or delete an entry. An entry's number is claimed by the primary key, so a chain can't fork.

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'waybill_auditor') THEN CREATE ROLE waybill_auditor NOLOGIN; END IF;
END $$;
GRANT waybill_auditor TO waybill_export_request WITH INHERIT FALSE, SET TRUE;

SET ROLE waybill_owner;
-- `details` is text in RFC 8785 form: jsonb would write numbers anew, and the hash is over them. `message_id` tells a repeat.
CREATE TABLE tenancy.audit (
    org_id text COLLATE "C" NOT NULL, seq bigint NOT NULL, at timestamptz NOT NULL, actor text NOT NULL, address text NOT NULL, action text NOT NULL,
    subject text NOT NULL, details text NOT NULL, purpose text NOT NULL, prev_hash bytea NOT NULL, hash bytea NOT NULL,
    message_id text COLLATE "C" NOT NULL UNIQUE, PRIMARY KEY (org_id, seq));
CREATE INDEX audit_by_subject ON tenancy.audit (org_id, subject, seq);
CREATE INDEX audit_by_time ON tenancy.audit (org_id, at, seq);

ALTER TABLE tenancy.audit ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON tenancy.audit FOR SELECT USING (org_id = current_setting('app.org_id', true));
CREATE POLICY auditor ON tenancy.audit TO waybill_auditor USING (true) WITH CHECK (true);
GRANT USAGE ON SCHEMA tenancy TO waybill_auditor;
GRANT SELECT ON tenancy.audit TO waybill_export_request;
GRANT SELECT, INSERT ON tenancy.audit TO waybill_auditor;
RESET ROLE;
