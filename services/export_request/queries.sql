-- Every query of export_request. Under row-level security unless it says "across tenants": those run as waybill_dispatcher.

-- name: organisation()^
-- The caller's organisation (the policy shows no other).
SELECT * FROM tenancy.organisations;

-- name: enter(org_id)^
-- The caller's organisation; and for the rest of the transaction no instant stops being kept: the next statement's is one that pruning waits for, and what can
-- be seen by it now can be when this commits (services/ingest/pruning).
SELECT *, pg_advisory_xact_lock_shared(hashtextextended('exports.instants/' || :org_id, 0)) AS entered FROM tenancy.organisations WHERE org_id = :org_id;

-- name: organisation_at_instant(org_id, branded)^
-- Its settings, and the instant of an export accepted now. A logo is as large as everything else together: it is read where it is shown.
SELECT org_id, name, timezone, custom_properties, retention_days, require_purpose, require_password, qualification_threshold, operating_hours, redaction_profiles, approval_rows_threshold, CASE WHEN :branded::boolean THEN branding END AS branding, requests_per_second, exports_at_once, rows_a_day, pg_current_snapshot()::text AS snapshot
FROM tenancy.organisations WHERE org_id = :org_id;

-- name: lock_usage(org_id)!
-- One request of an organisation at a time looks at what is used and adds to it.
SELECT pg_advisory_xact_lock(hashtextextended('exports.usage/' || :org_id, 0));

-- name: used(org_id, today)^
SELECT (SELECT count(*) FROM exports.exports
        WHERE org_id = :org_id AND status IN ('accepted', 'awaiting_approval', 'planning', 'formatting', 'assembling', 'publishing')) AS running,
    coalesce((SELECT rows FROM tenancy.usage WHERE org_id = :org_id AND day = :today), 0) AS rows;

-- name: count_rows(org_id, rows, rows_a_day)$
SELECT tenancy.count_rows(:org_id, :rows, :rows_a_day);

-- name: available(org_id, rate)$
-- Requests left in the organisation's bucket at this moment.
SELECT left_over + extract(epoch FROM clock_timestamp() - at)::float * :rate FROM tenancy.request_buckets WHERE org_id = :org_id;

-- name: set_limits(org_id, name, requests_per_second, exports_at_once, rows_a_day)^
UPDATE tenancy.organisations SET name = :name, requests_per_second = :requests_per_second, exports_at_once = :exports_at_once,
    rows_a_day = :rows_a_day, updated_at = now() WHERE org_id = :org_id RETURNING *;

-- name: known_key(org_id, key)^
SELECT k.body_sha256, k.export_id, e.id IS NOT NULL AND e.deleted_at IS NULL AS there
FROM exports.idempotency_keys k LEFT JOIN exports.exports e ON e.id = k.export_id
WHERE k.org_id = :org_id AND k.key = :key;

-- name: remember_key(org_id, key, body_sha256, export_id)$
-- Waits for a concurrent request with the same key; null where that one won.
INSERT INTO exports.idempotency_keys (org_id, key, body_sha256, export_id)
VALUES (:org_id, :key, :body_sha256, :export_id) ON CONFLICT DO NOTHING RETURNING export_id;

-- name: rerun_source(id)^
-- An export that is to be run again or measured from, and whether its instant can still be seen: an erasure since may have taken away what it saw, and a
-- snapshot beyond the newest transaction is from another life of the database. Of a completed export nothing is pruned.
SELECT e.*, o.retention_days, o.approval_rows_threshold,
    EXISTS (SELECT FROM ingest.erasures r WHERE r.org_id = e.org_id AND NOT pg_visible_in_snapshot(r.erased_in, e.snapshot::pg_snapshot)
        AND r.oldest < pg_snapshot_xmax(e.snapshot::pg_snapshot)) AS erased,
    e.status <> 'completed' AND EXISTS (SELECT FROM ingest.prunings p WHERE p.org_id = e.org_id
        AND p.before > pg_snapshot_xmin(coalesce(e.since_snapshot, e.snapshot)::pg_snapshot)) AS pruned,
    pg_snapshot_xmax(e.snapshot::pg_snapshot) > pg_snapshot_xmax(pg_current_snapshot()) AS from_elsewhere
