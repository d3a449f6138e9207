"""The audit trail: entries in, chained, and out again."""
