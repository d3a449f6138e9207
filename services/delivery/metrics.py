"""What delivery counts."""

from prometheus_client import Counter, Gauge, Histogram

from shared.metrics import LONG

FILES_OPEN = Gauge("waybill_delivery_files_open", "Files that are being assembled", ["lane"])
FILES_WHOLE = Counter("waybill_delivery_files_whole_total", "Files that became whole", ["lane"])
FILES_BEGUN_AGAIN = Counter("waybill_delivery_files_begun_again_total", "Files started again from their first part", ["reason"])
BYTES_APPENDED = Counter("waybill_delivery_appended_bytes_total", "Bytes of parts read, checked and appended")
TURN_SECONDS = Histogram("waybill_delivery_turn_seconds", "Time to append one turn of parts", buckets=LONG)
PUBLISHED = Counter("waybill_delivery_exports_published_total", "Exports published")
FAILED = Counter("waybill_delivery_exports_failed_total", "Exports that could not be published", ["code"])
SWEPT = Counter("waybill_delivery_parts_swept_total", "Parts removed that belonged to nobody")
DOWNLOADED = Counter("waybill_delivery_download_bytes_total", "Bytes of files sent to callers")