FROM exports.exports e JOIN tenancy.organisations o ON o.org_id = e.org_id WHERE e.id = :id AND e.deleted_at IS NULL;

-- name: add_export(id, org_id, request_id, request, requested_by, dataset, formats, labels, snapshot, spec, traceparent, lease_until, now, expires_at, chunk_rows_max, chunk_bytes_max, rerun_of, reproduces_sha256, purpose, protected, since, since_snapshot, schedule_id, file_stem, sftp_folder, approval_above, destinations)^
INSERT INTO exports.exports (id, org_id, request_id, request, requested_by, dataset, formats, labels, status, snapshot, spec, traceparent,
    lease_until, created_at, progressed_at, expires_at, chunk_rows_max, chunk_bytes_max, rerun_of, reproduces_sha256, purpose, protected, since, since_snapshot,
    schedule_id, file_stem, sftp_folder, approval_above, destinations)
VALUES (:id, :org_id, :request_id, :request, :requested_by, :dataset, :formats, :labels, 'accepted', :snapshot, :spec, :traceparent,
    :lease_until, :now, :now, :expires_at, :chunk_rows_max, :chunk_bytes_max, :rerun_of, :reproduces_sha256, :purpose, :protected, :since, :since_snapshot,
    :schedule_id, :file_stem, :sftp_folder, :approval_above, :destinations)
RETURNING *;

-- name: destinations(ids)
SELECT id, type FROM delivery.destinations WHERE id = ANY(:ids::text[]);

-- name: add_password(export_id, org_id, sealed)!
INSERT INTO exports.passwords (export_id, org_id, sealed) VALUES (:export_id, :org_id, :sealed);

-- name: forget_password(export_id)!
DELETE FROM exports.passwords WHERE export_id = :export_id;

-- name: export(id)^
SELECT * FROM exports.exports WHERE id = :id AND deleted_at IS NULL;

-- name: lock_export(id)^
SELECT * FROM exports.exports WHERE id = :id AND deleted_at IS NULL FOR UPDATE;

-- name: list_exports(org_id, labels, created_after, created_before, before_at, before_id, count)
SELECT * FROM exports.exports
WHERE org_id = :org_id AND deleted_at IS NULL AND labels @> :labels
  AND (:created_after::timestamptz IS NULL OR created_at > :created_after)
  AND (:created_before::timestamptz IS NULL OR created_at < :created_before)
  AND (:before_at::timestamptz IS NULL OR (created_at, id) < (:before_at, :before_id::text))
ORDER BY created_at DESC, id DESC LIMIT :count;

-- name: list_exports_by_state(org_id, statuses, datasets, labels, created_after, created_before, before_at, before_id, count)
-- Any of the statuses and datasets: the newest of each pair along its index, merged. A single query over all would read every export where few are found.
SELECT found.* FROM unnest(:statuses::text[]) s(status) CROSS JOIN unnest(:datasets::text[]) d(dataset) CROSS JOIN LATERAL (
    SELECT * FROM exports.exports e
    WHERE e.org_id = :org_id AND e.dataset = d.dataset AND e.status = s.status AND e.deleted_at IS NULL AND e.labels @> :labels
      AND (:created_after::timestamptz IS NULL OR e.created_at > :created_after)
      AND (:created_before::timestamptz IS NULL OR e.created_at < :created_before)
      AND (:before_at::timestamptz IS NULL OR (e.created_at, e.id) < (:before_at, :before_id::text))
    ORDER BY e.created_at DESC, e.id DESC LIMIT :count) found
ORDER BY found.created_at DESC, found.id DESC LIMIT :count;

