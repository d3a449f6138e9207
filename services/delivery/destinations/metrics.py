"""What deliveries to destinations count."""

from prometheus_client import Counter, Gauge, Histogram

ENDED = Counter("waybill_delivery_deliveries_total", "Deliveries of exports to destinations by type and how they ended", ["type", "status"])
ATTEMPTS = Counter("waybill_delivery_delivery_attempts_total", "Attempts of such deliveries by what came of them", ["type", "outcome"])
SECONDS = Histogram(
    "waybill_delivery_delivery_attempt_seconds", "Time that one such attempt took", ["type"],
    buckets=(0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600),
)  # fmt: skip
READ = Counter("waybill_delivery_delivery_bytes_total", "Bytes of files read to be brought to destinations")
UNDER_WAY = Gauge("waybill_delivery_deliveries_under_way", "Deliveries to destinations that this process is bringing")
QUEUED = Gauge("waybill_delivery_deliveries_queue", "Deliveries to destinations that are to be brought, now or later")
HELD = Gauge("waybill_delivery_deliveries_held", "Deliveries that wait because their destination is paused")
QUEUE_AGE = Gauge(
    "waybill_delivery_deliveries_queue_age_seconds",
    "For how long the oldest delivery has been due at a destination where nobody is at one, and that hasn't asked to wait",
)
PAUSED = Counter("waybill_delivery_destinations_paused_total", "Destinations that were paused because deliveries kept failing")
TESTS = Counter("waybill_delivery_destination_tests_total", "Tests of destinations by what came of them", ["type", "outcome"])
