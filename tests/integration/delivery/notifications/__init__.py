"""The feed and its alerts on a real database, with channels that nobody of us wrote."""
