-- Every query of webhooks. Under row-level security unless it says "across tenants": those run as waybill_dispatcher.
-- Who locks endpoints and deliveries locks endpoints first, each in the order of their ids.

-- name: add_endpoint(id, org_id, url, description, events, secret, now)^
INSERT INTO delivery.webhook_endpoints (id, org_id, url, description, events, secret, created_at, updated_at)
VALUES (:id, :org_id, :url, :description, :events, :secret, :now, :now) RETURNING *;

-- name: count_endpoints(org_id)$
SELECT count(*) FROM delivery.webhook_endpoints WHERE org_id = :org_id;

-- name: endpoints(org_id, after_at, after_id, count)
SELECT * FROM delivery.webhook_endpoints
WHERE org_id = :org_id AND (:after_at::timestamptz IS NULL OR (created_at, id) > (:after_at, :after_id::text)) ORDER BY created_at, id LIMIT :count;

-- name: endpoint(id)^
SELECT * FROM delivery.webhook_endpoints WHERE id = :id;

-- name: lock_endpoint(id)^
SELECT * FROM delivery.webhook_endpoints WHERE id = :id FOR NO KEY UPDATE;

-- name: save_endpoint(id, url, description, events, enabled, disabled_reason, disabled_at, failing_since, failures, held_until, secret, previous_secret, previous_until, now)^
-- All that a request can change, in one statement.
UPDATE delivery.webhook_endpoints SET url = :url, description = :description, events = :events, enabled = :enabled, disabled_reason = :disabled_reason,
    disabled_at = :disabled_at, failing_since = :failing_since, failures = :failures, held_until = :held_until, secret = :secret,
    previous_secret = :previous_secret, previous_until = :previous_until, updated_at = :now
WHERE id = :id RETURNING *;

-- name: delete_endpoint(id)$
DELETE FROM delivery.webhook_endpoints WHERE id = :id RETURNING id;

-- name: skip_pending(endpoint_ids, now)!
-- Nothing more is sent to endpoints that are disabled.
WITH dropped AS (DELETE FROM delivery.webhook_queue WHERE endpoint_id = ANY(:endpoint_ids) RETURNING delivery_id)
UPDATE delivery.webhook_deliveries d SET status = 'skipped', ended_at = :now FROM dropped WHERE d.id = dropped.delivery_id;

-- ---- events

-- name: organisation_of(export_id)$
-- Across tenants.
SELECT org_id FROM exports.exports WHERE id = :export_id;

-- name: subscribers(event)
-- Held against being disabled until what they are told is written.
SELECT id, events, enabled, created_at FROM delivery.webhook_endpoints WHERE :event = ANY(events) ORDER BY id FOR SHARE;

-- name: add_delivery(id, org_id, endpoint_id, webhook_id, event, payload, traceparent, status, now, ended_at)$
-- Null where the endpoint has been told of the event.
INSERT INTO delivery.webhook_deliveries (id, org_id, endpoint_id, webhook_id, event, payload, traceparent, status, created_at, ended_at)
VALUES (:id, :org_id, :endpoint_id, :webhook_id, :event, :payload, :traceparent, :status, :now, :ended_at)
ON CONFLICT (endpoint_id, webhook_id) DO NOTHING RETURNING id;

-- name: enqueue(delivery_id, endpoint_id, org_id, due_at, claimed_by)!
INSERT INTO delivery.webhook_queue (delivery_id, endpoint_id, org_id, due_at, claimed_by) VALUES (:delivery_id, :endpoint_id, :org_id, :due_at, :claimed_by)
ON CONFLICT (delivery_id) DO UPDATE SET due_at = excluded.due_at, claimed_by = excluded.claimed_by;

-- ---- deliveries

-- name: deliveries(endpoint_id, statuses, before_at, before_id, count)
SELECT d.*, q.due_at, q.claimed_by FROM delivery.webhook_deliveries d LEFT JOIN delivery.webhook_queue q ON q.delivery_id = d.id
WHERE d.endpoint_id = :endpoint_id AND (:statuses::text[] IS NULL OR d.status = ANY(:statuses))
  AND (:before_at::timestamptz IS NULL OR (d.created_at, d.id) < (:before_at, :before_id::text))
ORDER BY d.created_at DESC, d.id DESC LIMIT :count;

