"""Decisions of delivery: no I/O; time is an argument."""
