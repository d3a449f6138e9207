-- Organisations, their settings and API keys. Written by export_request; other services read the columns they need.

CREATE SCHEMA tenancy AUTHORIZATION waybill_owner;

-- Work that goes across organisations (dispatching, relaying, expiring) takes this role for one transaction; it reaches only the
-- tables that are granted to it by name.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'waybill_dispatcher') THEN CREATE ROLE waybill_dispatcher NOLOGIN; END IF;
END $$;
GRANT waybill_dispatcher TO waybill_export_request, waybill_delivery WITH INHERIT FALSE, SET TRUE;

SET ROLE waybill_owner;

CREATE TABLE tenancy.organisations (
    org_id text COLLATE "C" PRIMARY KEY CHECK (org_id ~ '^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$'),
    name text NOT NULL, timezone text NOT NULL DEFAULT 'UTC',
    custom_properties jsonb NOT NULL DEFAULT '[]', retention_days integer NOT NULL DEFAULT 30,
    created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());

-- A key is shown once: `hash` is the SHA-256 of its secret, which has 160 random bits (no slow hash is needed for those).
CREATE TABLE tenancy.api_keys (
    id text COLLATE "C" PRIMARY KEY, org_id text COLLATE "C" NOT NULL REFERENCES tenancy.organisations, name text NOT NULL,
    hash bytea NOT NULL, scopes text[] NOT NULL, created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz, revoked_at timestamptz);
CREATE INDEX api_keys_by_org ON tenancy.api_keys (org_id, created_at, id);

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['organisations', 'api_keys'] LOOP
        EXECUTE format('ALTER TABLE tenancy.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY tenant ON tenancy.%I USING (org_id = current_setting(''app.org_id'', true))', t);
    END LOOP;
END $$;

-- The operator lists and creates organisations across tenants.
CREATE POLICY operator ON tenancy.organisations TO waybill_dispatcher USING (true);

-- A key arrives before its organisation is known: this function, and nothing else, looks across tenants by a key's public id.
-- Its owner is subject to the forced policy too, so it is let through by a policy of its own.
CREATE POLICY key_lookup ON tenancy.api_keys FOR SELECT TO waybill_owner USING (true);
CREATE FUNCTION tenancy.find_key(key_id text) RETURNS TABLE (org_id text, hash bytea, scopes text[])
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog
    AS $$ SELECT k.org_id, k.hash, k.scopes FROM tenancy.api_keys k
          WHERE k.id = key_id AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now()) $$;
REVOKE ALL ON FUNCTION tenancy.find_key FROM PUBLIC;

GRANT USAGE ON SCHEMA tenancy TO waybill_ingest, waybill_export_request, waybill_delivery, waybill_dispatcher;
GRANT EXECUTE ON FUNCTION tenancy.find_key TO waybill_ingest, waybill_export_request, waybill_delivery;
GRANT SELECT, INSERT, UPDATE, DELETE ON tenancy.organisations, tenancy.api_keys TO waybill_export_request;
GRANT SELECT, INSERT ON tenancy.organisations TO waybill_dispatcher;
GRANT SELECT (org_id) ON tenancy.organisations TO waybill_ingest, waybill_delivery;
RESET ROLE;
