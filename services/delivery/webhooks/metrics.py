"""What webhooks count."""

from prometheus_client import Counter, Gauge, Histogram

EVENTS = Counter("waybill_delivery_webhook_events_total", "Events that at least one webhook endpoint is told of", ["event"])
ENDED = Counter("waybill_delivery_webhook_deliveries_total", "Deliveries of webhooks by how they ended", ["status"])
ATTEMPTS = Counter("waybill_delivery_webhook_attempts_total", "Requests to webhook endpoints by what came of them", ["outcome"])
RETRIES = Counter("waybill_delivery_webhook_retries_total", "Deliveries that failed and will be tried again")
DISABLED = Counter("waybill_delivery_webhook_endpoints_disabled_total", "Webhook endpoints disabled by what they answered", ["reason"])
SECONDS = Histogram(
    "waybill_delivery_webhook_attempt_seconds", "Time that one request to a webhook endpoint took",
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30),
)  # fmt: skip
UNDER_WAY = Gauge("waybill_delivery_webhook_attempts_under_way", "Requests to webhook endpoints that are under way")
QUEUED = Gauge("waybill_delivery_webhook_queue", "Deliveries of webhooks that are to be sent, now or later")
QUEUE_AGE = Gauge("waybill_delivery_webhook_queue_age_seconds", "For how long the oldest delivery that is due has been so")
