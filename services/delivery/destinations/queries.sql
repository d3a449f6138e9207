-- Every query of destinations. Under row-level security unless it says "across tenants": those run as waybill_courier.
-- Who locks destinations and deliveries locks destinations first, each in the order of their ids.

-- name: add_destination(id, org_id, name, type, config, secrets, sealed, created_by, now)^
INSERT INTO delivery.destinations (id, org_id, name, type, config, secrets, sealed, created_by, created_at, updated_at)
VALUES (:id, :org_id, :name, :type, :config, :secrets, :sealed, :created_by, :now, :now) RETURNING *;

-- name: count_destinations(org_id)$
SELECT count(*) FROM delivery.destinations WHERE org_id = :org_id;

-- name: destinations(org_id, after_at, after_id, count)
SELECT * FROM delivery.destinations
WHERE org_id = :org_id AND (:after_at::timestamptz IS NULL OR (created_at, id) > (:after_at, :after_id::text)) ORDER BY created_at, id LIMIT :count;

-- name: destination(id)^
SELECT * FROM delivery.destinations WHERE id = :id;

-- name: lock_destination(id)^
SELECT * FROM delivery.destinations WHERE id = :id FOR NO KEY UPDATE;

-- name: lock_destination_to_delete(id)^
SELECT * FROM delivery.destinations WHERE id = :id FOR UPDATE;

-- name: save_destination(id, name, config, secrets, sealed, now)^
UPDATE delivery.destinations SET name = :name, config = :config, secrets = :secrets, sealed = :sealed, updated_at = :now WHERE id = :id RETURNING *;

-- name: save_health(id, failures, failing_since, paused_reason, now)^
-- One that is paused already stays so since when it was.
UPDATE delivery.destinations SET failures = :failures, failing_since = :failing_since, paused_reason = :paused_reason,
    paused_at = CASE WHEN :paused_reason::text IS NULL THEN NULL ELSE coalesce(paused_at, :now) END
WHERE id = :id RETURNING *;

-- name: leave_alone(id, until)!
UPDATE delivery.destinations SET held_until = greatest(held_until, :until) WHERE id = :id;

-- name: save_test(id, code, now)^
UPDATE delivery.destinations SET tested_at = :now, test_code = :code WHERE id = :id RETURNING *;

-- name: delete_destination(id)!
DELETE FROM delivery.destinations WHERE id = :id;

-- name: schedules_using(org_id, destination)
-- Of export_request's: what names the destination. `destination` is [{"id": …}].
SELECT id, name FROM exports.schedules WHERE org_id = :org_id AND destinations::jsonb @> :destination::jsonb ORDER BY id LIMIT 10;

-- name: keep_leftovers(destination_id, now)!
-- What is half there, of deliveries that have nowhere to go any more; and how to get there.
INSERT INTO delivery.leftovers (destination_id, org_id, type, config, sealed, notes, created_at)
SELECT p.id, p.org_id, p.type, p.config, p.sealed, json_agg(d.notes)::text, :now
FROM delivery.destinations p JOIN (
    SELECT d.destination_id, json_object_agg(f.name, f.note) AS notes FROM delivery.deliveries d JOIN delivery.delivery_files f ON f.delivery_id = d.id
    WHERE d.destination_id = :destination_id AND f.sent_at IS NULL AND f.note IS NOT NULL GROUP BY d.destination_id, d.id) d ON d.destination_id = p.id
WHERE p.id = :destination_id GROUP BY p.id;

-- name: hold(destination_id, now)!
-- Its destination is paused. What is under way goes on to its end.
UPDATE delivery.deliveries SET status = 'held', due_at = NULL, claimed_by = NULL
WHERE destination_id = :destination_id AND status = 'pending' AND (claimed_by IS NULL OR due_at <= :now);