-- name: delivery(endpoint_id, id)^
SELECT d.*, q.due_at, q.claimed_by FROM delivery.webhook_deliveries d LEFT JOIN delivery.webhook_queue q ON q.delivery_id = d.id
WHERE d.id = :id AND d.endpoint_id = :endpoint_id;

-- name: lock_delivery(endpoint_id, id)^
SELECT * FROM delivery.webhook_deliveries WHERE id = :id AND endpoint_id = :endpoint_id FOR NO KEY UPDATE;

-- name: last_attempts(delivery_ids, count)
SELECT a.* FROM unnest(:delivery_ids::text[]) AS wanted (id)
CROSS JOIN LATERAL (SELECT * FROM delivery.webhook_attempts a WHERE a.delivery_id = wanted.id ORDER BY a.number DESC LIMIT :count) a;

-- name: recover(endpoint_id, org_id, since, test_event, now)$
-- What failed or was skipped is pending again, from the beginning of its schedule.
WITH again AS (
    UPDATE delivery.webhook_deliveries SET status = 'pending', tries = 0, ended_at = NULL
    WHERE endpoint_id = :endpoint_id AND created_at >= :since AND status IN ('failed', 'skipped') AND event <> :test_event RETURNING id
), queued AS (
    INSERT INTO delivery.webhook_queue (delivery_id, endpoint_id, org_id, due_at) SELECT id, :endpoint_id, :org_id, :now FROM again
    ON CONFLICT (delivery_id) DO NOTHING
)
SELECT count(*) FROM again;

-- ---- sending (all across tenants)

-- name: claim(now, lease_until, worker, total, endpoint_places, organisation_places, endpoint_ids, endpoint_free, org_ids, org_free)
-- What is due, for as many as there are places: endpoints take turns within their organisation, organisations among each other. Goes from
-- endpoint to endpoint by the index, so a long queue of one costs the others nothing.
WITH RECURSIVE waiting AS (
    (SELECT endpoint_id FROM delivery.webhook_queue ORDER BY endpoint_id LIMIT 1)
    UNION ALL
    SELECT (SELECT q.endpoint_id FROM delivery.webhook_queue q WHERE q.endpoint_id > w.endpoint_id ORDER BY q.endpoint_id LIMIT 1)
    FROM waiting w WHERE w.endpoint_id IS NOT NULL
), due AS (
    SELECT q.delivery_id, e.org_id, q.due_at, row_number() OVER (PARTITION BY e.id ORDER BY q.due_at) AS turn
    FROM waiting w
    JOIN delivery.webhook_endpoints e ON e.id = w.endpoint_id AND e.enabled AND (e.held_until IS NULL OR e.held_until <= :now)
    LEFT JOIN unnest(:endpoint_ids::text[], :endpoint_free::integer[]) AS known (id, free) ON known.id = e.id
    CROSS JOIN LATERAL (
        SELECT q.delivery_id, q.due_at FROM delivery.webhook_queue q WHERE q.endpoint_id = e.id AND q.due_at <= :now
        ORDER BY q.due_at LIMIT coalesce(known.free, :endpoint_places::integer)) q
), ranked AS (
    SELECT due.*, row_number() OVER (PARTITION BY org_id ORDER BY turn, due_at) AS org_turn FROM due
), chosen AS (
    SELECT q.delivery_id
    FROM ranked r
    LEFT JOIN unnest(:org_ids::text[], :org_free::integer[]) AS known (org_id, free) ON known.org_id = r.org_id
    JOIN delivery.webhook_queue q ON q.delivery_id = r.delivery_id
    WHERE r.org_turn <= coalesce(known.free, :organisation_places::integer) AND q.due_at <= :now
    ORDER BY r.org_turn, r.due_at LIMIT :total FOR UPDATE OF q SKIP LOCKED
), claimed AS (
    UPDATE delivery.webhook_queue q SET due_at = :lease_until, claimed_by = :worker FROM chosen c WHERE q.delivery_id = c.delivery_id RETURNING q.delivery_id
)
SELECT d.id, d.org_id, d.endpoint_id, d.webhook_id, d.event, d.payload, d.traceparent, e.url, e.secret, CASE WHEN e.previous_until > :now THEN e.previous_secret END AS previous_secret
FROM claimed c JOIN delivery.webhook_deliveries d ON d.id = c.delivery_id JOIN delivery.webhook_endpoints e ON e.id = d.endpoint_id;

