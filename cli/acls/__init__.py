"""Kafka's rights, read and written."""
