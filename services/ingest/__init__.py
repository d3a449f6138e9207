"""Ingest: records in over Kafka and HTTP, versioned rows out. The only writer of the data."""