-- name: list_exports_of_schedule(org_id, schedule_id, statuses, datasets, labels, created_after, created_before, before_at, before_id, count)
SELECT * FROM exports.exports
WHERE org_id = :org_id AND schedule_id = :schedule_id AND deleted_at IS NULL AND status = ANY(:statuses) AND dataset = ANY(:datasets) AND labels @> :labels
  AND (:created_after::timestamptz IS NULL OR created_at > :created_after)
  AND (:created_before::timestamptz IS NULL OR created_at < :created_before)
  AND (:before_at::timestamptz IS NULL OR (created_at, id) < (:before_at, :before_id::text))
ORDER BY created_at DESC, id DESC LIMIT :count;

-- name: rarest_label(org_id, names, values, count)^
-- Of several labels the one that the fewest exports carry, and how many, up to `count`.
SELECT a.name, a.value, few.exports FROM unnest(:names::text[], :values::text[]) a (name, value) CROSS JOIN LATERAL (
    SELECT count(*) AS exports FROM (SELECT FROM exports.labels l WHERE l.org_id = :org_id AND l.name = a.name AND l.value = a.value LIMIT :count) l) few
ORDER BY few.exports, a.name LIMIT 1;

-- name: list_exports_labelled(org_id, name, value, schedule_id, held, statuses, datasets, labels, created_after, created_before, before_at, before_id, count)
-- Along the index of one of the labels.
SELECT e.* FROM exports.labels l JOIN exports.exports e ON e.id = l.export_id
WHERE l.org_id = :org_id AND l.name = :name AND l.value = :value
  AND (:created_after::timestamptz IS NULL OR l.created_at > :created_after)
  AND (:created_before::timestamptz IS NULL OR l.created_at < :created_before)
  AND (:before_at::timestamptz IS NULL OR (l.created_at, l.export_id) < (:before_at, :before_id::text))
  AND e.org_id = :org_id AND e.deleted_at IS NULL AND e.status = ANY(:statuses) AND e.dataset = ANY(:datasets) AND e.labels @> :labels
  AND (:schedule_id::text IS NULL OR e.schedule_id = :schedule_id) AND (NOT :held::boolean OR e.hold_at IS NOT NULL)
ORDER BY l.created_at DESC, l.export_id DESC LIMIT :count;

-- name: list_exports_held(org_id, schedule_id, statuses, datasets, labels, created_after, created_before, before_at, before_id, count)
SELECT * FROM exports.exports
WHERE org_id = :org_id AND hold_at IS NOT NULL AND deleted_at IS NULL AND (:schedule_id::text IS NULL OR schedule_id = :schedule_id) AND status = ANY(:statuses) AND dataset = ANY(:datasets) AND labels @> :labels
  AND (:created_after::timestamptz IS NULL OR created_at > :created_after)
  AND (:created_before::timestamptz IS NULL OR created_at < :created_before)
  AND (:before_at::timestamptz IS NULL OR (created_at, id) < (:before_at, :before_id::text))
ORDER BY created_at DESC, id DESC LIMIT :count;

-- name: hold_export(id, reason, by, at)^
UPDATE exports.exports SET hold_reason = :reason, hold_by = :by, hold_at = :at WHERE id = :id RETURNING *;

-- name: delete_export(id, now)!
UPDATE exports.exports SET deleted_at = :now WHERE id = :id;

-- name: save_export(id, status, express, planned, rows_planned, chunks_planned, files_planned, rows_written, chunks_done, planned_to, lease_until, planned_at, files, error_code, error_message, started_at, completed_at, released_at, progressed_at, progress_told_at, redacted, excluded, awaiting_since, decided_by, decided_at, expires_at)^
-- All that a step can change, in one statement.
UPDATE exports.exports SET status = :status, express = :express, planned = :planned, rows_planned = :rows_planned,
    chunks_planned = :chunks_planned, files_planned = :files_planned, rows_written = :rows_written, chunks_done = :chunks_done,
    planned_to = :planned_to, lease_until = :lease_until, planned_at = :planned_at, files = :files, error_code = :error_code,
    error_message = :error_message, started_at = :started_at, completed_at = :completed_at, released_at = :released_at,
    progressed_at = :progressed_at, progress_told_at = :progress_told_at, redacted = :redacted, excluded = :excluded,
    awaiting_since = :awaiting_since, decided_by = :decided_by, decided_at = :decided_at, expires_at = :expires_at
