"""When to try an HTTP call again: a pure function of what happened."""

ATTEMPTS_MAX = 6
WAIT_SECONDS_MAX = 60.0
RETRIED = frozenset({429, 503})


def delay_seconds(attempt: int, status: int | None, retry_after: float | None, *, idempotent: bool) -> float | None:
    """Seconds to wait before attempt `attempt` + 1 (the first is 1), or None to give up.

    `status` is None where no answer came. Waits what Retry-After says, else 0.5 s doubled each time; gives up rather than wait above
    a minute, and never repeats a call that isn't idempotent.
    """
    if not idempotent or attempt >= ATTEMPTS_MAX or (status is not None and status not in RETRIED):
        return None
    wait = retry_after if retry_after is not None else 0.5 * 2 ** (attempt - 1)
    return wait if wait <= WAIT_SECONDS_MAX else None
