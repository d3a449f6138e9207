"""Tests of destinations: the carrier's probe, now, bounded in time and in number."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import structlog

from services.delivery.core.destinations.kinds import Kind
from services.delivery.core.destinations.life import Reason
from services.delivery.core.destinations.problems import UNEXPECTED, Code, Undelivered
from services.delivery.core.destinations.registry import all_kinds
from services.delivery.destinations.carrier import Carrier
from services.delivery.destinations.freight import open_place
from services.delivery.destinations.metrics import TESTS
from services.delivery.destinations.store import DestinationStore, Row, health_of
from services.delivery.destinations.telling import Told
from services.delivery.destinations.telling import resumed as resumed_of
from shared import audit
from shared.errors import ApiError, not_found
from shared.http import Principal
from shared.outbox import Outbox
from shared.sealing import Seal

log = structlog.get_logger()
TESTS_AT_ONCE = 2  # of one organisation, in a process
TESTS_AT_ONCE_IN_ALL = 16


@dataclass(frozen=True)
class Tested:
    """What came of a test. `code` null: a small file was written, and removed again, at `place`."""

    code: Code | None
    message: str
    place: str | None
    seconds: float

    def shown(self) -> dict[str, Any]:
        return {
            "ok": self.code is None,
            "code": str(self.code) if self.code else None,
            "message": self.message,
            "place": self.place,
            "seconds": round(self.seconds, 3),
        }


class Probes:
    """`seconds`: what one may take."""

    def __init__(
        self, store: DestinationStore, seal: Seal, carriers: Mapping[str, Carrier], seconds: float, told: Told, outbox: Outbox, wake: Callable[[], None],
    ) -> None:  # fmt: skip
        self._store, self._seal, self._carriers, self._seconds = store, seal, carriers, seconds
        self._told, self._outbox, self._wake = told, outbox, wake
        self._running: Counter[str] = Counter()

    async def run(self, by: Principal, destination_id: str) -> dict[str, Any]:
        """Also of a paused one; a test that passes resumes one that was paused as failing. Raises ApiError 404, 429."""
        row = await self._store.find(by.org_id, destination_id)
        if row is None:
            raise not_found("The destination")
        if self._running[by.org_id] >= TESTS_AT_ONCE or self._running.total() >= TESTS_AT_ONCE_IN_ALL:
            raise ApiError(429, "rate_limited", f"At most {TESTS_AT_ONCE} tests run at once.", headers={"Retry-After": "1"})
        self._running[by.org_id] += 1
        try:
            tested = await self._probe(row)
        finally:
            self._running[by.org_id] -= 1
        TESTS.labels(row["type"], str(tested.code or "passed")).inc()
        await self._record(by, row, tested)
        return tested.shown()

    async def _probe(self, row: Row) -> Tested:
        started, code, place = time.monotonic(), None, None
        message = all_kinds()[row["type"]].probed if row["type"] in all_kinds() else Kind.probed
        try:
            async with asyncio.timeout(self._seconds):
                place = await self._carriers[row["type"]].probe(open_place(self._seal, row))
        except Undelivered as refusal:
            code, message = refusal.code, refusal.message
        except TimeoutError:
            code, message = Code.timeout, f"The test did not end within {self._seconds:g} seconds."
        except Exception:
            log.exception("probe_defect", type=row["type"], destination_id=row["id"])
            code, message = Code.unexpected, UNEXPECTED
        return Tested(code, message, place, time.monotonic() - started)

    async def _record(self, by: Principal, tried: Row, tested: Tested) -> None:
        """What was changed or deleted meanwhile was not what was tested."""
        async with self._store.transaction(by.org_id) as connection:
            row = await self._store.lock(connection, tried["id"])
            if row is None or row["updated_at"] != tried["updated_at"]:
                return
            now = await self._store.now(connection)
            row = await self._store.save_test(connection, row["id"], str(tested.code) if tested.code else None, now)
            health = health_of(row)
            resumed = tested.code is None and health.paused is Reason.failing
            if tested.code is None:
                paused = None if health.paused is Reason.failing else health.paused
                await self._store.save_health(connection, row, replace(health, failures=0, failing_since=None, paused=paused), now)
            if resumed:
                await self._told.resumed(connection, resumed_of(row, now))
            details = {"code": str(tested.code) if tested.code else None, "resumed": resumed}
            await self._outbox.add(connection, [audit.entry(by, "destination.tested", row["id"], details)])
        self._outbox.wake()
        if resumed:
            self._wake()