WHERE id = :id RETURNING *;

-- name: tell_end(channel, export_id)!
-- Whoever waits for the export's end, in any process, once this has been committed.
SELECT pg_notify(:channel, :export_id);

-- name: queue_of(org_id, created_at, id)
-- Across tenants. How many exports wait for their first chunk to go out: earlier ones of this organisation, all of each other one.
SELECT org_id = :org_id AS own, count(*) AS waiting FROM exports.exports
WHERE status IN ('accepted', 'planning') AND started_at IS NULL AND (org_id <> :org_id OR (created_at, id) < (:created_at, :id))
GROUP BY org_id;

-- ---- planning

-- name: claim_plan(now, lease_until, first_steps)^
-- Across tenants. One export whose plan can go on: organisations in turn by their last step, then exports by theirs. First steps have a
-- lane of their own, so that a small export's plan never waits for a large one's.
UPDATE exports.exports SET lease_until = :lease_until
WHERE id = (
    SELECT e.id FROM exports.exports e
    WHERE e.status IN ('accepted', 'awaiting_approval', 'planning', 'formatting') AND NOT e.planned AND (e.chunks_planned = 0) = :first_steps
      AND (e.lease_until IS NULL OR e.lease_until < :now)
    ORDER BY (SELECT max(o.planned_at) FROM exports.exports o WHERE o.org_id = e.org_id AND o.status IN ('planning', 'formatting')) NULLS FIRST,
        e.planned_at NULLS FIRST, e.created_at, e.id
    FOR UPDATE SKIP LOCKED LIMIT 1)
RETURNING *;

-- name: plan_is_due(now, first_steps)$
-- Across tenants. Whether there is one that `claim_plan` would take, if nobody had its row in hand at this moment.
SELECT EXISTS (SELECT FROM exports.exports e
    WHERE e.status IN ('accepted', 'awaiting_approval', 'planning', 'formatting') AND NOT e.planned AND (e.chunks_planned = 0) = :first_steps
      AND (e.lease_until IS NULL OR e.lease_until < :now));

-- name: last_file(export_id)^
-- The last file of the plan so far, and its last chunk.
SELECT file_number, count(*) AS chunks, sum(rows)::bigint AS rows, (array_agg(rows ORDER BY number DESC))[1] AS last_rows,
       (array_agg(bytes ORDER BY number DESC))[1] AS last_bytes
FROM exports.chunks
WHERE export_id = :export_id AND file_number = (SELECT max(file_number) FROM exports.chunks WHERE export_id = :export_id)
GROUP BY file_number;

-- name: release_lease(id, lease_until)!
UPDATE exports.exports SET lease_until = :lease_until WHERE id = :id AND NOT planned;

-- name: add_chunks(export_id, org_id, number, file_number, position, lower, upper, rows, bytes, express)*!
INSERT INTO exports.chunks (export_id, org_id, number, file_number, position, lower, upper, rows, bytes, express)
VALUES (:export_id, :org_id, :number, :file_number, :position, :lower, :upper, :rows, :bytes, :express);

-- ---- releasing

-- name: lock_release(express, bulk)$
SELECT pg_advisory_xact_lock(:express), pg_advisory_xact_lock(:bulk);

-- name: in_flight()
-- Across tenants.
SELECT express, partition, count(*) AS chunks FROM exports.chunks WHERE state = 'released' GROUP BY express, partition;

