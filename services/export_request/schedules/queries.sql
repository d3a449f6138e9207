-- Every query of schedules. Under row-level security unless it says "across tenants": those run as waybill_dispatcher.

-- name: count_schedules(org_id)$
SELECT count(*) FROM exports.schedules WHERE org_id = :org_id;

-- name: add_schedule(id, org_id, name, export, dataset, frequency, cron, timezone, sftp, destinations, catch_up, protected, next_from, next_to, due_at, now)^
INSERT INTO exports.schedules (id, org_id, name, export, dataset, frequency, cron, timezone, sftp, destinations, catch_up, protected, next_from, next_to, due_at, created_at, updated_at)
VALUES (:id, :org_id, :name, :export, :dataset, :frequency, :cron, :timezone, :sftp, :destinations, :catch_up, :protected, :next_from, :next_to, :due_at, :now, :now) RETURNING *;

-- name: put_password(schedule_id, org_id, sealed)!
INSERT INTO exports.schedule_passwords (schedule_id, org_id, sealed) VALUES (:schedule_id, :org_id, :sealed)
ON CONFLICT (schedule_id) DO UPDATE SET sealed = excluded.sealed;

-- name: forget_password(schedule_id)!
DELETE FROM exports.schedule_passwords WHERE schedule_id = :schedule_id;

-- name: password(schedule_id)$
SELECT sealed FROM exports.schedule_passwords WHERE schedule_id = :schedule_id;

-- name: schedule(id)^
SELECT * FROM exports.schedules WHERE id = :id;

-- name: lock_schedule(id)^
SELECT * FROM exports.schedules WHERE id = :id FOR UPDATE;

-- name: lock_schedule_at_once(id)^
-- Nothing where somebody else works on it.
SELECT * FROM exports.schedules WHERE id = :id FOR UPDATE SKIP LOCKED;

-- name: list_schedules(org_id, after_at, after_id, count)
SELECT * FROM exports.schedules
WHERE org_id = :org_id AND (:after_at::timestamptz IS NULL OR (created_at, id) > (:after_at, :after_id::text))
ORDER BY created_at, id LIMIT :count;

-- name: last_runs(schedule_ids)
-- The newest run of each.
SELECT r.* FROM unnest(:schedule_ids::text[]) s(id)
CROSS JOIN LATERAL (SELECT * FROM exports.schedule_runs WHERE schedule_id = s.id ORDER BY window_to DESC, id DESC LIMIT 1) r;

-- name: save_schedule(id, name, export, dataset, frequency, cron, timezone, sftp, destinations, catch_up, protected, paused_at, next_from, next_to, due_at, now)^
UPDATE exports.schedules SET name = :name, export = :export, dataset = :dataset, frequency = :frequency, cron = :cron, timezone = :timezone, sftp = :sftp, destinations = :destinations,
    catch_up = :catch_up, protected = :protected, paused_at = :paused_at, next_from = :next_from, next_to = :next_to, due_at = :due_at, updated_at = :now
WHERE id = :id RETURNING *;

-- name: delete_schedule(id)$
-- With its runs, backfills and password.
DELETE FROM exports.schedules WHERE id = :id RETURNING id;

-- ---- runs

-- name: list_runs(schedule_id, statuses, before_at, before_id, count)
SELECT * FROM exports.schedule_runs
WHERE schedule_id = :schedule_id AND (:statuses::text[] IS NULL OR status = ANY(:statuses))
  AND (:before_at::timestamptz IS NULL OR (window_to, id) < (:before_at, :before_id::text))
ORDER BY window_to DESC, id DESC LIMIT :count;

-- name: deliveries_of(export_ids)
-- What became of these exports' files, as delivery keeps it.
SELECT id, export_id, destination_id, type, status, attempts, error_code, error_message FROM delivery.deliveries
WHERE export_id = ANY(:export_ids::text[]) ORDER BY export_id, id;

-- name: run(id)^
SELECT * FROM exports.schedule_runs WHERE id = :id;

-- name: add_run(id, schedule_id, org_id, kind, backfill_id, window_from, window_to, windows, status, start_at, code, message, now, ended_at)*!
INSERT INTO exports.schedule_runs (id, schedule_id, org_id, kind, backfill_id, window_from, window_to, windows, status, start_at, code, message, created_at, ended_at)
VALUES (:id, :schedule_id, :org_id, :kind, :backfill_id, :window_from, :window_to, :windows, :status, :start_at, :code, :message, :now, :ended_at);

-- name: windows_run(schedule_id, from_at, to_at)
-- Windows in this range that have run or are about to.
SELECT DISTINCT window_from, window_to FROM exports.schedule_runs
WHERE schedule_id = :schedule_id AND window_to > :from_at AND window_to <= :to_at AND status IN ('waiting', 'running', 'completed');

-- name: add_backfill(id, schedule_id, org_id, from_at, to_at, windows, now)!
INSERT INTO exports.schedule_backfills (id, schedule_id, org_id, from_at, to_at, windows, created_at)
VALUES (:id, :schedule_id, :org_id, :from_at, :to_at, :windows, :now);

