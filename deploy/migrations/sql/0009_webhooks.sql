-- Webhooks: who wants to hear of what, what was sent to whom, what is still to be sent. Only delivery writes here.
SET ROLE waybill_owner;

-- Secrets are sealed (AES-GCM); the previous one signs too until `previous_until`. `failing_since`, `failures`: attempts that failed since
-- one last succeeded. `held_until`: the endpoint asked not to be called before.
CREATE TABLE delivery.webhook_endpoints (
    id text COLLATE "C" PRIMARY KEY, org_id text COLLATE "C" NOT NULL, url text NOT NULL, description text, events text[] NOT NULL,
    secret bytea NOT NULL, previous_secret bytea, previous_until timestamptz,
    enabled boolean NOT NULL DEFAULT true, disabled_reason text CHECK (disabled_reason IN ('gone', 'failing', 'requested')), disabled_at timestamptz,
    failing_since timestamptz, failures integer NOT NULL DEFAULT 0, held_until timestamptz,
    created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL, CHECK (enabled = (disabled_reason IS NULL)));
CREATE INDEX webhook_endpoints_by_org ON delivery.webhook_endpoints (org_id, created_at, id);

-- One event for one endpoint, whatever becomes of it. `tries` counts attempts since the event, or since it was last asked for again;
-- `attempts` counts all. No column that is updated is indexed: an update is heap-only where the page has room.
CREATE TABLE delivery.webhook_deliveries (
    id text COLLATE "C" PRIMARY KEY, org_id text COLLATE "C" NOT NULL,
    endpoint_id text COLLATE "C" NOT NULL REFERENCES delivery.webhook_endpoints ON DELETE CASCADE,
    webhook_id text COLLATE "C" NOT NULL, event text NOT NULL, payload text NOT NULL, traceparent text NOT NULL DEFAULT '',
    status text NOT NULL CHECK (status IN ('pending', 'delivered', 'failed', 'skipped')),
    tries integer NOT NULL DEFAULT 0, attempts integer NOT NULL DEFAULT 0, created_at timestamptz NOT NULL, ended_at timestamptz,
    UNIQUE (endpoint_id, webhook_id)) WITH (fillfactor = 80);
CREATE INDEX webhook_deliveries_by_endpoint ON delivery.webhook_deliveries (endpoint_id, created_at DESC, id DESC);
CREATE INDEX webhook_deliveries_by_age ON delivery.webhook_deliveries (created_at);

-- What is still to be sent, and when. A claim moves `due_at` to the end of its lease: who dies with it leaves it due again.
CREATE TABLE delivery.webhook_queue (
    delivery_id text COLLATE "C" PRIMARY KEY REFERENCES delivery.webhook_deliveries ON DELETE CASCADE,
    endpoint_id text COLLATE "C" NOT NULL, org_id text COLLATE "C" NOT NULL, due_at timestamptz NOT NULL, claimed_by text)
    WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);
CREATE INDEX webhook_queue_due ON delivery.webhook_queue (endpoint_id, due_at);

CREATE TABLE delivery.webhook_attempts (
    delivery_id text COLLATE "C" NOT NULL REFERENCES delivery.webhook_deliveries ON DELETE CASCADE, number integer NOT NULL,
    org_id text COLLATE "C" NOT NULL, at timestamptz NOT NULL, milliseconds integer NOT NULL, response_code integer,
    error_code text, error_message text, excerpt text, PRIMARY KEY (delivery_id, number));

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['webhook_endpoints', 'webhook_deliveries', 'webhook_queue', 'webhook_attempts'] LOOP
        EXECUTE format('ALTER TABLE delivery.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY tenant ON delivery.%I USING (org_id = current_setting(''app.org_id'', true))', t);
        EXECUTE format('CREATE POLICY dispatcher ON delivery.%I TO waybill_dispatcher USING (true)', t);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON delivery.%I TO waybill_delivery, waybill_dispatcher', t);
    END LOOP;
END $$;
RESET ROLE;