-- name: release(destination_id, now)$
WITH released AS (
    UPDATE delivery.deliveries SET status = 'pending', tries = 0, due_at = :now WHERE destination_id = :destination_id AND status = 'held' RETURNING id
)
SELECT count(*) FROM released;

-- name: cancel_of_destination(destination_id, code, message, now)$
-- Whether one of them was under way: who brings it hears of this when the lease is renewed.
WITH open AS (
    SELECT id, claimed_by IS NOT NULL AND due_at > :now AS claimed FROM delivery.deliveries WHERE destination_id = :destination_id AND status IN ('pending', 'held')
    ORDER BY id FOR NO KEY UPDATE
), cancelled AS (
    UPDATE delivery.deliveries d SET status = 'cancelled', due_at = NULL, claimed_by = NULL, error_code = :code, error_message = :message, ended_at = :now
    FROM open WHERE d.id = open.id
)
SELECT coalesce(bool_or(claimed), false) FROM open;

-- ---- what came in

-- name: organisation_of(export_id)$
-- Across tenants.
SELECT org_id FROM exports.exports WHERE id = :export_id;

-- name: export(id)^
-- What an export is to be brought as, and where to.
SELECT e.org_id, e.dataset, e.schedule_id, e.destinations, e.since IS NOT NULL AND e.schedule_id IS NOT NULL AS in_order,
    coalesce((SELECT sum(a.bytes) FROM delivery.assemblies a WHERE a.export_id = e.id), 0)::bigint AS bytes
FROM exports.exports e WHERE e.id = :id;

-- name: share_destinations(ids)
-- Held against being paused or deleted until their deliveries are written.
SELECT id, name, type, paused_reason FROM delivery.destinations WHERE id = ANY(:ids::text[]) ORDER BY id FOR SHARE;

-- name: add_delivery(id, org_id, export_id, schedule_id, destination_id, key, type, recipients, event, small, in_order, status, due_at, error_code, error_message, traceparent, now, ended_at)$
-- Null where there is one already.
INSERT INTO delivery.deliveries (id, org_id, export_id, schedule_id, destination_id, key, type, recipients, event, small, in_order, status, due_at, error_code, error_message,
    traceparent, created_at, ended_at)
VALUES (:id, :org_id, :export_id, :schedule_id, :destination_id, :key, :type, :recipients, :event, :small, :in_order, :status, :due_at, :error_code, :error_message,
    :traceparent, :now, :ended_at)
ON CONFLICT (export_id, key) DO NOTHING RETURNING id;

-- name: cancel_of_export(export_id, code, message, now)!
-- What is under way hears of it when its lease is renewed.
UPDATE delivery.deliveries SET status = 'cancelled', due_at = NULL, error_code = :code, error_message = :message, ended_at = :now
WHERE export_id = :export_id AND status IN ('pending', 'held') AND claimed_by IS NULL;

-- ---- deliveries

-- name: deliveries(org_id, export_id, destination_id, schedule_id, statuses, before_at, before_id, count)
SELECT d.*, p.name AS destination_name FROM delivery.deliveries d LEFT JOIN delivery.destinations p ON p.id = d.destination_id
WHERE d.org_id = :org_id AND (:export_id::text IS NULL OR d.export_id = :export_id) AND (:destination_id::text IS NULL OR d.destination_id = :destination_id)
  AND (:schedule_id::text IS NULL OR d.schedule_id = :schedule_id) AND (:statuses::text[] IS NULL OR d.status = ANY(:statuses))
  AND (:before_at::timestamptz IS NULL OR (d.created_at, d.id) < (:before_at, :before_id::text))
ORDER BY d.created_at DESC, d.id DESC LIMIT :count;

-- name: delivery(id)^
SELECT d.*, p.name AS destination_name FROM delivery.deliveries d LEFT JOIN delivery.destinations p ON p.id = d.destination_id WHERE d.id = :id;

-- name: lock_delivery(id)^
SELECT * FROM delivery.deliveries WHERE id = :id FOR NO KEY UPDATE;

