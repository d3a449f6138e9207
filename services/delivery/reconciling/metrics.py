"""What the last reconciliation counted."""

from prometheus_client import Counter, Gauge

OBJECTS = Gauge("waybill_reconciliation_objects", "Objects and published files of the last reconciliation, by what they are", ["kind"])
BYTES = Gauge("waybill_reconciliation_bytes", "Bytes of the last reconciliation, by what they are", ["kind"])
AT = Gauge("waybill_reconciliation_timestamp_seconds", "When the last reconciliation ended")
REMOVED = Counter("waybill_reconciliation_removed_total", "Objects removed by a repair because they were nobody's")
