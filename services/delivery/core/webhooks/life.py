"""The life of a delivery, one event for one endpoint: what may happen to it, and what follows."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import assert_never

from services.delivery.core.webhooks.retry import RETRY_AFTER_SECONDS_MAX, retry_delay_seconds


class Status(StrEnum):
    pending = "pending"
    delivered = "delivered"
    failed = "failed"  # every attempt of the schedule failed
    skipped = "skipped"  # the endpoint was disabled


@dataclass(frozen=True)
class Delivery:
    """`tries` counts attempts since the event or since it was last asked for again, `attempts` all. `due_at` is null once it has ended."""

    status: Status = Status.pending
    tries: int = 0
    attempts: int = 0
    due_at: datetime | None = None


@dataclass(frozen=True)
class Attempted:
    """A request was sent, or could not be. `code` is null where no answer came; `retry_after` is in seconds."""

    code: int | None
    retry_after: float | None = None

    @property
    def succeeded(self) -> bool:
        return self.code is not None and 200 <= self.code < 300

    @property
    def gone(self) -> bool:
        return self.code == 410


@dataclass(frozen=True)
class AskedAgain:
    """A person wants it sent again, whatever became of it: the schedule starts from its beginning."""


@dataclass(frozen=True)
class EndpointDisabled:
    """Nothing more is sent to its endpoint."""


Happening = Attempted | AskedAgain | EndpointDisabled


@dataclass(frozen=True)
class Retries:
    """How a delivery is retried. `once`: a test message is sent once. `scale` shortens the schedule (tests)."""

    once: bool = False
    scale: float = 1.0


def step(delivery: Delivery, happening: Happening, now: datetime, chance: float, retries: Retries) -> Delivery:
    """The delivery after `happening`. What has been delivered stays so, until it is asked for again."""
    match happening:
        case Attempted():
            return _attempted(delivery, happening, now, chance, retries)
        case AskedAgain():
            return replace(delivery, status=Status.pending, tries=0, due_at=now)
        case EndpointDisabled():
            return replace(delivery, status=Status.skipped, due_at=None) if delivery.status is Status.pending else delivery
        case _:
            assert_never(happening)


def _attempted(delivery: Delivery, attempt: Attempted, now: datetime, chance: float, retries: Retries) -> Delivery:
    counted = replace(delivery, tries=delivery.tries + 1, attempts=delivery.attempts + 1)
    if attempt.succeeded:
        return replace(counted, status=Status.delivered, due_at=None)
    if delivery.status is not Status.pending:
        return counted  # a late answer to what has ended meanwhile
    wait = None if retries.once else retry_delay_seconds(counted.tries, attempt.retry_after, chance, retries.scale)
    if wait is None:
        return replace(counted, status=Status.failed, due_at=None)
    return replace(counted, due_at=now + timedelta(seconds=wait))


def held_until(attempt: Attempted, now: datetime) -> datetime | None:
    """Until when the whole endpoint is left alone, where its answer asks for it."""
    if attempt.succeeded or not attempt.retry_after:
        return None
    return now + timedelta(seconds=min(attempt.retry_after, RETRY_AFTER_SECONDS_MAX))
