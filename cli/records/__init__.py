"""Sending records, over HTTP and over Kafka."""
