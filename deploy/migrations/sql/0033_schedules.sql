-- Schedules: exports that nobody asks for by hand. Only export_request writes here.
SET ROLE waybill_owner;

-- `export` is the request as it was sent, without from, to and password. The next window is [next_from, next_to); it is decided at `due_at`, unless the
-- schedule is paused or one of its runs is open (`open_run`): windows run one at a time, in order. `decided`: no window has been, so a new timing begins anew.
CREATE TABLE exports.schedules (
    id text COLLATE "C" PRIMARY KEY, org_id text COLLATE "C" NOT NULL, name text NOT NULL, export text NOT NULL, dataset text NOT NULL,
    frequency text, cron text, timezone text NOT NULL, sftp boolean NOT NULL DEFAULT false, catch_up text NOT NULL DEFAULT 'all' CHECK (catch_up IN ('all', 'newest')),
    protected boolean NOT NULL DEFAULT false, paused_at timestamptz, next_from timestamptz NOT NULL, next_to timestamptz NOT NULL, due_at timestamptz NOT NULL,
    open_run text COLLATE "C", decided boolean NOT NULL DEFAULT false, created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL,
    CHECK ((frequency IS NULL) <> (cron IS NULL)), CHECK (next_from < next_to));
CREATE INDEX schedules_by_org ON exports.schedules (org_id, created_at, id);
CREATE INDEX schedules_due ON exports.schedules (due_at) WHERE paused_at IS NULL AND open_run IS NULL;

-- A schedule's password, sealed: it can be changed and used, and is never shown. It goes with its schedule.
CREATE TABLE exports.schedule_passwords (
    schedule_id text COLLATE "C" PRIMARY KEY REFERENCES exports.schedules ON DELETE CASCADE, org_id text COLLATE "C" NOT NULL, sealed bytea NOT NULL);

CREATE TABLE exports.schedule_backfills (
    id text COLLATE "C" PRIMARY KEY, schedule_id text COLLATE "C" NOT NULL REFERENCES exports.schedules ON DELETE CASCADE, org_id text COLLATE "C" NOT NULL,
    from_at timestamptz NOT NULL, to_at timestamptz NOT NULL, windows integer NOT NULL, created_at timestamptz NOT NULL);
CREATE INDEX schedule_backfills_by_schedule ON exports.schedule_backfills (schedule_id, created_at DESC, id DESC);

-- What became of a window. `window_from` null: the dataset shows an instant. A waiting run starts at `start_at`; null: once the one before it in its backfill has ended.
-- `windows`: how many a skipped run stands for.
CREATE TABLE exports.schedule_runs (
    id text COLLATE "C" PRIMARY KEY, schedule_id text COLLATE "C" NOT NULL REFERENCES exports.schedules ON DELETE CASCADE, org_id text COLLATE "C" NOT NULL,
    kind text NOT NULL CHECK (kind IN ('scheduled', 'manual', 'backfill')), backfill_id text COLLATE "C" REFERENCES exports.schedule_backfills ON DELETE CASCADE,
    window_from timestamptz, window_to timestamptz NOT NULL, windows integer NOT NULL DEFAULT 1,
    status text NOT NULL CHECK (status IN ('waiting', 'running', 'completed', 'failed', 'cancelled', 'skipped')),
    start_at timestamptz, attempts integer NOT NULL DEFAULT 0, export_id text COLLATE "C", file_name text, rows bigint,
    code text, message text, created_at timestamptz NOT NULL, started_at timestamptz, ended_at timestamptz);
-- Each window runs once, however many schedulers there are.
CREATE UNIQUE INDEX schedule_runs_once ON exports.schedule_runs (schedule_id, window_to) WHERE kind = 'scheduled';
CREATE INDEX schedule_runs_by_schedule ON exports.schedule_runs (schedule_id, window_to DESC, id DESC);
CREATE INDEX schedule_runs_to_start ON exports.schedule_runs (start_at) WHERE status = 'waiting';
CREATE INDEX schedule_runs_by_export ON exports.schedule_runs (export_id) WHERE status = 'running';
CREATE INDEX schedule_runs_by_age ON exports.schedule_runs (ended_at);
CREATE INDEX schedule_runs_by_backfill ON exports.schedule_runs (backfill_id, window_to) WHERE backfill_id IS NOT NULL;

-- `file_stem`: what files are called, without number and endings; null: by dataset and export.
ALTER TABLE exports.exports ADD COLUMN schedule_id text COLLATE "C", ADD COLUMN file_stem text, ADD COLUMN sftp_folder text NOT NULL DEFAULT '';

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['schedules', 'schedule_passwords', 'schedule_backfills', 'schedule_runs'] LOOP
        EXECUTE format('ALTER TABLE exports.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY tenant ON exports.%I USING (org_id = current_setting(''app.org_id'', true))', t);
        EXECUTE format('CREATE POLICY dispatcher ON exports.%I TO waybill_dispatcher USING (true)', t);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON exports.%I TO waybill_export_request', t);
    END LOOP;
END $$;
GRANT SELECT, UPDATE ON exports.schedules TO waybill_dispatcher;
GRANT SELECT, INSERT, UPDATE, DELETE ON exports.schedule_runs TO waybill_dispatcher;
RESET ROLE;