-- name: delivery_files(id)
-- The export's files while they are there, and what was brought.
SELECT coalesce(f.name, a.name) AS name, f.place, f.sent_at
FROM (SELECT name, format, file_number FROM delivery.assemblies WHERE export_id = (SELECT export_id FROM delivery.deliveries WHERE id = :id)) a
FULL JOIN (SELECT name, place, sent_at FROM delivery.delivery_files WHERE delivery_id = :id) f ON f.name = a.name
ORDER BY a.format, a.file_number, name;

-- name: attempts(id)
SELECT * FROM delivery.delivery_attempts WHERE delivery_id = :id ORDER BY number DESC LIMIT 50;

-- name: save_delivery(id, status, tries, attempts, due_at, error_code, error_message, ended_at)!
-- Whoever had claimed it has no more to say.
UPDATE delivery.deliveries SET status = :status, tries = :tries, attempts = :attempts, due_at = :due_at, error_code = :error_code, error_message = :error_message,
    ended_at = :ended_at, claimed_by = NULL
WHERE id = :id;

-- name: forget_sent(delivery_id, everything)!
-- What is brought again: everything, or only what came back. What is half there keeps its note, by which it is gone on with or taken away; of what was about to get
-- its name nobody knows where it is.
DELETE FROM delivery.delivery_files
WHERE delivery_id = :delivery_id AND ((sent_at IS NOT NULL AND (:everything OR note = 'came back')) OR (sent_at IS NULL AND note LIKE '%"placing": true%'));

-- name: add_attempt(delivery_id, number, org_id, at, milliseconds, error_code, error_message)!
INSERT INTO delivery.delivery_attempts (delivery_id, number, org_id, at, milliseconds, error_code, error_message)
VALUES (:delivery_id, :number, :org_id, :at, :milliseconds, :error_code, :error_message);

-- ---- bringing

-- name: lock_claims()$
-- Across tenants. One process claims at a time, so that no two give one destination too much; who finds it taken looks again in a moment.
SELECT pg_try_advisory_xact_lock(hashtext('waybill deliveries'));

