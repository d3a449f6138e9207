"""Realistic records of every type, the same bytes for the same seed."""
