"""When to try an HTTP call again: a pure function of what happened."""

from datetime import datetime
from email.utils import parsedate_to_datetime

ATTEMPTS_MAX = 6
WAIT_SECONDS_MAX = 60.0
RETRIED = frozenset({429, 503})


def retry_after_seconds(header: str | None, now: datetime) -> float | None:
    """The header `Retry-After` as seconds from `now` (an aware time): digits or an HTTP date; None where missing or unreadable."""
    if header is None:
        return None
    if header.strip().isdecimal():
        return float(header.strip())
    try:
        at = parsedate_to_datetime(header)
    except ValueError:
        return None
    return max(0.0, (at - now).total_seconds()) if at.tzinfo else None


def delay_seconds(attempt: int, status: int | None, retry_after: float | None, *, idempotent: bool) -> float | None:
    """Seconds to wait before attempt `attempt` + 1 (the first is 1), or None to give up.

    `status` is None where no answer came. Waits what Retry-After says, else 0.5 s doubled each time; gives up rather than wait above
    a minute, and never repeats a call that isn't idempotent.
    """
    if not idempotent or attempt >= ATTEMPTS_MAX or (status is not None and status not in RETRIED):
        return None
    wait = retry_after if retry_after is not None else 0.5 * 2 ** (attempt - 1)
    return wait if wait <= WAIT_SECONDS_MAX else None