-- name: claim(now, lease_until, claim, total, large, organisation_places, organisation_large, destination_places)
-- Across tenants. What is due, for as many as there are places: destinations take turns within their organisation, organisations among each other. Goes from queue to
-- queue by the index, so a long queue of one destination costs the others nothing. Of large ones at most `large`: a small one finds a place; and of one organisation at most
-- `organisation_large`, so that a few slow servers are nobody else's trouble. What is to come in order (a schedule's deltas) waits for what is older and still open.
WITH RECURSIVE waiting AS (
    (SELECT key FROM delivery.deliveries WHERE due_at IS NOT NULL ORDER BY key LIMIT 1)
    UNION ALL
    SELECT (SELECT d.key FROM delivery.deliveries d WHERE d.due_at IS NOT NULL AND d.key > w.key ORDER BY d.key LIMIT 1)
    FROM waiting w WHERE w.key IS NOT NULL
), busy AS (
    SELECT key, org_id, small FROM delivery.deliveries WHERE claimed_by IS NOT NULL AND due_at > :now
), due AS (
    SELECT q.id, q.org_id, q.due_at, q.small, row_number() OVER (PARTITION BY w.key ORDER BY q.due_at, q.id) AS turn
    FROM (SELECT w.key FROM waiting w LEFT JOIN delivery.destinations p ON p.id = w.key WHERE p.paused_reason IS NULL AND (p.held_until IS NULL OR p.held_until <= :now)) w
    CROSS JOIN LATERAL (
        SELECT d.id, d.org_id, d.due_at, d.small FROM delivery.deliveries d WHERE d.key = w.key AND d.due_at <= :now AND NOT (d.in_order AND EXISTS (
            SELECT FROM delivery.deliveries o WHERE o.key = d.key AND o.due_at IS NOT NULL AND o.schedule_id = d.schedule_id AND o.created_at < d.created_at))
        ORDER BY d.due_at, d.id
        LIMIT greatest(0, :destination_places::integer - (SELECT count(*) FROM busy b WHERE b.key = w.key))) q
), ranked AS (
    SELECT due.*, row_number() OVER (PARTITION BY org_id ORDER BY turn, due_at, id) AS org_turn,
        row_number() OVER (PARTITION BY org_id, small ORDER BY turn, due_at, id) AS org_size_turn FROM due
), fair AS (
    SELECT r.*, row_number() OVER (PARTITION BY r.small ORDER BY r.org_turn, r.due_at, r.id) AS size_turn FROM ranked r
    WHERE r.org_turn <= :organisation_places::integer - (SELECT count(*) FROM busy b WHERE b.org_id = r.org_id)
      AND (r.small OR r.org_size_turn <= :organisation_large::integer - (SELECT count(*) FROM busy b WHERE b.org_id = r.org_id AND NOT b.small))
), chosen AS (
    SELECT d.id FROM fair f JOIN delivery.deliveries d ON d.id = f.id
    WHERE (f.small OR f.size_turn <= :large::integer) AND d.due_at <= :now
    ORDER BY f.org_turn, f.due_at, f.id LIMIT :total FOR UPDATE OF d SKIP LOCKED
), claimed AS (
    UPDATE delivery.deliveries d SET due_at = :lease_until, claimed_by = :claim FROM chosen c WHERE d.id = c.id RETURNING d.*
)
SELECT c.id, c.org_id, c.export_id, c.schedule_id, c.destination_id, c.type, c.recipients, c.event, c.small, c.traceparent, c.claimed_by,
    p.name AS destination_name, coalesce(p.config, '{}') AS config, p.sealed
FROM claimed c LEFT JOIN delivery.destinations p ON p.id = c.destination_id;

-- name: renew(ids, claims, lease_until)
-- Across tenants. Those that are still who claimed them's, and whether there is still something to bring.
WITH renewed AS (
    UPDATE delivery.deliveries d SET due_at = :lease_until FROM unnest(:ids::text[], :claims::text[]) AS mine (id, claim)
    WHERE d.id = mine.id AND d.claimed_by = mine.claim RETURNING d.id, d.export_id
)
SELECT r.id, e.status, e.deleted_at IS NOT NULL AS deleted, e.expires_at, e.hold_at IS NOT NULL AS held, p.published_at, coalesce(p.discard = 'files', false) AS discarded
FROM renewed r LEFT JOIN exports.exports e ON e.id = r.export_id LEFT JOIN delivery.publications p ON p.export_id = r.export_id;

-- name: hand_back(ids, claims, now)!
-- Across tenants. What a process has claimed and not ended, on its way out.
UPDATE delivery.deliveries d SET claimed_by = NULL, status = CASE WHEN p.paused_reason IS NULL THEN 'pending' ELSE 'held' END,
    due_at = CASE WHEN p.paused_reason IS NULL THEN :now::timestamptz END
FROM unnest(:ids::text[], :claims::text[]) AS mine (id, claim)
JOIN delivery.deliveries m ON m.id = mine.id
LEFT JOIN delivery.destinations p ON p.id = m.destination_id
WHERE d.id = mine.id AND d.claimed_by = mine.claim;

-- name: freight(export_id)^
-- What an export is called by, and whether its files may be had.
SELECT e.status, e.deleted_at IS NOT NULL AS deleted, e.expires_at, e.hold_at IS NOT NULL AS held, p.published_at, coalesce(p.discard = 'files', false) AS discarded, e.dataset, e.created_at,
    e.spec::json ->> 'timezone' AS timezone, (e.spec::json ->> 'from_')::timestamptz AS from_at, (e.spec::json ->> 'to')::timestamptz AS to_at
