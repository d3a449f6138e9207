"""Whether the store holds what the tables say, and nothing else (docs/retention.md)."""
