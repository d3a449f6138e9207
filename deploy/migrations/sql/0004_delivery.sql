-- What delivery assembles and has published. Only delivery writes here.

CREATE SCHEMA delivery AUTHORIZATION waybill_owner;
SET ROLE waybill_owner;

-- A file on its way: how its bytes are laid out, whether the last part is known, and which process works on it until when.
-- `entry` is the file as the manifest will show it (JSON), known once the file is whole.
CREATE TABLE delivery.assemblies (
    export_id text COLLATE "C" NOT NULL, format text COLLATE "C" NOT NULL, file_number integer NOT NULL, org_id text COLLATE "C" NOT NULL,
    name text NOT NULL, media_type text NOT NULL, key text NOT NULL, express boolean NOT NULL,
    head bytea NOT NULL, separator bytea NOT NULL, tail bytea NOT NULL, empty bytea NOT NULL,
    parts_total integer, state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'assembled')),
    rows bigint, bytes bigint, sha256 text, entry text,
    lease_by text, lease_until timestamptz, traceparent text, created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (export_id, format, file_number));
CREATE INDEX assemblies_open ON delivery.assemblies (express, created_at) WHERE state = 'open';
CREATE TABLE delivery.assembly_parts (
    export_id text COLLATE "C" NOT NULL, format text COLLATE "C" NOT NULL, file_number integer NOT NULL, number integer NOT NULL,
    org_id text COLLATE "C" NOT NULL, key text NOT NULL, rows bigint NOT NULL, bytes bigint NOT NULL, sha256 text NOT NULL,
    first_key text NOT NULL, last_key text NOT NULL,
    PRIMARY KEY (export_id, format, file_number, number));

-- What becomes of an export's files: published (the manifest is written last), failed, or to be discarded. Its row is the lock under which
-- files are counted. `discard`: 'parts' once published, 'files' for all there is; the row stays a while, so that late commands find it.
CREATE TABLE delivery.publications (
    export_id text COLLATE "C" PRIMARY KEY, org_id text COLLATE "C" NOT NULL, files_total integer, manifest_key text,
    manifest_base text, manifest text, published_at timestamptz, expires_at timestamptz, failed_code text,
    discard text CHECK (discard IN ('parts', 'files')), discard_asked_at timestamptz, discarded_at timestamptz);
CREATE INDEX publications_to_discard ON delivery.publications (discard_asked_at) WHERE discard IS NOT NULL AND discarded_at IS NULL;
CREATE INDEX publications_discarded ON delivery.publications (discarded_at) WHERE discard = 'files';

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
