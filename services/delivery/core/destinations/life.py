"""The life of a delivery, one export at one destination, and the health of the destination: what may happen, and what follows."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import assert_never

# Seconds before each retry, from the attempt before it: all within the hour, with jitter.
RETRY_SECONDS = (5 * 60, 15 * 60, 30 * 60)
JITTER = 0.1
WAIT_SECONDS = 10.0  # until what our own side kept from being an attempt is tried again
RETRY_AFTER_SECONDS_MAX = 3600.0
FAILURES_MAX = 3  # deliveries given up in a row: their destination is paused


class Status(StrEnum):
    pending = "pending"
    held = "held"  # its destination is paused
    delivered = "delivered"
    failed = "failed"  # given up
    cancelled = "cancelled"  # there is nothing to bring any more, or nowhere to


class Reason(StrEnum):
    """Why a destination is paused."""

    failing = "failing"
    requested = "requested"


@dataclass(frozen=True)
class Delivery:
    """`tries` counts attempts since the export's end, since it was asked for again or its destination was resumed; `attempts` counts all.
    `due_at` is null where it is held or has ended."""

    status: Status = Status.pending
    tries: int = 0
    attempts: int = 0
    due_at: datetime | None = None


@dataclass(frozen=True)
class Arrived:
    """All files are there."""


@dataclass(frozen=True)
class Refused:
    """The destination did not take them. `again`: it may later, by itself. `retry_after`: seconds for which it asks to be left alone."""

    again: bool
    retry_after: float | None = None


@dataclass(frozen=True)
class Waited:
    """Our own store or database was away, or the process ended: no attempt of the destination's."""


@dataclass(frozen=True)
class AskedAgain:
    """A person wants it brought (again) now."""


@dataclass(frozen=True)
class CameBack:
    """A mail that had been sent came back."""


@dataclass(frozen=True)
class DestinationPaused:
    pass


@dataclass(frozen=True)
class DestinationResumed:
    pass


@dataclass(frozen=True)
class Pointless:
    """Its export's files are gone, or its destination is."""


Happening = Arrived | Refused | Waited | AskedAgain | CameBack | DestinationPaused | DestinationResumed | Pointless


def step(
    delivery: Delivery, happening: Happening, now: datetime, chance: float = 0.5, scale: float = 1.0, paused: bool = False
) -> Delivery:
    """The delivery after `happening`. `paused`: whether its destination is. `chance` in [0, 1) spreads retries; `scale` shortens them (tests)."""
    match happening:
        case Arrived():
            counted = _counted(delivery)
            return replace(counted, status=Status.delivered, due_at=None)
        case Refused():
            return _refused(_counted(delivery), happening, now, chance, scale, paused)
        case Waited():
            return _open(delivery, now + timedelta(seconds=WAIT_SECONDS * scale), paused)
        case AskedAgain():
            return _open(replace(delivery, tries=0), now, paused)
        case CameBack():
            return replace(delivery, status=Status.failed) if delivery.status is Status.delivered else delivery
        case DestinationPaused():
            return replace(delivery, status=Status.held, due_at=None) if delivery.status is Status.pending else delivery
        case DestinationResumed():
            return replace(delivery, status=Status.pending, tries=0, due_at=now) if delivery.status is Status.held else delivery
        case Pointless():
            return replace(delivery, status=Status.cancelled, due_at=None) if is_open(delivery.status) else delivery
        case _:
            assert_never(happening)


def is_open(status: Status) -> bool:
    return status in (Status.pending, Status.held)


def retry_delay_seconds(tries: int, chance: float, scale: float = 1.0, retry_after: float | None = None) -> float | None:
    """Seconds to wait after the `tries`-th attempt has failed; None where it was the last one. What the destination asks for lengthens the wait, to an hour
    at most, and is never shortened."""
    if tries > len(RETRY_SECONDS):
        return None
    scheduled = RETRY_SECONDS[tries - 1] * scale * (1 - JITTER + 2 * JITTER * chance)
    return max(scheduled, min(retry_after or 0.0, RETRY_AFTER_SECONDS_MAX))


def held_until(happening: Happening, now: datetime) -> datetime | None:
    """Until when the whole destination is left alone, where it asks for it."""
    if isinstance(happening, Refused) and happening.retry_after:
        return now + timedelta(seconds=min(happening.retry_after, RETRY_AFTER_SECONDS_MAX))
    return None


def _counted(delivery: Delivery) -> Delivery:
    return replace(delivery, tries=delivery.tries + 1, attempts=delivery.attempts + 1)


def _refused(counted: Delivery, refusal: Refused, now: datetime, chance: float, scale: float, paused: bool) -> Delivery:
    wait = retry_delay_seconds(counted.tries, chance, scale, refusal.retry_after) if refusal.again else None
    if wait is None:
        return replace(counted, status=Status.failed, due_at=None)
    return _open(counted, now + timedelta(seconds=wait), paused)


def _open(delivery: Delivery, due_at: datetime, paused: bool) -> Delivery:
    if paused:
        return replace(delivery, status=Status.held, due_at=None)
    return replace(delivery, status=Status.pending, due_at=due_at)


# ---- destinations


@dataclass(frozen=True)
class Health:
    """`failures`: deliveries given up since one last arrived, the first of them at `failing_since`."""

    failures: int = 0
    failing_since: datetime | None = None
    paused: Reason | None = None


def health_after(health: Health, status: Status, now: datetime) -> Health:
    """The destination's after a delivery to it has ended as `status`."""
    if status is Status.delivered:
        return replace(health, failures=0, failing_since=None)
    if status is not Status.failed:
        return health
    failures = health.failures + 1
    paused = health.paused or (Reason.failing if failures >= FAILURES_MAX else None)
    return Health(failures, health.failing_since or now, paused)