-- name: waiting(express, slots)
-- Across tenants. Exports with chunks to release, at most `slots` an organisation.
SELECT * FROM (
    SELECT e.id, e.org_id, e.created_at, e.released_at, t.served_at, w.chunks,
        row_number() OVER (PARTITION BY e.org_id ORDER BY e.released_at NULLS FIRST, e.created_at, e.id) AS place
    FROM exports.exports e
    LEFT JOIN exports.turns t ON t.org_id = e.org_id
    CROSS JOIN LATERAL (SELECT count(*) AS chunks FROM (
        SELECT FROM exports.chunks c WHERE c.export_id = e.id AND c.state = 'planned' LIMIT :slots) few) w
    WHERE e.status IN ('planning', 'formatting') AND e.express = :express AND w.chunks > 0) ranked
WHERE place <= :slots;

-- name: lock_exports(ids)
-- Across tenants. Those that nobody else is working on at this moment.
SELECT * FROM exports.exports WHERE id = ANY(:ids) AND status IN ('planning', 'formatting') ORDER BY id FOR UPDATE SKIP LOCKED;

-- name: next_chunks(export_id, count)
SELECT number, lower, upper, rows FROM exports.chunks WHERE export_id = :export_id AND state = 'planned' ORDER BY number LIMIT :count;

-- name: mark_released(export_id, number, partition, now)*!
UPDATE exports.chunks SET state = 'released', partition = :partition, released_at = :now WHERE export_id = :export_id AND number = :number;

-- name: take_turn(org_id, now)*!
INSERT INTO exports.turns (org_id, served_at) VALUES (:org_id, :now) ON CONFLICT (org_id) DO UPDATE SET served_at = excluded.served_at;

-- ---- tracking

-- name: mark_done(export_id, number, parts, now)^
-- Nothing where the chunk is done already, or was never released.
UPDATE exports.chunks SET state = 'done', parts = :parts, done_at = :now
WHERE export_id = :export_id AND number = :number AND state <> 'done' RETURNING rows, file_number, released_at;

-- name: unsent(export_id, file_numbers)
-- What delivery still lacks of these files (null: of all), in order.
SELECT number, file_number, position, state = 'done' AS done, parts FROM exports.chunks
WHERE export_id = :export_id AND NOT sent AND (:file_numbers::integer[] IS NULL OR file_number = ANY(:file_numbers)) ORDER BY number;

-- name: mark_sent(export_id, numbers)!
UPDATE exports.chunks SET sent = true WHERE export_id = :export_id AND number = ANY(:numbers);

-- name: drop_chunks(export_id)!
DELETE FROM exports.chunks WHERE export_id = :export_id;

-- ---- sweeping

-- name: to_expire(now)
-- Across tenants.
SELECT * FROM exports.exports WHERE status = 'completed' AND hold_at IS NULL AND expires_at <= :now AND deleted_at IS NULL ORDER BY expires_at LIMIT 100 FOR UPDATE SKIP LOCKED;

-- name: to_lapse(since)
-- Across tenants. Exports that have waited for an approval from before.
SELECT * FROM exports.exports WHERE status = 'awaiting_approval' AND awaiting_since <= :since ORDER BY awaiting_since LIMIT 100 FOR UPDATE SKIP LOCKED;

-- name: to_recall()
-- Across tenants. Exports that may hold a person who was erased: their instant saw a version that the erasure took away, or may have. Those that began
-- after it see nothing of the person. With each the erasures (`erasures`) whose instant it is from before; of a held one, those that it isn't noted with.
SELECT e.*, r.erasures FROM exports.exports e CROSS JOIN LATERAL (
    SELECT array_agg(w.id) AS erasures FROM ingest.erasures w WHERE w.watched AND w.org_id = e.org_id AND w.erased_in >= pg_snapshot_xmin(e.snapshot::pg_snapshot)
        AND NOT pg_visible_in_snapshot(w.erased_in, e.snapshot::pg_snapshot) AND w.oldest < pg_snapshot_xmax(e.snapshot::pg_snapshot)
        AND (e.hold_at IS NULL OR NOT EXISTS (SELECT FROM exports.recalls k WHERE (k.org_id, k.erasure_id, k.export_id) = (e.org_id, w.id, e.id)))) r
