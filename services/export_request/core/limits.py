"""What an organisation may use, and what it is told where it may not. A limit that is null is the operator's default; 0: none."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.checks import Check
from shared.clock import instant
from shared.errors import ApiError, Detail

EXPORTS_RETRY_SECONDS = 5
MOST = {"requests_per_second": 100_000, "exports_at_once": 100_000, "rows_a_day": 2**53 - 1}


@dataclass(frozen=True)
class Limits:
    """None: no limit."""

    requests_per_second: int | None = None
    exports_at_once: int | None = None
    rows_a_day: int | None = None


def limits_of(row: Mapping[str, Any], defaults: Limits) -> Limits:
    """`row` of tenancy.organisations."""
    return Limits(*((row[name] if row[name] is not None else getattr(defaults, name)) or None for name in MOST))


def _check(name: str) -> Check:
    def check(value: Any) -> list[Detail]:
        good = value is None or (isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST[name])
        return [] if good else [Detail(name, f"must be a whole number between 0 (none) and {MOST[name]}, or null for the default")]

    return check


CHECKS: dict[str, Check] = {name: _check(name) for name in MOST}


def limits(value: Any) -> list[Detail]:
    """`{"requests_per_second", "exports_at_once", "rows_a_day"}`, some of them."""
    if not isinstance(value, dict):
        return [Detail("limits", f"must be an object with {', '.join(CHECKS)}")]
    wrong = [Detail(f"limits.{name[:80]}", "unknown field") for name in value if name not in CHECKS]
    return wrong + [Detail(f"limits.{d.field}", d.message) for name, check in CHECKS.items() if name in value for d in check(value[name])]


def next_day(now: datetime) -> datetime:
    return datetime(now.year, now.month, now.day, tzinfo=UTC) + timedelta(days=1)


def require_room(limits: Limits, running: int, rows_today: int, now: datetime) -> None:
    """Raises ApiError 429 that says which limit is reached, and when to come back."""
    if limits.exports_at_once is not None and running >= limits.exports_at_once:
        message = f"Your organisation runs {running} exports, and {limits.exports_at_once} at once is its limit."
        raise _limited(message, "exports_at_once", EXPORTS_RETRY_SECONDS)
    if limits.rows_a_day is not None and rows_today >= limits.rows_a_day:
        message = f"Your organisation's exports have {rows_today} rows today, and {limits.rows_a_day} a day is its limit; the next day begins at {instant(next_day(now))}."
        raise _limited(message, "rows_a_day", max(1, int((next_day(now) - now).total_seconds())))


def _limited(message: str, limit: str, seconds: int) -> ApiError:
    return ApiError(429, "rate_limited", message, headers={"Retry-After": str(seconds)}, extra={"limit": limit})


def usage_view(limits: Limits, running: int, rows_today: int, available: float | None, now: datetime) -> dict[str, Any]:
    """`available`: requests left in the bucket; None where there is no limit, or nobody has asked yet."""
    rate = limits.requests_per_second
    left = None if rate is None else rate if available is None else int(min(rate, max(0, available)))
    return {
        "exports": {"running": running, "limit": limits.exports_at_once},
        "rows": {"today": rows_today, "limit": limits.rows_a_day, "resets_at": instant(next_day(now))},
        "requests": {"available": left, "limit_per_second": rate},
    }
