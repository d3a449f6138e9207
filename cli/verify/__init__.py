"""Checking downloaded files against their manifest, offline."""