-- name: backfills(schedule_id, count)
-- The newest, with how far they are.
SELECT b.*, c.* FROM exports.schedule_backfills b CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE status = 'waiting') AS waiting, count(*) FILTER (WHERE status = 'running') AS running,
        count(*) FILTER (WHERE status = 'completed') AS completed, count(*) FILTER (WHERE status = 'failed') AS failed,
        count(*) FILTER (WHERE status = 'cancelled') AS cancelled
    FROM exports.schedule_runs r WHERE r.backfill_id = b.id) c
WHERE b.schedule_id = :schedule_id ORDER BY b.created_at DESC, b.id DESC LIMIT :count;

-- ---- the scheduler

-- name: due(now, count)
-- Across tenants. Schedules whose next window has ended and whose moment has come; those that another scheduler decides right now are left to it.
SELECT * FROM exports.schedules WHERE due_at <= :now AND paused_at IS NULL AND open_run IS NULL
ORDER BY due_at LIMIT :count FOR UPDATE SKIP LOCKED;

-- name: advance(id, next_from, next_to, due_at, open_run)*!
-- Across tenants.
UPDATE exports.schedules SET next_from = :next_from, next_to = :next_to, due_at = :due_at, open_run = :open_run, decided = true WHERE id = :id;

-- name: to_start(now, count)
-- Across tenants.
SELECT id, org_id, schedule_id FROM exports.schedule_runs WHERE status = 'waiting' AND start_at <= :now ORDER BY start_at, id LIMIT :count;

-- name: lock_run(id, now)^
SELECT * FROM exports.schedule_runs WHERE id = :id AND status = 'waiting' AND start_at <= :now FOR UPDATE SKIP LOCKED;

-- name: run_started(id, export_id, file_name, since, whole_code, whole_message, now)!
UPDATE exports.schedule_runs SET status = 'running', export_id = :export_id, file_name = :file_name, attempts = attempts + 1,
    started_at = coalesce(started_at, :now), code = NULL, message = NULL,
    since = :since, whole_code = :whole_code, whole_message = :whole_message WHERE id = :id;

-- name: running(schedule_id)$
-- Another run of the schedule that is under way.
SELECT id FROM exports.schedule_runs WHERE schedule_id = :schedule_id AND status = 'running' LIMIT 1;

-- name: run_before(schedule_id)^
-- The export of the newest run that was completed, by when its instant was taken; also where it has been deleted since.
SELECT e.id, e.spec FROM exports.schedule_runs r JOIN exports.exports e ON e.id = r.export_id
WHERE r.schedule_id = :schedule_id AND r.status = 'completed' ORDER BY e.created_at DESC, e.id DESC LIMIT 1;

-- name: go_on(schedule_id, code, now)!
-- Runs that waited for the one that has ended.
UPDATE exports.schedule_runs SET start_at = :now WHERE schedule_id = :schedule_id AND status = 'waiting' AND code = :code;

-- name: run_waits(id, start_at, code, message, uncounted)!
UPDATE exports.schedule_runs SET status = 'waiting', start_at = :start_at, code = :code, message = :message, attempts = attempts - :uncounted WHERE id = :id;

-- name: others_wait(org_id, now, start_at, code, message)!
-- What else of the organisation would start now meets the same limit.
UPDATE exports.schedule_runs SET start_at = :start_at, code = :code, message = :message WHERE org_id = :org_id AND status = 'waiting' AND start_at <= :now;

-- name: run_of_export(export_id)^
SELECT * FROM exports.schedule_runs WHERE export_id = :export_id AND status = 'running' FOR UPDATE;

-- name: run_ended(id, status, code, message, file_name, rows, now)!
UPDATE exports.schedule_runs SET status = :status, code = :code, message = :message, file_name = coalesce(:file_name, file_name), rows = :rows, ended_at = :now
WHERE id = :id;

-- name: close_run(schedule_id, run_id)!
-- The schedule's next window may be decided.
UPDATE exports.schedules SET open_run = NULL WHERE id = :schedule_id AND open_run = :run_id;

-- name: next_of_backfill(backfill_id, now)!
UPDATE exports.schedule_runs SET start_at = :now WHERE id = (
    SELECT id FROM exports.schedule_runs WHERE backfill_id = :backfill_id AND status = 'waiting' AND start_at IS NULL ORDER BY window_to LIMIT 1);

-- name: prune_runs(before)!
-- Across tenants.
DELETE FROM exports.schedule_runs WHERE ended_at < :before;

-- ---- watching

-- name: scheduling()^
-- Across tenants. How much waits, and since when the oldest that is due.
SELECT (SELECT count(*) FROM exports.schedule_runs WHERE status = 'waiting' AND start_at IS NOT NULL) AS waiting,
    (SELECT count(*) FROM exports.schedule_runs WHERE status = 'running') AS running,
    least((SELECT min(due_at) FROM exports.schedules WHERE paused_at IS NULL AND open_run IS NULL),
          (SELECT min(start_at) FROM exports.schedule_runs WHERE status = 'waiting' AND code IS NULL)) AS due_since;
