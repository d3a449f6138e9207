"""What a server says about when to come back."""

from datetime import datetime
from email.utils import parsedate_to_datetime

DIGITS_MAX = 15


def retry_after_seconds(header: str | None, now: datetime) -> float | None:
    """The header `Retry-After` as seconds from `now` (an aware time): digits or an HTTP date; None where missing or unreadable."""
    if header is None:
        return None
    if header.strip().isdecimal():
        return float(header.strip()[:DIGITS_MAX])
    try:
        at = parsedate_to_datetime(header)
    except (ValueError, OverflowError):
        return None
    return max(0.0, (at - now).total_seconds()) if at.tzinfo else None
