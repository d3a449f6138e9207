"""Decisions of the formatter: no I/O, no clock."""
