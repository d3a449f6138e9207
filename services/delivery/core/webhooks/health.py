"""Whether an endpoint is still worth calling: disabled at once by 410, and after five days in which nothing succeeded.

Standard Webhooks asks for an end to deliveries that "fail consistently over a long period of time". Five days are longer than the retry
schedule (about three), so one event that nobody takes doesn't disable an endpoint; at least ten failed attempts say that it was no accident.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from services.delivery.core.webhooks.life import Attempted, held_until

FAILING_SECONDS_MAX = 5 * 86_400.0
FAILURES_MIN = 10


class Reason(StrEnum):
    """Why an endpoint is disabled."""

    gone = "gone"
    failing = "failing"
    requested = "requested"


EXPLAINED = {
    Reason.gone: "The endpoint answered 410 Gone, which says that it wants no more webhooks.",
    Reason.failing: "Every attempt has failed for five days.",
    Reason.requested: "It was disabled by request.",
}


@dataclass(frozen=True)
class Health:
    """What the attempts at one endpoint have come to. `disabled` is set once, by the attempt that decides it."""

    failing_since: datetime | None = None
    failures: int = 0
    held_until: datetime | None = None
    disabled: Reason | None = None


def after(health: Health, attempts: Iterable[tuple[datetime, Attempted]], scale: float = 1.0) -> Health:
    """The endpoint's health after attempts that ended at these instants, in order. `scale` shortens the five days (tests)."""
    for at, attempt in attempts:
        health = _after(health, at, attempt, scale)
    return health


def _after(health: Health, at: datetime, attempt: Attempted, scale: float) -> Health:
    if attempt.succeeded:
        return Health(disabled=health.disabled)
    since, failures = health.failing_since or at, health.failures + 1
    held = max(filter(None, (health.held_until, held_until(attempt, at))), default=None)
    disabled = health.disabled
    if attempt.gone:
        disabled = Reason.gone
    elif disabled is None and failures >= FAILURES_MIN and at - since >= timedelta(seconds=FAILING_SECONDS_MAX * scale):
        disabled = Reason.failing
    return Health(since, failures, held, disabled)
