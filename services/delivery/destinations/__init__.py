"""Destinations: files brought to where a customer wants them."""
