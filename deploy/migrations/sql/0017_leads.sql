-- The Leads API: what lists are sorted and counted by, who has an address, and the answers that idempotency keys stand for.
SET ROLE waybill_owner;

-- Sorted by the last change; counted by status and source, each alone too (a skip scan). Sorted by score: those that have one above 0.
CREATE INDEX leads_current_by_change ON ingest.leads_current (org_id, coalesce(updated_at, created_at), id);
CREATE INDEX leads_current_by_status ON ingest.leads_current (org_id, status, source, created_at, id);
CREATE INDEX lead_scores_current_by_score ON ingest.lead_scores_current (org_id, score, id) WHERE score > 0;

-- What current leads are found by, kept apart from them so that a lead's next version touches no index of these. Under row security no index on
-- an expression serves (lower() isn't leakproof), so the address is kept in the form in which it is compared. `print` tells whether what a row is
-- made of has changed.
CREATE TABLE ingest.lead_lookup (
    org_id text COLLATE "C" NOT NULL, id text COLLATE "C" NOT NULL, print bigint NOT NULL, email_key text COLLATE "C" NOT NULL,
    PRIMARY KEY (org_id, id));
CREATE INDEX lead_lookup_by_email ON ingest.lead_lookup (org_id, email_key);

-- An address as it is compared: any case, whatever the database's locale. Longer than an index takes, by its digest.
CREATE FUNCTION ingest.email_key(email text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT CASE WHEN octet_length(email) <= 500 THEN lower(email COLLATE "pg_c_utf8") ELSE md5(lower(email COLLATE "pg_c_utf8")) END $$;

-- `answer` is null once the lead was erased: the key is remembered, nothing that it said is.
CREATE TABLE ingest.idempotency_keys (
    org_id text COLLATE "C" NOT NULL, key text COLLATE "C" NOT NULL, body_sha256 bytea, lead_id text COLLATE "C", answer text, etag text,
    created_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (org_id, key));
CREATE INDEX idempotency_keys_by_age ON ingest.idempotency_keys (org_id, created_at);
CREATE INDEX idempotency_keys_by_lead ON ingest.idempotency_keys (org_id, lead_id);

-- Forced row-level security would hide the leads that are there from their owner.
ALTER TABLE ingest.leads_current NO FORCE ROW LEVEL SECURITY;
INSERT INTO ingest.lead_lookup (org_id, id, print, email_key) SELECT org_id, id, 0, ingest.email_key(email) FROM ingest.leads_current;
ALTER TABLE ingest.leads_current FORCE ROW LEVEL SECURITY;

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['lead_lookup', 'idempotency_keys'] LOOP
        EXECUTE format('ALTER TABLE ingest.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY tenant ON ingest.%I USING (org_id = current_setting(''app.org_id'', true))', t);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON ingest.%I TO waybill_ingest', t);
    END LOOP;
END $$;
RESET ROLE;