-- name: hand_back(delivery_ids, worker, now)!
-- What a process has claimed and not sent, on its way out.
UPDATE delivery.webhook_queue SET due_at = :now, claimed_by = NULL WHERE delivery_id = ANY(:delivery_ids) AND claimed_by = :worker;

-- name: lock_health(failing, succeeding)
-- Endpoints whose health the attempts may change: those that failed, and those that had failed before.
SELECT id, org_id, enabled, disabled_reason, failing_since, failures, held_until FROM delivery.webhook_endpoints
WHERE id = ANY(:failing::text[]) OR (id = ANY(:succeeding::text[]) AND failing_since IS NOT NULL) ORDER BY id FOR NO KEY UPDATE;

-- name: lock_deliveries(ids)
SELECT id, org_id, event, status, tries, attempts FROM delivery.webhook_deliveries WHERE id = ANY(:ids::text[]) ORDER BY id FOR NO KEY UPDATE;

-- name: save_deliveries(ids, statuses, tries, attempts, ended_at)!
UPDATE delivery.webhook_deliveries d SET status = s.status, tries = s.tries, attempts = s.attempts, ended_at = s.ended_at
FROM unnest(:ids::text[], :statuses::text[], :tries::integer[], :attempts::integer[], :ended_at::timestamptz[]) AS s (id, status, tries, attempts, ended_at)
WHERE d.id = s.id;

-- name: dequeue(ids)!
DELETE FROM delivery.webhook_queue WHERE delivery_id = ANY(:ids::text[]);

-- name: requeue(ids, due_at)!
UPDATE delivery.webhook_queue q SET due_at = s.due_at, claimed_by = NULL
FROM unnest(:ids::text[], :due_at::timestamptz[]) AS s (id, due_at) WHERE q.delivery_id = s.id;

-- name: add_attempts(ids, numbers, org_ids, at, milliseconds, codes, error_codes, error_messages, excerpts)!
INSERT INTO delivery.webhook_attempts (delivery_id, number, org_id, at, milliseconds, response_code, error_code, error_message, excerpt)
SELECT * FROM unnest(:ids::text[], :numbers::integer[], :org_ids::text[], :at::timestamptz[], :milliseconds::integer[], :codes::integer[],
    :error_codes::text[], :error_messages::text[], :excerpts::text[]);

-- name: save_health(ids, failing_since, failures, held_until, disabled_reasons, now)!
-- An endpoint that is disabled already stays as it is.
UPDATE delivery.webhook_endpoints e SET failing_since = s.failing_since, failures = s.failures, held_until = s.held_until,
    enabled = e.enabled AND s.reason IS NULL, disabled_reason = coalesce(e.disabled_reason, s.reason),
    disabled_at = CASE WHEN e.enabled AND s.reason IS NOT NULL THEN :now ELSE e.disabled_at END
FROM unnest(:ids::text[], :failing_since::timestamptz[], :failures::integer[], :held_until::timestamptz[], :disabled_reasons::text[])
    AS s (id, failing_since, failures, held_until, reason)
WHERE e.id = s.id;

-- ---- upkeep (all across tenants)

-- name: queue_facts(now)^
SELECT count(*) AS waiting, min(q.due_at) FILTER (WHERE q.due_at <= :now AND e.enabled AND (e.held_until IS NULL OR e.held_until <= :now)) AS oldest
FROM delivery.webhook_queue q JOIN delivery.webhook_endpoints e ON e.id = q.endpoint_id;

-- name: prune(before, count)$
WITH old AS (
    SELECT d.id FROM delivery.webhook_deliveries d WHERE d.created_at < :before AND d.status <> 'pending' ORDER BY d.created_at LIMIT :count
), gone AS (DELETE FROM delivery.webhook_deliveries d USING old WHERE d.id = old.id AND d.status <> 'pending' RETURNING d.id)
SELECT count(*) FROM gone;

-- name: sealed_before(prefix, prefix_bytes, after)
-- Endpoints whose secrets were sealed with another key than the present one.
SELECT id, secret, previous_secret FROM delivery.webhook_endpoints
WHERE (substring(secret FROM 1 FOR :prefix_bytes) <> :prefix OR substring(previous_secret FROM 1 FOR :prefix_bytes) <> :prefix) AND id > :after
ORDER BY id LIMIT 500 FOR NO KEY UPDATE;

-- name: save_secrets(id, secret, previous_secret)!
UPDATE delivery.webhook_endpoints SET secret = :secret, previous_secret = :previous_secret WHERE id = :id;