FROM exports.exports e LEFT JOIN delivery.publications p ON p.export_id = e.id
WHERE e.id = :export_id;

-- name: files(export_id)
SELECT a.name, a.media_type, a.key, a.bytes, a.sha256 FROM delivery.assemblies a JOIN exports.exports e ON e.id = a.export_id
WHERE a.export_id = :export_id AND a.state = 'assembled' ORDER BY array_position(e.formats, a.format), a.format, a.file_number;

-- name: ledger(delivery_id)
SELECT name, note, sent_at FROM delivery.delivery_files WHERE delivery_id = :delivery_id;

-- name: keep_note(delivery_id, claim, name, note)$
-- Null where the delivery is not who claimed it's any more.
INSERT INTO delivery.delivery_files (delivery_id, name, org_id, note)
SELECT d.id, :name, d.org_id, :note FROM delivery.deliveries d WHERE d.id = :delivery_id AND d.claimed_by = :claim FOR SHARE
ON CONFLICT (delivery_id, name) DO UPDATE SET note = excluded.note RETURNING true;

-- name: keep_sent(delivery_id, claim, name, place, now)$
INSERT INTO delivery.delivery_files (delivery_id, name, org_id, place, sent_at)
SELECT d.id, :name, d.org_id, :place, :now FROM delivery.deliveries d WHERE d.id = :delivery_id AND d.claimed_by = :claim FOR SHARE
ON CONFLICT (delivery_id, name) DO UPDATE SET place = excluded.place, sent_at = excluded.sent_at RETURNING true;

-- name: lock_claimed(id, claim)^
SELECT * FROM delivery.deliveries WHERE id = :id AND claimed_by = :claim FOR NO KEY UPDATE;

-- ---- upkeep (all across tenants)

-- name: leftovers(delivery_id, before, count)
-- What is half there of deliveries that were given up: of one, or of those that ended before.
SELECT d.id AS delivery_id, p.id, p.org_id, p.type, p.config, p.sealed, f.names, f.notes
FROM delivery.deliveries d
JOIN delivery.destinations p ON p.id = d.destination_id
CROSS JOIN LATERAL (
    SELECT array_agg(f.name) AS names, array_agg(f.note) AS notes FROM delivery.delivery_files f
    WHERE f.delivery_id = d.id AND f.sent_at IS NULL AND f.note IS NOT NULL) f
WHERE d.id IN (SELECT f.delivery_id FROM delivery.delivery_files f WHERE f.sent_at IS NULL AND f.note IS NOT NULL) AND f.names IS NOT NULL
  AND d.status IN ('failed', 'cancelled') AND (d.id = :delivery_id OR d.ended_at < :before) ORDER BY d.ended_at LIMIT :count;

-- name: forget_notes(delivery_id, names, notes)!
DELETE FROM delivery.delivery_files f USING unnest(:names::text[], :notes::text[]) AS gone (name, note)
WHERE f.delivery_id = :delivery_id AND f.name = gone.name AND f.note = gone.note AND f.sent_at IS NULL;

-- name: leftovers_of_deleted(destination_id, before, count)
-- Of destinations that were deleted: of one, or, of those that were before, those for which it wasn't tried for the longest time.
SELECT destination_id AS id, org_id, type, config, sealed, notes FROM delivery.leftovers
WHERE destination_id = :destination_id OR created_at < :before ORDER BY tried_at NULLS FIRST, destination_id LIMIT :count;

-- name: leftovers_tried(destination_id, now)!
UPDATE delivery.leftovers SET tried_at = :now WHERE destination_id = :destination_id;

-- name: forget_leftovers(destination_id)!
DELETE FROM delivery.leftovers WHERE destination_id = :destination_id;

-- name: give_up_leftovers(before)
DELETE FROM delivery.leftovers WHERE created_at < :before RETURNING destination_id;