WHERE e.org_id = ANY (ARRAY(SELECT DISTINCT w.org_id FROM ingest.erasures w WHERE w.watched)) AND r.erasures IS NOT NULL
  AND e.status IN ('accepted', 'awaiting_approval', 'planning', 'formatting', 'assembling', 'publishing', 'completed') AND e.deleted_at IS NULL
ORDER BY e.created_at LIMIT 100 FOR UPDATE OF e SKIP LOCKED;

-- name: to_recall_released()
-- Across tenants. What a hold kept from a recall, and nothing keeps any more.
SELECT e.* FROM exports.exports e
WHERE e.id IN (SELECT r.export_id FROM exports.recalls r WHERE r.recalled_at IS NULL) AND (e.hold_at IS NULL OR e.deleted_at IS NOT NULL)
ORDER BY e.created_at LIMIT 100 FOR UPDATE OF e SKIP LOCKED;

-- name: recalled(export_id, now)!
UPDATE exports.recalls SET recalled_at = :now WHERE export_id = :export_id AND recalled_at IS NULL;

-- name: add_recalls(org_id, erasures, export_id, ended_as, files, now)!
-- Across tenants. Erasures from before they had an id can't be asked for. `now` null: a hold keeps it.
INSERT INTO exports.recalls (org_id, erasure_id, export_id, ended_as, files, recalled_at)
SELECT :org_id, id, :export_id, :ended_as, :files, :now::timestamptz FROM unnest(:erasures::text[]) id WHERE id IS NOT NULL ON CONFLICT DO NOTHING;

-- name: watched_no_longer(seconds)!
-- Across tenants. No export is accepted any more at an instant from before these.
UPDATE ingest.erasures SET watched = false WHERE watched AND erased_at < now() - make_interval(secs => :seconds);

-- name: stalled(before)
-- Across tenants. Running exports with work out and nothing heard of it for long; one that waits for its turn isn't stalled.
SELECT * FROM exports.exports e
WHERE status IN ('accepted', 'awaiting_approval', 'planning', 'formatting', 'assembling', 'publishing') AND progressed_at < :before
  AND (NOT planned OR status IN ('assembling', 'publishing')
       OR EXISTS (SELECT FROM exports.chunks c WHERE c.export_id = e.id AND c.state = 'released'))
ORDER BY progressed_at LIMIT 100 FOR UPDATE SKIP LOCKED;

-- name: forget_exports(before, count)$
-- Across tenants. Exports that ended, or were deleted, before then. How many there were.
WITH old AS (
    SELECT id FROM exports.exports WHERE (status IN ('failed', 'cancelled', 'expired') OR deleted_at IS NOT NULL) AND coalesce(deleted_at, progressed_at) < :before
    ORDER BY coalesce(deleted_at, progressed_at) LIMIT :count FOR UPDATE SKIP LOCKED
), gone AS (DELETE FROM exports.exports e USING old WHERE e.id = old.id RETURNING e.id)
SELECT count(*) FROM gone;

-- name: forget_recalls(before)!
-- Across tenants.
DELETE FROM exports.recalls WHERE recalled_at < :before;

-- name: forget_usage(before)!
-- Across tenants.
DELETE FROM tenancy.usage WHERE day < :before;

-- name: prune_keys()!
-- Across tenants. A key is remembered as long as its export, and 30 days at least.
DELETE FROM exports.idempotency_keys k WHERE created_at < now() - interval '30 days'
  AND NOT EXISTS (SELECT FROM exports.exports e WHERE e.id = k.export_id AND e.deleted_at IS NULL);

-- ---- watching

