"""Sends what is due. What was claimed and not recorded, because its process died, is due again when its lease runs out: every event reaches its
endpoint at least once, with the same webhook-id."""

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import datetime

import structlog

from services.delivery.core.webhooks import signing
from services.delivery.core.webhooks.traffic import Limits, Traffic
from services.delivery.dispatching import Dispatching
from services.delivery.webhooks.metrics import ATTEMPTS, DISABLED, ENDED, RETRIES, SECONDS, UNDER_WAY
from services.delivery.webhooks.queue import Claim, Queue, Recorded, Result
from services.delivery.webhooks.sender import Sender
from shared.consumer import persist
from shared.observability import current_traceparent, span
from shared.sealing import CannotOpen, Seal
from shared.stopping import Stopping

log = structlog.get_logger()


class Dispatcher(Dispatching[Claim]):
    """Sends webhooks; what came of them is recorded together."""

    waits = "webhooks_wait"

    def __init__(
        self, queue: Queue, sender: Sender, seal: Seal, limits: Limits, lease_seconds: float, clock: Callable[[], datetime]
    ) -> None:  # fmt: skip
        super().__init__()
        self._queue, self._sender, self._seal, self._clock, self._lease_seconds = queue, sender, seal, clock, lease_seconds
        self._traffic = Traffic(limits)
        self._results: list[Result] = []
        self._news, self._recording = asyncio.Event(), asyncio.Lock()

    async def _claim(self) -> Sequence[Claim]:
        room = self._traffic.room(time.monotonic())
        if room.total <= 0:
            return []
        claims = await self._queue.claim(room, self._lease_seconds)
        return [each for each in claims if self._traffic.begin(each.id, each.endpoint_id, each.org_id, time.monotonic())]

    async def _hand_back(self, claims: Sequence[Claim]) -> None:
        await self._record_all()
        await self._queue.hand_back([claim.id for claim in claims])

    def _measure(self) -> None:
        UNDER_WAY.set(self._traffic.under_way)

    # ---- one request

    async def _work(self, claim: Claim) -> None:
        began, started = self._clock(), time.monotonic()
        try:
            result = await send(claim, self._seal, self._sender, began, self._clock)
        except CannotOpen as error:  # not the endpoint's fault: it is tried again when the lease runs out
            log.error("webhook_secret_unreadable", endpoint_id=claim.endpoint_id, reason=str(error))
            self._traffic.end(claim.id, None, 0)
            return
        except asyncio.CancelledError:
            self._traffic.end(claim.id, None, 0)
            raise
        # It counts as under way until it is recorded, so that a crash can undo only so much.
        self._results.append(result)
        self._news.set()
        SECONDS.observe(time.monotonic() - started)

    # ---- what came of them

    async def _beside(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            try:
                await self._record_all()
            except Stopping:  # PostgreSQL is away: the leases run out by themselves
                return

    async def _record_all(self) -> None:
        """Whatever has come in by now, in one transaction: while it runs, the next ones gather."""
        async with self._recording:
            results, self._results = self._results, []
            if results:
                await persist(lambda: self._record(results), webhooks=len(results))

    async def _record(self, results: list[Result]) -> None:
        told(await self._queue.record(results), self.wake_in)
        for result in results:
            self._traffic.end(result.claim.id, result.sent.attempt.succeeded, result.sent.milliseconds / 1000)
            count(result)
        self._wake.set()


async def send(claim: Claim, seal: Seal, sender: Sender, began: datetime, clock: Callable[[], datetime]) -> Result:
    """Sign and send one claim. Raises CannotOpen."""
    secrets = [seal.open(sealed, claim.endpoint_id) for sealed in (claim.secret, claim.previous_secret) if sealed is not None]
    payload = claim.payload.encode()
    with span("webhook send", {"traceparent": claim.traceparent} if claim.traceparent else None):
        headers = signing.headers(secrets, claim.webhook_id, began, payload) | {"traceparent": current_traceparent()}
        sent = await sender.send(claim.url, headers, payload)
        if sent.error_code:
            log.info(
                "webhook_failed", endpoint_id=claim.endpoint_id, webhook_id=claim.webhook_id, code=sent.error_code, status=sent.attempt.code
            )
    return Result(claim, sent, began, clock())


def count(result: Result) -> None:
    ATTEMPTS.labels(result.sent.error_code or "succeeded").inc()


def told(recorded: Recorded, wake_in: Callable[[float], None]) -> None:
    """Count what a batch came to, say what people should know, and look again as soon as the first retry is due."""
    RETRIES.inc(len(recorded.retries))
    for status in recorded.ended:
        ENDED.labels(status).inc()
    for endpoint_id, reason in recorded.disabled.items():
        DISABLED.labels(reason).inc()
        log.warning("webhook_endpoint_disabled", endpoint_id=endpoint_id, reason=str(reason))
    if recorded.retries:
        wake_in((min(recorded.retries) - recorded.at).total_seconds())
