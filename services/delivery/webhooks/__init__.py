"""Tells subscribers of export-events by signed webhooks. What is decided is in services/delivery/core/webhooks/."""