-- name: running()
-- Across tenants.
SELECT status, count(*) AS exports FROM exports.exports
WHERE status IN ('accepted', 'awaiting_approval', 'planning', 'formatting', 'assembling', 'publishing') GROUP BY status;

-- name: silent_since()$
-- Across tenants. The running export with work out of which nothing was heard for longest.
SELECT min(progressed_at) FROM exports.exports e
WHERE status IN ('accepted', 'awaiting_approval', 'planning', 'formatting', 'assembling', 'publishing')
  AND (NOT planned OR status IN ('assembling', 'publishing')
       OR EXISTS (SELECT FROM exports.chunks c WHERE c.export_id = e.id AND c.state = 'released'));

-- name: chunks_by_state()
-- Across tenants.
SELECT express, state, count(*) AS chunks FROM exports.chunks WHERE state IN ('planned', 'released') GROUP BY express, state;

-- name: queues()
-- Across tenants. Since when each organisation waits for a first chunk to go out.
SELECT org_id, min(created_at) AS since FROM exports.exports
WHERE status IN ('accepted', 'planning') AND started_at IS NULL GROUP BY org_id;

-- ---- tenancy

-- name: add_organisation(org_id, name, timezone)^
INSERT INTO tenancy.organisations (org_id, name, timezone) VALUES (:org_id, :name, :timezone) ON CONFLICT DO NOTHING RETURNING *;

-- name: organisations(after, count)
-- Across tenants.
SELECT * FROM tenancy.organisations WHERE :after::text IS NULL OR org_id > :after ORDER BY org_id LIMIT :count;

-- name: save_settings(org_id, name, timezone, branding, retention_days, redaction_profiles, require_purpose, require_password, alert_channels, custom_properties, qualification_threshold, operating_hours, scoring, model_version, approval_rows_threshold)^
UPDATE tenancy.organisations SET name = :name, timezone = :timezone, branding = :branding, retention_days = :retention_days,
    redaction_profiles = :redaction_profiles, require_purpose = :require_purpose, require_password = :require_password, alert_channels = :alert_channels,
    custom_properties = :custom_properties, qualification_threshold = :qualification_threshold, operating_hours = :operating_hours,
    approval_rows_threshold = :approval_rows_threshold, scoring = :scoring, model_version = :model_version, updated_at = now()
WHERE org_id = :org_id RETURNING *;

-- name: lock_organisation(org_id)^
SELECT * FROM tenancy.organisations WHERE org_id = :org_id FOR UPDATE;

-- name: add_key(id, org_id, name, hash, scopes, expires_at)^
INSERT INTO tenancy.api_keys (id, org_id, name, hash, scopes, expires_at) VALUES (:id, :org_id, :name, :hash, :scopes, :expires_at)
RETURNING id, name, scopes, created_at, expires_at, revoked_at, last_used_at;

-- name: keys(org_id, after_at, after_id, count)
SELECT id, name, scopes, created_at, expires_at, revoked_at, last_used_at FROM tenancy.api_keys
WHERE org_id = :org_id AND (:after_at::timestamptz IS NULL OR (created_at, id) > (:after_at, :after_id::text)) ORDER BY created_at, id LIMIT :count;

-- name: lock_key(id, org_id)^
SELECT id, name, scopes, created_at, expires_at, revoked_at, last_used_at FROM tenancy.api_keys
WHERE id = :id AND org_id = :org_id AND revoked_at IS NULL FOR UPDATE;

-- name: revoke_key(id, org_id)$
UPDATE tenancy.api_keys SET revoked_at = now() WHERE id = :id AND org_id = :org_id AND revoked_at IS NULL RETURNING id;

-- name: key_name(id, org_id)$
SELECT name FROM tenancy.api_keys WHERE id = :id AND org_id = :org_id;

-- name: end_key(id, org_id, expires_at)!
UPDATE tenancy.api_keys SET expires_at = least(expires_at, :expires_at) WHERE id = :id AND org_id = :org_id;
