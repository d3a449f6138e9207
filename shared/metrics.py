"""What every service counts, whatever it does. What one service alone counts is in its own metrics.py; docs/metrics.md is made from all of them.

Names: `waybill_<subject>_<what>_<unit>`, counters end in `_total`. Labels are few and bounded: topics, groups, lanes, codes; never an id, but for the
organisations of the longest queues, which are capped in number.
"""

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for every one, of no use to rates

SHORT = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
LONG = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0)

MESSAGES = Counter("waybill_consumer_messages_total", "Messages taken from Kafka and acknowledged", ["topic"])
HANDLING = Histogram("waybill_consumer_handling_seconds", "Time to handle a message or a batch, waits included", ["topic"], buckets=LONG)
RETRIES = Counter("waybill_consumer_retries_total", "Tries again in place because a dependency was away or busy", ["topic", "dependency"])
DEAD_LETTERS = Counter("waybill_dead_letters_total", "Messages sent to a dead-letter topic", ["topic", "code"])
HALTED = Gauge("waybill_consumer_halted", "1 while a consumer takes nothing because too many messages became dead letters", ["topic"])

OUTBOX_MESSAGES = Gauge("waybill_outbox_messages", "Messages that wait in the outbox, counted up to 100,000", ["schema"])
OUTBOX_AGE = Gauge("waybill_outbox_age_seconds", "Age of the oldest message in the outbox", ["schema"])
OUTBOX_PUBLISHED = Counter("waybill_outbox_published_total", "Messages published from the outbox", ["schema", "topic"])

HTTP_SECONDS = Histogram("waybill_http_answer_seconds", "Time until an answer begins", ["method", "route", "status"], buckets=SHORT)
DEPENDENCY_UP = Gauge("waybill_dependency_up", "1 while the dependency answers, as /health/ready says", ["dependency"])

STAGE_SECONDS = Histogram(
    "waybill_stage_seconds",
    "Time by stage: accept (a request, until committed), plan (accepted until the plan is complete), release (accepted until the first chunk goes out), "
    "format (a chunk, sent until its part is known), assemble (all parts known until published), publish (manifest and event), whole (accepted until completed)",
    ["stage"], buckets=LONG,
)  # fmt: skip
STAGES = ("accept", "plan", "release", "format", "assemble", "publish", "whole")
