"""Sends what is due. What was claimed and not recorded, because its process died, is due again when its lease runs out: every event reaches its
endpoint at least once, with the same webhook-id."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from datetime import datetime

import structlog

from services.delivery.core.webhooks import signing
from services.delivery.core.webhooks.traffic import Limits, Traffic
from services.delivery.webhooks.metrics import ATTEMPTS, DISABLED, ENDED, RETRIES, SECONDS, UNDER_WAY
from services.delivery.webhooks.queue import Claim, Queue, Recorded, Result
from services.delivery.webhooks.sender import Sender
from shared.consumer import persist
from shared.errors import TransientError
from shared.observability import current_traceparent, span
from shared.sealing import CannotOpen, Seal
from shared.stopping import Stopping

log = structlog.get_logger()
POLL_SECONDS = 1.0
STOP_SECONDS, HAND_BACK_SECONDS = 4.0, 2.0


class Dispatcher:
    """`run` goes on for ever; several processes may run."""

    def __init__(
        self, queue: Queue, sender: Sender, seal: Seal, limits: Limits, lease_seconds: float, clock: Callable[[], datetime]
    ) -> None:  # fmt: skip
        self._queue, self._sender, self._seal, self._clock, self._lease_seconds = queue, sender, seal, clock, lease_seconds
        self._traffic = Traffic(limits)
        self._sending: dict[asyncio.Task[None], Claim] = {}
        self._results: list[Result] = []
        self._wake, self._news, self._recording = asyncio.Event(), asyncio.Event(), asyncio.Lock()
        self._failure: BaseException | None = None

    def wake(self) -> None:
        """Something may be due. Without this it is found by looking once a second."""
        self._wake.set()

    async def run(self) -> None:
        recording = asyncio.create_task(self._record_loop())
        recording.add_done_callback(self._failed)
        try:
            while self._failure is None:
                self._wake.clear()
                await self._take()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(POLL_SECONDS):
                        await self._wake.wait()
            raise self._failure
        finally:
            await self._let_go()
            recording.cancel()

    async def _take(self) -> None:
        room = self._traffic.room(time.monotonic())
        if room.total <= 0:
            return
        try:
            claims = await self._queue.claim(room, self._lease_seconds)
        except TransientError as error:
            log.warning("webhooks_wait", dependency=error.dependency, reason=str(error))
            return
        for claim in claims:
            if self._traffic.begin(claim.id, claim.endpoint_id, claim.org_id, time.monotonic()):
                task = asyncio.create_task(self._deliver(claim))
                self._sending[task] = claim
                task.add_done_callback(self._sent)
        UNDER_WAY.set(self._traffic.under_way)

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._sending.pop(task)
        self._failed(task)

    def _failed(self, task: asyncio.Task[None]) -> None:
        """A defect: the process ends by it."""
        if not task.cancelled() and task.exception():
            self._failure = task.exception()
            self._wake.set()

    # ---- one request

    async def _deliver(self, claim: Claim) -> None:
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

    async def _record_loop(self) -> None:
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
        told(await self._queue.record(results), self.wake)
        for result in results:
            self._traffic.end(result.claim.id, result.sent.attempt.succeeded, result.sent.milliseconds / 1000)
            count(result)
        self._wake.set()

    async def _let_go(self) -> None:
        """On the way out: what is under way may end, what doesn't is handed back, so that another process goes on at once."""
        if self._sending:
            await asyncio.wait(self._sending, timeout=STOP_SECONDS)
        left = dict(self._sending)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        with contextlib.suppress(TransientError, TimeoutError, Stopping):  # leases run out by themselves
            async with asyncio.timeout(HAND_BACK_SECONDS):
                await self._record_all()
                await self._queue.hand_back([claim.id for claim in left.values()])


async def send(claim: Claim, seal: Seal, sender: Sender, began: datetime, clock: Callable[[], datetime]) -> Result:
    """Sign and send one claim. Raises CannotOpen."""
    secrets = [seal.open(claim.secret, claim.endpoint_id)]
    if claim.previous_secret is not None and claim.previous_until is not None and claim.previous_until > began:
        secrets.append(seal.open(claim.previous_secret, claim.endpoint_id))
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


def told(recorded: Recorded, wake: Callable[[], None]) -> None:
    """Count what a batch came to, say what people should know, and look again as soon as the first retry is due."""
    RETRIES.inc(len(recorded.retries))
    for status in recorded.ended:
        ENDED.labels(status).inc()
    for endpoint_id, reason in recorded.disabled.items():
        DISABLED.labels(reason).inc()
        log.warning("webhook_endpoint_disabled", endpoint_id=endpoint_id, reason=str(reason))
    if recorded.retries and (seconds := (min(recorded.retries) - recorded.at).total_seconds()) < POLL_SECONDS:
        asyncio.get_running_loop().call_later(max(0.0, seconds), wake)
