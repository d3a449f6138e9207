"""What ingest counts."""

from prometheus_client import Counter, Histogram

from shared.metrics import LONG

RECORDS = Counter("waybill_ingest_records_total", "Records by what became of them", ["outcome"])
RUNS_AGAIN = Counter("waybill_ingest_runs_again_total", "Batches run again because another writer was in the way")
BATCH_SECONDS = Histogram("waybill_ingest_batch_seconds", "Time to write a batch of the topic, until it is acknowledged", buckets=LONG)
