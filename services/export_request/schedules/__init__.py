"""Schedules: what the API does with them, the scheduler that runs their windows, and what their exports ends mean for them."""
