-- Notifications of failures go to the organisation's alert channels, and schedules may be measured from their last run.
SET ROLE waybill_owner;

-- Of failing kinds, `alerted` is false until its alerts are queued. `topic`: its kind and what it is about, by which floods are kept down.
ALTER TABLE delivery.notifications ADD COLUMN topic text COLLATE "C" NOT NULL DEFAULT '', ADD COLUMN alerted boolean NOT NULL DEFAULT true;
CREATE INDEX notifications_to_alert ON delivery.notifications (created_at, id) WHERE NOT alerted;
CREATE INDEX notifications_by_kind ON delivery.notifications (org_id, kind, created_at DESC, id DESC);

-- What is sent to one channel: the newest notification of a topic and how many there were. `channel` is a digest of the channel in the settings; its address stands there alone.
-- Of a topic and channel one alert at most is pending. A claim moves `due_at` to the end of its lease. Skipped: there is no such channel any more, or no mail server.
CREATE TABLE delivery.alerts (
    id text COLLATE "C" PRIMARY KEY, org_id text COLLATE "C" NOT NULL, notification_id text COLLATE "C" NOT NULL REFERENCES delivery.notifications ON DELETE CASCADE,
    channel text COLLATE "C" NOT NULL, type text NOT NULL, topic text COLLATE "C" NOT NULL, count integer NOT NULL DEFAULT 1,
    status text NOT NULL CHECK (status IN ('pending', 'sent', 'failed', 'skipped')), attempts integer NOT NULL DEFAULT 0, error_code text, error_message text,
    due_at timestamptz, created_at timestamptz NOT NULL, ended_at timestamptz, CHECK ((status = 'pending') = (due_at IS NOT NULL)));
CREATE UNIQUE INDEX alerts_pending ON delivery.alerts (org_id, channel, topic) WHERE status = 'pending';
CREATE INDEX alerts_due ON delivery.alerts (due_at) WHERE status = 'pending';
CREATE INDEX alerts_of_topic ON delivery.alerts (org_id, channel, topic, ended_at DESC);
CREATE INDEX alerts_of_notification ON delivery.alerts (notification_id);
ALTER TABLE delivery.alerts ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON delivery.alerts USING (org_id = current_setting('app.org_id', true));
CREATE POLICY dispatcher ON delivery.alerts TO waybill_dispatcher USING (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON delivery.alerts TO waybill_delivery, waybill_dispatcher;
GRANT SELECT (name, alert_channels) ON tenancy.organisations TO waybill_delivery;
RESET ROLE;
