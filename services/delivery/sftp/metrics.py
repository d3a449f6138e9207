"""What the SFTP server counts."""

from prometheus_client import Counter, Gauge

CONNECTIONS = Gauge("waybill_delivery_sftp_connections", "SFTP connections, those included that haven't logged in")
LOGINS = Counter("waybill_delivery_sftp_logins_total", "Attempts to log in over SFTP, by what came of them", ["outcome"])
REFUSED = Counter(
    "waybill_delivery_sftp_refused_connections_total", "SFTP connections that were refused because there were too many", ["limit"]
)
FILES = Counter("waybill_delivery_sftp_files_total", "Files that SFTP clients began to read")
BYTES = Counter("waybill_delivery_sftp_bytes_total", "Bytes of files sent to SFTP clients")
