"""Superseded versions that nobody needs any more go (docs/retention.md)."""
