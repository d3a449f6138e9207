"""What export_request counts, and what it knows of the whole: queues, chunks under way, consumers' lag. Every process shows the whole; take the maximum."""

from prometheus_client import Counter, Gauge, Histogram

from shared.metrics import LONG

ACCEPTED = Counter("waybill_exports_accepted_total", "Exports accepted", ["dataset", "way"])
REFUSED = Counter("waybill_exports_refused_total", "Requests refused", ["code", "way"])
ENDS = Counter("waybill_exports_ended_total", "Exports by how they ended", ["status", "code"])
EXPORTS = Gauge("waybill_exports_running", "Exports under way", ["status"])
SILENT = Gauge("waybill_exports_silent_seconds", "Longest time for which nothing was heard of an export that has work out")

PREVIEW_SECONDS = Histogram("waybill_preview_seconds", "Time of a preview", buckets=LONG)
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

SCHEDULE_RUNS = Counter("waybill_schedule_runs_total", "Runs of schedules by how they ended", ["kind", "status"])
SCHEDULE_RUNS_WAITING = Gauge("waybill_schedule_runs_waiting", "Runs of schedules that are to start, or to be tried again")
SCHEDULE_RUNS_RUNNING = Gauge("waybill_schedule_runs_running", "Runs of schedules whose export is under way")
SCHEDULE_DELAY = Gauge("waybill_schedule_delay_seconds", "How long the schedule or run that is due longest has waited for the scheduler")
SCHEDULE_START_SECONDS = Histogram(
    "waybill_schedule_start_seconds", "From the end of a window to the start of its export, on time or caught up", buckets=LONG
)
SCHEDULE_CLOCK = Gauge(
    "waybill_schedule_clock_difference_seconds", "PostgreSQL's clock less this process's; beyond 60 no window is decided here"
)

LAG = Gauge("waybill_consumer_lag_messages", "Messages of a topic that a consumer group has not acknowledged", ["topic", "group"])
LETTERS = Gauge("waybill_dead_letters_kept", "Messages in a dead-letter topic, those that were sent again included", ["topic"])
