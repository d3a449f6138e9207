"""What the formatter counts."""

from prometheus_client import Counter, Histogram

from shared.metrics import LONG

SECONDS = Histogram("waybill_formatter_chunk_seconds", "Time to format a chunk", ["dataset", "lane"], buckets=LONG)
ROWS = Counter("waybill_formatter_rows_total", "Rows formatted", ["dataset"])
BYTES = Counter("waybill_formatter_part_bytes_total", "Bytes of parts written, compressed where they are", ["format"])
FAILED = Counter("waybill_formatter_chunks_failed_total", "Chunks that failed for good, and their exports with them", ["code"])
