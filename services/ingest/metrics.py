"""What ingest counts."""

from prometheus_client import Counter, Gauge, Histogram

from shared.metrics import LONG, SHORT

RECORDS = Counter("waybill_ingest_records_total", "Records by what became of them", ["outcome"])
RUNS_AGAIN = Counter("waybill_ingest_runs_again_total", "Batches run again because another writer was in the way")
BATCH_SECONDS = Histogram("waybill_ingest_batch_seconds", "Time to write a batch of the topic, until it is acknowledged", buckets=LONG)
LEADS_PUBLISHED = Counter("waybill_ingest_leads_published_total", "Leads whose facts were published to be scored")
ROUND_SECONDS = Histogram(
    "waybill_ingest_lead_round_seconds", "Time to take touched leads, compute their facts and publish them", buckets=SHORT
)
TOUCH_AGE = Gauge("waybill_ingest_touch_age_seconds", "Time for which the oldest touched lead waits to have its facts published")
SCORES_KEPT = Counter(
    "waybill_ingest_scores_total", "Scores heard of: kept, or old (not newer than the one held, or of a lead that is gone)", ["outcome"]
)
RESCORED = Counter("waybill_ingest_leads_rescored_total", "Leads that were published again because the rules had changed")
PRUNED = Counter("waybill_ingest_versions_pruned_total", "Superseded versions that nobody needed any more", ["table"])
PRUNED_AT = Gauge("waybill_ingest_pruned_timestamp_seconds", "When every organisation was last looked at for versions to prune")
