"""How many requests may be under way, and to whom: one slow or dead endpoint, or one organisation, must not hold up the others.

An endpoint begins with a few requests at once, is given twice as many with each success, and half with each failure. Endpoints that take long
share half of the process's places between them, so that the other half is always there for those that don't.
"""

from collections import Counter
from dataclasses import dataclass

WIDTH_FIRST = 4
SLOW_SECONDS = 1.0
ENDPOINTS_REMEMBERED = 10_000


@dataclass(frozen=True)
class Limits:
    """Requests under way at once: in this process, to one organisation's endpoints, to one endpoint."""

    total: int = 512
    organisation: int = 128
    endpoint: int = 32


@dataclass(frozen=True)
class Room:
    """What may be taken up now. Endpoints and organisations that aren't named have `endpoint` and `organisation` places."""

    total: int
    endpoint: int
    organisation: int
    endpoints: dict[str, int]
    organisations: dict[str, int]


@dataclass
class _Endpoint:
    width: int
    slow: bool = False


class Traffic:
    """Counts what is under way in this process. No I/O; seconds are of any clock that only goes on."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._known: dict[str, _Endpoint] = {}
        self._under_way: dict[str, tuple[str, str, float]] = {}  # delivery → endpoint, organisation, since when

    @property
    def under_way(self) -> int:
        return len(self._under_way)

    def begin(self, delivery_id: str, endpoint_id: str, org_id: str, now: float) -> bool:
        """False where this very delivery is under way already (its lease ran out): it is not sent beside itself."""
        if delivery_id in self._under_way:
            return False
        self._under_way[delivery_id] = (endpoint_id, org_id, now)
        return True

    def end(self, delivery_id: str, succeeded: bool | None, seconds: float) -> None:
        """`succeeded` null: it was not sent after all."""
        endpoint_id, _, _ = self._under_way.pop(delivery_id)
        if succeeded is None:
            return
        known = self._known.pop(endpoint_id, None) or _Endpoint(min(WIDTH_FIRST, self._limits.endpoint))
        known.width = min(self._limits.endpoint, known.width * 2) if succeeded else max(1, known.width // 2)
        known.slow = seconds > SLOW_SECONDS
        self._known[endpoint_id] = known  # the latest last, so that the oldest is forgotten first
        if len(self._known) > ENDPOINTS_REMEMBERED:
            del self._known[next(iter(self._known))]

    def room(self, now: float) -> Room:
        """What may be taken up at this instant."""
        endpoints = Counter(endpoint for endpoint, _, _ in self._under_way.values())
        organisations = Counter(org for _, org, _ in self._under_way.values())
        late = {endpoint for endpoint, _, since in self._under_way.values() if now - since > SLOW_SECONDS}
        slow = late | {endpoint for endpoint, known in self._known.items() if known.slow}
        places = self._limits.total // 2 - sum(endpoints[endpoint] for endpoint in slow)
        free = {}
        for endpoint in endpoints.keys() | self._known.keys():
            known = self._known.get(endpoint)
            width = known.width if known else min(WIDTH_FIRST, self._limits.endpoint)
            free[endpoint] = max(0, min(width - endpoints[endpoint], places if endpoint in slow else width))
        return Room(
            self._limits.total - self.under_way, min(WIDTH_FIRST, self._limits.endpoint), self._limits.organisation, free,
            {org: max(0, self._limits.organisation - count) for org, count in organisations.items()},
        )  # fmt: skip