-- name: queue_facts(now)^
-- The oldest of what could be brought: its destination is not left alone, and nobody is at it (a slow one's queue is its owner's trouble).
WITH busy AS (SELECT DISTINCT key FROM delivery.deliveries WHERE claimed_by IS NOT NULL AND due_at > :now)
SELECT count(*) FILTER (WHERE d.status = 'pending') AS waiting, count(*) FILTER (WHERE d.status = 'held') AS held,
    min(d.due_at) FILTER (WHERE d.due_at <= :now AND b.key IS NULL AND (p.held_until IS NULL OR p.held_until <= :now)) AS oldest
FROM delivery.deliveries d LEFT JOIN delivery.destinations p ON p.id = d.destination_id LEFT JOIN busy b ON b.key = d.key
WHERE d.due_at IS NOT NULL OR d.status = 'held';

-- name: cancel_pointless(code, message, now)$
-- Deliveries that wait for an export whose files are gone.
WITH gone AS (
    SELECT d.id FROM delivery.deliveries d LEFT JOIN exports.exports e ON e.id = d.export_id
    WHERE (d.due_at IS NOT NULL OR d.status = 'held') AND (d.claimed_by IS NULL OR d.due_at <= :now)
      AND (e.id IS NULL OR e.deleted_at IS NOT NULL OR e.status <> 'completed' OR (e.expires_at <= :now AND e.hold_at IS NULL))
    ORDER BY d.id LIMIT 2000 FOR NO KEY UPDATE OF d SKIP LOCKED
), cancelled AS (
    UPDATE delivery.deliveries d SET status = 'cancelled', due_at = NULL, claimed_by = NULL, error_code = :code, error_message = :message, ended_at = :now
    FROM gone WHERE d.id = gone.id RETURNING d.id
)
SELECT count(*) FROM cancelled;

-- name: prune(before, count)$
WITH old AS (
    SELECT d.id FROM delivery.deliveries d WHERE d.created_at < :before AND d.ended_at < :before AND d.status NOT IN ('pending', 'held') ORDER BY d.created_at LIMIT :count
), gone AS (DELETE FROM delivery.deliveries d USING old WHERE d.id = old.id AND d.status NOT IN ('pending', 'held') RETURNING d.id)
SELECT count(*) FROM gone;

-- name: sealed_before(prefix, prefix_bytes, after)
-- Destinations whose secrets were sealed with another key than the present one.
SELECT id, sealed FROM delivery.destinations WHERE substring(sealed FROM 1 FOR :prefix_bytes) <> :prefix AND id > :after ORDER BY id LIMIT 500 FOR NO KEY UPDATE;

-- name: save_sealed(id, sealed)!
UPDATE delivery.destinations SET sealed = :sealed WHERE id = :id;

-- name: leftovers_sealed_before(prefix, prefix_bytes, after)
-- The same of those that were deleted.
SELECT destination_id AS id, sealed FROM delivery.leftovers WHERE substring(sealed FROM 1 FOR :prefix_bytes) <> :prefix AND destination_id > :after
ORDER BY destination_id LIMIT 500 FOR NO KEY UPDATE;

-- name: save_leftovers_sealed(id, sealed)!
UPDATE delivery.leftovers SET sealed = :sealed WHERE destination_id = :id;

-- ---- mail that comes back

-- name: organisation_of_delivery(id)$
-- Across tenants.
SELECT org_id FROM delivery.deliveries WHERE id = :id;

-- name: came_back(delivery_id, name, place)!
-- It stays sent: it would only come back again.
UPDATE delivery.delivery_files SET place = :place, note = 'came back' WHERE delivery_id = :delivery_id AND name = :name;

-- name: came_back_of(delivery_id)$
-- Why one of its mails came back while others were still to be sent; null where none did.
SELECT place FROM delivery.delivery_files WHERE delivery_id = :delivery_id AND note = 'came back' AND sent_at IS NOT NULL LIMIT 1;
