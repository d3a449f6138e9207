"""Decisions without I/O: time and what is stored are arguments, what to do is returned."""
