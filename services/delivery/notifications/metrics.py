"""What notifications and alerts count."""

from prometheus_client import Counter, Gauge

NOTIFICATIONS = Counter("waybill_delivery_notifications_total", "Notifications for people, each counted once", ["kind"])
ALERTS = Counter("waybill_delivery_alerts_total", "Attempts to tell an alert channel by what came of them", ["type", "outcome"])
WAITING = Gauge("waybill_delivery_alerts_waiting", "Alerts that are to be sent, now or later")
AGE = Gauge("waybill_delivery_alerts_age_seconds", "For how long the oldest alert that is due has been so")
