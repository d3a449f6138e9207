-- An export's life. Only export_request writes here.

CREATE SCHEMA exports AUTHORIZATION waybill_owner;
SET ROLE waybill_owner;

-- `request` and `spec` are text: what was asked is shown as it was sent, what shapes bytes travels unchanged.
CREATE TABLE exports.exports (
    id text COLLATE "C" PRIMARY KEY, org_id text COLLATE "C" NOT NULL, request_id text, request text NOT NULL, requested_by text,
    dataset text NOT NULL, formats text[] NOT NULL, labels jsonb NOT NULL DEFAULT '{}',
    status text NOT NULL CHECK (status IN
        ('accepted', 'planning', 'formatting', 'assembling', 'publishing', 'completed', 'failed', 'cancelled', 'expired')),
    express boolean NOT NULL DEFAULT false,
    snapshot text NOT NULL, spec text NOT NULL, traceparent text NOT NULL DEFAULT '',
    -- the plan so far: the key after which the next chunk starts, and whether the last chunk is known
    planned_to text[], planned boolean NOT NULL DEFAULT false, lease_until timestamptz, planned_at timestamptz,
    rows_planned bigint NOT NULL DEFAULT 0, chunks_planned integer NOT NULL DEFAULT 0, files_planned integer NOT NULL DEFAULT 1,
    rows_written bigint NOT NULL DEFAULT 0, chunks_done integer NOT NULL DEFAULT 0,
    excluded jsonb NOT NULL DEFAULT '[]', files jsonb NOT NULL DEFAULT '[]', error_code text, error_message text,
    created_at timestamptz NOT NULL, started_at timestamptz, completed_at timestamptz, expires_at timestamptz NOT NULL,
    deleted_at timestamptz, released_at timestamptz, progressed_at timestamptz NOT NULL, progress_told_at timestamptz);
CREATE INDEX exports_by_org ON exports.exports (org_id, created_at DESC, id DESC) WHERE deleted_at IS NULL;
CREATE INDEX exports_running ON exports.exports (created_at, id) WHERE status IN ('accepted', 'planning', 'formatting', 'assembling', 'publishing');
CREATE INDEX exports_to_expire ON exports.exports (expires_at) WHERE status = 'completed';

-- One key, one export, as long as the export and 30 days at least; the body's hash tells a repeat from a conflict.
CREATE TABLE exports.idempotency_keys (
    org_id text COLLATE "C" NOT NULL, key text COLLATE "C" NOT NULL, body_sha256 bytea NOT NULL, export_id text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (org_id, key));
CREATE INDEX idempotency_keys_by_age ON exports.idempotency_keys (created_at);

-- The chunks of running exports; they go when the export ends. `position` counts from 1 within the file, `sent`: its parts went to delivery.
CREATE TABLE exports.chunks (
    export_id text COLLATE "C" NOT NULL REFERENCES exports.exports ON DELETE CASCADE, number integer NOT NULL,
    org_id text COLLATE "C" NOT NULL, file_number integer NOT NULL, position integer NOT NULL,
    lower text[], upper text[], rows bigint NOT NULL, bytes bigint NOT NULL,
    state text NOT NULL DEFAULT 'planned' CHECK (state IN ('planned', 'released', 'done')),
    express boolean NOT NULL, partition integer, parts jsonb, released_at timestamptz, done_at timestamptz, sent boolean NOT NULL DEFAULT false,
    PRIMARY KEY (export_id, number));
CREATE INDEX chunks_to_release ON exports.chunks (export_id, number) WHERE state = 'planned';
CREATE INDEX chunks_in_flight ON exports.chunks (express, partition) WHERE state = 'released';
CREATE INDEX chunks_to_send ON exports.chunks (export_id, file_number, number) WHERE NOT sent;

-- Whose turn it is: when an organisation's chunks were last released. Outlives its exports, so that many small ones are no way around it.
CREATE TABLE exports.turns (org_id text COLLATE "C" PRIMARY KEY, served_at timestamptz NOT NULL);

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['exports', 'idempotency_keys', 'chunks', 'turns'] LOOP
        EXECUTE format('ALTER TABLE exports.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY tenant ON exports.%I USING (org_id = current_setting(''app.org_id'', true))', t);
        EXECUTE format('CREATE POLICY dispatcher ON exports.%I TO waybill_dispatcher USING (true)', t);
    END LOOP;
END $$;

CREATE TABLE exports.outbox (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, topic text NOT NULL, key bytea, value bytea, headers jsonb NOT NULL,
    partition integer, created_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE exports.inbox (message_id text COLLATE "C" PRIMARY KEY, claimed_at timestamptz NOT NULL DEFAULT now());
CREATE INDEX inbox_by_age ON exports.inbox (claimed_at);

GRANT USAGE ON SCHEMA exports TO waybill_export_request, waybill_delivery, waybill_formatter, waybill_dispatcher;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA exports TO waybill_export_request;
GRANT SELECT, INSERT, UPDATE, DELETE ON
    exports.exports, exports.chunks, exports.idempotency_keys, exports.turns, exports.outbox, exports.inbox TO waybill_dispatcher;
GRANT SELECT (id, org_id, status, deleted_at, expires_at) ON exports.exports TO waybill_delivery, waybill_formatter;
RESET ROLE;
