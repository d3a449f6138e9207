-- Destinations: where files are brought, what was brought there, and who is told when it wasn't. Only delivery writes its tables.
SET ROLE waybill_owner;

-- `config` (JSON) is what may be shown; `sealed` are the secrets, as one sealed JSON object, `secrets` their names. Paused by request, or because deliveries keep failing:
-- `failures` counts those given up since one last arrived, the first of them at `failing_since`. Until `held_until` it asked to be left alone.
CREATE TABLE delivery.destinations (
    id text COLLATE "C" PRIMARY KEY, org_id text COLLATE "C" NOT NULL, name text NOT NULL, type text NOT NULL,
    config text NOT NULL, secrets text[] NOT NULL DEFAULT '{}', sealed bytea, paused_at timestamptz, paused_reason text CHECK (paused_reason IN ('failing', 'requested')),
    failures integer NOT NULL DEFAULT 0, failing_since timestamptz, held_until timestamptz, tested_at timestamptz, test_code text,
    created_by text NOT NULL, created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL, CHECK ((paused_at IS NULL) = (paused_reason IS NULL)));
CREATE INDEX destinations_by_org ON delivery.destinations (org_id, created_at, id);

-- One export at one destination, whatever becomes of it, also once the destination is deleted. `key`, the queue in which it waits: the destination's id, or what
-- stands for e-mail addresses that a request named itself (`recipients`). Held: its destination is paused. `tries` counts since the export's end, or since it was
-- last asked for again; `attempts` counts all. A claim moves `due_at` to the end of its lease: who dies with it leaves it due again. `due_at` null: it has ended, or is held.
CREATE TABLE delivery.deliveries (
    id text COLLATE "C" PRIMARY KEY, org_id text COLLATE "C" NOT NULL, export_id text COLLATE "C" NOT NULL, schedule_id text COLLATE "C",
    destination_id text COLLATE "C", key text COLLATE "C" NOT NULL, type text NOT NULL, recipients text[], event text NOT NULL, small boolean NOT NULL, in_order boolean NOT NULL DEFAULT false,
    status text NOT NULL CHECK (status IN ('pending', 'held', 'delivered', 'failed', 'cancelled')), tries integer NOT NULL DEFAULT 0, attempts integer NOT NULL DEFAULT 0,
    error_code text, error_message text, traceparent text NOT NULL DEFAULT '', due_at timestamptz, claimed_by text,
    created_at timestamptz NOT NULL, ended_at timestamptz, UNIQUE (export_id, key),
    CHECK ((destination_id IS NULL) = (recipients IS NOT NULL)), CHECK ((status = 'pending') = (due_at IS NOT NULL)), CHECK (claimed_by IS NULL OR due_at IS NOT NULL));
CREATE INDEX deliveries_by_org ON delivery.deliveries (org_id, created_at DESC, id DESC);
CREATE INDEX deliveries_by_status ON delivery.deliveries (org_id, status, created_at DESC, id DESC);
CREATE INDEX deliveries_by_destination ON delivery.deliveries (destination_id, created_at DESC, id DESC) WHERE destination_id IS NOT NULL;
CREATE INDEX deliveries_by_schedule ON delivery.deliveries (schedule_id, created_at DESC, id DESC) WHERE schedule_id IS NOT NULL;
CREATE INDEX deliveries_due ON delivery.deliveries (key, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX deliveries_claimed ON delivery.deliveries (claimed_by) WHERE claimed_by IS NOT NULL;
CREATE INDEX deliveries_held ON delivery.deliveries (export_id) WHERE status = 'held';
CREATE INDEX deliveries_by_age ON delivery.deliveries (created_at);

-- What a delivery brought: a file that is there (`sent_at`), at what place, or how far it is (`note`: an upload's id, for who goes on).
CREATE TABLE delivery.delivery_files (
    delivery_id text COLLATE "C" NOT NULL REFERENCES delivery.deliveries ON DELETE CASCADE, name text COLLATE "C" NOT NULL, org_id text COLLATE "C" NOT NULL,
    place text, note text, sent_at timestamptz, PRIMARY KEY (delivery_id, name));
CREATE INDEX delivery_files_half ON delivery.delivery_files (delivery_id) WHERE sent_at IS NULL AND note IS NOT NULL;

CREATE TABLE delivery.delivery_attempts (
    delivery_id text COLLATE "C" NOT NULL REFERENCES delivery.deliveries ON DELETE CASCADE, number integer NOT NULL, org_id text COLLATE "C" NOT NULL,
    at timestamptz NOT NULL, milliseconds bigint NOT NULL, error_code text, error_message text, PRIMARY KEY (delivery_id, number));

-- The console's feed. `subject` (JSON) holds ids; `key`: what happened is told once.
CREATE TABLE delivery.notifications (
    id text COLLATE "C" PRIMARY KEY, org_id text COLLATE "C" NOT NULL, key text COLLATE "C" NOT NULL, kind text NOT NULL, message text NOT NULL, subject text NOT NULL,
    created_at timestamptz NOT NULL, UNIQUE (org_id, key));
CREATE INDEX notifications_by_org ON delivery.notifications (org_id, created_at DESC, id DESC);
CREATE INDEX notifications_by_age ON delivery.notifications (created_at);

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['destinations', 'deliveries', 'delivery_files', 'delivery_attempts', 'notifications'] LOOP
        EXECUTE format('ALTER TABLE delivery.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY tenant ON delivery.%I USING (org_id = current_setting(''app.org_id'', true))', t);
        EXECUTE format('CREATE POLICY dispatcher ON delivery.%I TO waybill_dispatcher USING (true)', t);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON delivery.%I TO waybill_delivery, waybill_dispatcher', t);
    END LOOP;
END $$;

-- What export_request must know: which destinations there are, and what became of a run's files. And the other way round: where files are to go.
GRANT USAGE ON SCHEMA delivery TO waybill_export_request;
GRANT SELECT (id, org_id, name, type) ON delivery.destinations TO waybill_export_request;
GRANT SELECT (id, org_id, export_id, destination_id, type, status, attempts, error_code, error_message) ON delivery.deliveries TO waybill_export_request;
-- `destinations` (JSON): as the request or its schedule named them, [{"type", "id"}, {"type": "email", "to": […]}]. In no topic and no manifest: addresses are personal.
ALTER TABLE exports.exports ADD COLUMN destinations text NOT NULL DEFAULT '[]';
ALTER TABLE exports.schedules ADD COLUMN destinations text NOT NULL DEFAULT '[]';
-- (`spec`: the window and the time zone; delivery signs the request in the manifest anyway.) A destination that a schedule names isn't deleted under it.
GRANT SELECT (dataset, formats, schedule_id, destinations, since, spec, created_at) ON exports.exports TO waybill_delivery, waybill_dispatcher;
GRANT SELECT (id, org_id, name, destinations) ON exports.schedules TO waybill_delivery;
RESET ROLE;
