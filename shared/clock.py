"""Instants as Waybill keeps and shows them: UTC, to the millisecond."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Now, to the millisecond: what is stored is what is shown, and can be asked for."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def instant(at: datetime | None) -> str | None:
    """RFC 3339 in UTC, to the millisecond."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z") if at else None
