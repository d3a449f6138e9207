"""Assembles, publishes and serves the files of exports."""
