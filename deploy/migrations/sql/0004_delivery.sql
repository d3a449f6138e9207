-- What delivery assembles and has published. Only delivery writes here.

CREATE SCHEMA delivery AUTHORIZATION waybill_owner;
SET ROLE waybill_owner;

-- A file on its way: the commands so far (parts by number), whether the last part is known, and who works on it until when.
CREATE TABLE delivery.assemblies (
    export_id text COLLATE "C" NOT NULL, format text NOT NULL, file_number integer NOT NULL, org_id text COLLATE "C" NOT NULL,
    name text NOT NULL, media_type text NOT NULL, key text NOT NULL, express boolean NOT NULL,
    head bytea NOT NULL, separator bytea NOT NULL, tail bytea NOT NULL, empty bytea NOT NULL,
    parts_total integer, state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'assembled')),
    rows bigint, bytes bigint, sha256 text, lease_until timestamptz, created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (export_id, format, file_number));
CREATE INDEX assemblies_open ON delivery.assemblies (created_at) WHERE state = 'open';
CREATE TABLE delivery.assembly_parts (
    export_id text COLLATE "C" NOT NULL, format text NOT NULL, file_number integer NOT NULL, number integer NOT NULL, org_id text COLLATE "C" NOT NULL,
    key text NOT NULL, rows bigint NOT NULL, bytes bigint NOT NULL, sha256 text NOT NULL, first_key text NOT NULL, last_key text NOT NULL,
    PRIMARY KEY (export_id, format, file_number, number));

-- An export as published: its files are in assemblies; the manifest is written last.
CREATE TABLE delivery.publications (
    export_id text COLLATE "C" PRIMARY KEY, org_id text COLLATE "C" NOT NULL, files_total integer NOT NULL,
    manifest_key text NOT NULL, manifest text NOT NULL, published_at timestamptz, expires_at timestamptz, discarded_at timestamptz);

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['assemblies', 'assembly_parts', 'publications'] LOOP
        EXECUTE format('ALTER TABLE delivery.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY tenant ON delivery.%I USING (org_id = current_setting(''app.org_id'', true))', t);
        EXECUTE format('CREATE POLICY dispatcher ON delivery.%I TO waybill_dispatcher USING (true)', t);
    END LOOP;
END $$;

CREATE TABLE delivery.outbox (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, topic text NOT NULL, key bytea, value bytea, headers jsonb NOT NULL,
    partition integer, created_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE delivery.inbox (message_id text COLLATE "C" PRIMARY KEY, claimed_at timestamptz NOT NULL DEFAULT now());
CREATE INDEX inbox_by_age ON delivery.inbox (claimed_at);

GRANT USAGE ON SCHEMA delivery TO waybill_delivery, waybill_dispatcher;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA delivery TO waybill_delivery;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA delivery TO waybill_dispatcher;
RESET ROLE;
