"""When a delivery is tried again: Standard Webhooks' schedule with jitter, never before the endpoint asked for it."""

# Seconds before each attempt, from the one before it (or from the event).
SCHEDULE_SECONDS = (0, 5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600)
JITTER = 0.1
RETRY_AFTER_SECONDS_MAX = 24 * 3600.0


def retry_delay_seconds(tries: int, retry_after: float | None, chance: float, scale: float = 1.0) -> float | None:
    """Seconds to wait after the `tries`-th attempt has failed; None where it was the last one.

    `chance` in [0, 1) spreads the schedule by ±10 %. `retry_after` is what the endpoint asked for, in seconds: it lengthens the wait, to a day
    at most. `scale` shortens the schedule for tests; what an endpoint asks for is never shortened.
    """
    if tries >= len(SCHEDULE_SECONDS):
        return None
    scheduled = SCHEDULE_SECONDS[tries] * scale * (1 - JITTER + 2 * JITTER * chance)
    return max(scheduled, min(retry_after or 0.0, RETRY_AFTER_SECONDS_MAX))
