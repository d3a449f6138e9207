-- Every query of notifications and alerts. Under row-level security unless it says "across tenants": those run as waybill_dispatcher.

-- name: add(id, org_id, key, kind, message, subject, topic, alerted, now)$
-- Null where it was told before. In whoever's transaction, an organisation's or across tenants.
INSERT INTO delivery.notifications (id, org_id, key, kind, message, subject, topic, alerted, created_at)
VALUES (:id, :org_id, :key, :kind, :message, :subject, :topic, :alerted, :now) ON CONFLICT (org_id, key) DO NOTHING RETURNING id;

-- name: page(org_id, kinds, created_after, created_before, before_at, before_id, count)
SELECT id, kind, message, subject, created_at FROM delivery.notifications
WHERE org_id = :org_id AND (:kinds::text[] IS NULL OR kind = ANY(:kinds))
  AND (:created_after::timestamptz IS NULL OR created_at > :created_after) AND (:created_before::timestamptz IS NULL OR created_at < :created_before)
  AND (:before_at::timestamptz IS NULL OR (created_at, id) < (:before_at, :before_id::text))
ORDER BY created_at DESC, id DESC LIMIT :count;

-- name: alerts_of(notification_ids)
SELECT notification_id, type, status, attempts, count, error_code, error_message FROM delivery.alerts
WHERE notification_id = ANY(:notification_ids::text[]) ORDER BY notification_id, id;

-- name: channels()^
-- The caller's organisation's.
SELECT name, alert_channels FROM tenancy.organisations;

-- ---- alerting (all across tenants)

-- name: to_alert(count)
-- Notifications whose alerts are to be queued, oldest first, with their organisations' channels.
SELECT n.id, n.org_id, n.topic, o.alert_channels FROM delivery.notifications n JOIN tenancy.organisations o ON o.org_id = n.org_id
WHERE NOT n.alerted ORDER BY n.created_at, n.id LIMIT :count FOR UPDATE OF n SKIP LOCKED;

-- name: alerted(ids)!
UPDATE delivery.notifications SET alerted = true WHERE id = ANY(:ids::text[]);

-- name: last_sent(org_id, channel, topic)$
SELECT max(ended_at) FROM delivery.alerts WHERE org_id = :org_id AND channel = :channel AND topic = :topic AND status = 'sent';

-- name: queue(id, org_id, notification_id, channel, type, topic, due_at, now)!
-- Where one waits already it tells of this one too.
INSERT INTO delivery.alerts (id, org_id, notification_id, channel, type, topic, status, due_at, created_at)
VALUES (:id, :org_id, :notification_id, :channel, :type, :topic, 'pending', :due_at, :now)
ON CONFLICT (org_id, channel, topic) WHERE status = 'pending' DO UPDATE SET notification_id = excluded.notification_id, count = delivery.alerts.count + 1;

-- name: claim(now, lease_until, count)
-- What is due, each organisation's oldest first, so that nobody waits for another's many.
WITH due AS (
    SELECT id, due_at, row_number() OVER (PARTITION BY org_id ORDER BY due_at, id) AS turn FROM delivery.alerts WHERE status = 'pending' AND due_at <= :now
), chosen AS (
    SELECT a.id FROM due d JOIN delivery.alerts a ON a.id = d.id WHERE a.status = 'pending' AND a.due_at <= :now ORDER BY d.turn, d.due_at LIMIT :count FOR UPDATE OF a SKIP LOCKED
), claimed AS (
    UPDATE delivery.alerts a SET due_at = :lease_until, attempts = a.attempts + 1 FROM chosen c WHERE a.id = c.id RETURNING a.*
)
SELECT c.id, c.org_id, c.channel, c.type, c.count, c.attempts, n.kind, n.message, n.subject, n.created_at, o.name AS organisation, o.alert_channels
FROM claimed c JOIN delivery.notifications n ON n.id = c.notification_id JOIN tenancy.organisations o ON o.org_id = c.org_id;

-- name: ended(id, attempts, status, error_code, error_message, now)!
-- Unless its lease ran out and somebody else has it.
UPDATE delivery.alerts SET status = :status, due_at = NULL, error_code = :error_code, error_message = :error_message, ended_at = :now
WHERE id = :id AND attempts = :attempts AND status = 'pending';

-- name: again(id, attempts, due_at, error_code, error_message)!
UPDATE delivery.alerts SET due_at = :due_at, error_code = :error_code, error_message = :error_message WHERE id = :id AND attempts = :attempts AND status = 'pending';

-- name: came_meanwhile(id, told)^
-- What came while an alert was sent, which it didn't tell of.
SELECT id, org_id, notification_id, channel, type, topic, count - :told::integer AS count FROM delivery.alerts WHERE id = :id AND count > :told::integer;

-- name: put_off(id, org_id, notification_id, channel, type, topic, count, due_at, now)!
INSERT INTO delivery.alerts (id, org_id, notification_id, channel, type, topic, count, status, due_at, created_at)
VALUES (:id, :org_id, :notification_id, :channel, :type, :topic, :count, 'pending', :due_at, :now)
ON CONFLICT (org_id, channel, topic) WHERE status = 'pending' DO UPDATE SET count = delivery.alerts.count + excluded.count;

-- name: waiting(now)^
SELECT count(*) AS alerts, min(due_at) FILTER (WHERE due_at <= :now) AS oldest FROM delivery.alerts WHERE status = 'pending';

-- name: prune(before, count)$
WITH old AS (SELECT id FROM delivery.notifications WHERE created_at < :before ORDER BY created_at LIMIT :count),
gone AS (DELETE FROM delivery.notifications n USING old WHERE n.id = old.id RETURNING n.id)
SELECT count(*) FROM gone;
