"""What export_request counts, and what it knows of the whole: queues, chunks under way, consumers' lag. Every process shows the whole; take the maximum."""

from prometheus_client import Counter, Gauge, Histogram

from shared.metrics import LONG

ACCEPTED = Counter("waybill_exports_accepted_total", "Exports accepted", ["dataset", "way"])
REFUSED = Counter("waybill_exports_refused_total", "Requests refused", ["code", "way"])
ENDS = Counter("waybill_exports_ended_total", "Exports by how they ended", ["status", "code"])
EXPORTS = Gauge("waybill_exports_running", "Exports under way", ["status"])
SILENT = Gauge("waybill_exports_silent_seconds", "Longest time for which nothing was heard of an export that has work out")

PLAN_STEP_SECONDS = Histogram("waybill_plan_step_seconds", "Time of a planning step", ["dataset"], buckets=LONG)
CHUNKS_RELEASED = Counter("waybill_chunks_released_total", "Chunks sent to the formatters", ["lane"])
CHUNKS_IN_FLIGHT = Gauge("waybill_chunks_in_flight", "Chunks at the formatters", ["lane"])
CHUNKS_WAITING = Gauge("waybill_chunks_waiting", "Planned chunks that wait for their turn", ["lane"])

QUEUE_AGE = Gauge(
    "waybill_queue_age_seconds", "How long the oldest export of an organisation has waited for its first chunk to go out; the longest queues only",
    ["organisation"],
)  # fmt: skip
QUEUE_AGE_MAX = Gauge("waybill_queue_age_max_seconds", "The same of the organisation that has waited longest")
QUEUE_ORGANISATIONS = Gauge("waybill_queue_organisations", "Organisations with an export that waits for its first chunk to go out")

LAG = Gauge("waybill_consumer_lag_messages", "Messages of a topic that a consumer group has not acknowledged", ["topic", "group"])
LETTERS = Gauge("waybill_dead_letters_kept", "Messages in a dead-letter topic, those that were sent again included", ["topic"])
