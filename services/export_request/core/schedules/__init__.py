"""Schedules: what one may be, which window of it runs next, what follows from the end of a run."""
