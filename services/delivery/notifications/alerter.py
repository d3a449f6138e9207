"""Queues alerts for notifications of failures, and sends what is due: both in the database, so that nothing waits for a channel and nothing is forgotten.

Several processes may run. Of a kind about one thing a channel hears at most once in a while (`quiet`); what comes meanwhile is counted. A process that dies after sending and
before recording sends again when the lease runs out, with the same webhook-id.
"""

import asyncio
import contextlib
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import structlog

from services.delivery.core.destinations.problems import UNEXPECTED, Code
from services.delivery.core.notifications.alerts import Alert, Channel, channels_of, due_at, retry_seconds
from services.delivery.notifications.channels import Channels, Outcome
from services.delivery.notifications.metrics import AGE, ALERTS, WAITING
from services.delivery.notifications.store import load, rows
from services.delivery.upkeep import keep_up
from shared.database import Connection, Time, across_tenants, database_now
from shared.errors import TransientError
from shared.ids import new_id

log = structlog.get_logger()
POLL_SECONDS = 1.0
QUEUED_MAX = 200  # notifications of a round
SENT_MAX = 16  # alerts of a round, side by side
TELL_SECONDS = 240.0  # what a channel may take
LEASE_SECONDS = 300.0  # longer than that
PRUNED_AT_ONCE = 2_000


class Alerter:
    """By `time`, PostgreSQL's clock, so that no process takes what another one has claimed. `chance` gives numbers in [0, 1); `scale` shortens the retries (tests)."""

    def __init__(
        self, pool: asyncpg.Pool, channels: Channels, quiet: timedelta, keep: timedelta, chance: Callable[[], float],
        scale: float = 1.0, time: Time = database_now,
    ) -> None:  # fmt: skip
        self._pool, self._channels, self._quiet, self._keep, self._chance, self._now = pool, channels, quiet, keep, chance, time
        self._scale, self._queries, self._wake = scale, load(), asyncio.Event()

    def wake(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        while True:
            self._wake.clear()
            try:
                done = await self.step()
            except TransientError as error:
                log.warning("alerts_wait", dependency=error.dependency, reason=str(error))
                done = 0
            if not done:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(POLL_SECONDS):
                        await self._wake.wait()

    async def step(self) -> int:
        """One round; returns how much was done."""
        return await self.queue() + await self.send()

    # ---- from notifications to alerts

    async def queue(self) -> int:
        async with across_tenants(self._pool) as connection:
            found, now = await rows(self._queries.to_alert(connection, count=QUEUED_MAX)), await self._now(connection)
            for row in found:
                for channel in channels_of(row["alert_channels"]):
                    await self._queue(connection, row, channel, now)
            if found:
                await self._queries.alerted(connection, ids=[row["id"] for row in found])
        return len(found)

    async def _queue(self, connection: Connection, row: Any, channel: Channel, now: datetime) -> None:
        named = {"org_id": row["org_id"], "channel": channel.key, "topic": row["topic"]}
        last = await self._queries.last_sent(connection, **named)
        await self._queries.queue(
            connection,
            id=new_id("alt"),
            notification_id=row["id"],
            type=channel.type,
            due_at=due_at(now, last, self._quiet),
            now=now,
            **named,
        )

    # ---- from alerts to channels

    async def send(self) -> int:
        async with across_tenants(self._pool) as connection:
            now = await self._now(connection)
            claims = await rows(
                self._queries.claim(connection, now=now, lease_until=now + timedelta(seconds=LEASE_SECONDS), count=SENT_MAX)
            )
        await asyncio.gather(*(self._send(claim) for claim in claims))
        return len(claims)

    async def _send(self, claim: Any) -> None:
        """One alert, recorded by itself as soon as it is known what came of it."""
        outcome = await self._tell(claim)
        async with across_tenants(self._pool) as connection:
            await self._record(connection, claim, outcome)

    async def _tell(self, claim: Any) -> Outcome:
        channel = next((c for c in channels_of(claim["alert_channels"]) if c.key == claim["channel"]), None)
        if channel is None:
            return Outcome("channel_removed", "The channel is not in the settings any more.", again=False)
        try:
            async with asyncio.timeout(TELL_SECONDS):
                return await self._channels.tell(channel, alert_of(claim))
        except TimeoutError:
            return Outcome("timeout", f"The channel did not take it within {TELL_SECONDS:.0f} seconds.")
        except Exception:  # one organisation's trouble, not everybody's
            log.exception("alert_defect", alert_id=claim["id"], type=channel.type)
            return Outcome(Code.unexpected, UNEXPECTED)

    async def _record(self, connection: Connection, claim: Any, outcome: Outcome) -> None:
        now = await self._now(connection)
        mine = {"id": claim["id"], "attempts": claim["attempts"]}
        ALERTS.labels(claim["type"], outcome.code or "sent").inc()
        wait = retry_seconds(claim["attempts"], self._chance(), self._scale) if outcome.code and outcome.again else None
        if outcome.code:
            log.warning("alert_not_sent", alert_id=claim["id"], type=claim["type"], code=outcome.code, again=wait is not None)
        if wait is not None:
            await self._queries.again(
                connection, **mine, due_at=now + timedelta(seconds=wait), error_code=outcome.code, error_message=outcome.message
            )
            return
        status = "sent" if not outcome.code else "skipped" if outcome.skipped or outcome.code == "channel_removed" else "failed"
        await self._queries.ended(connection, **mine, status=status, error_code=outcome.code, error_message=outcome.message, now=now)
        if (more := await self._queries.came_meanwhile(connection, id=claim["id"], told=claim["count"])) is not None and status == "sent":
            await self._queries.put_off(connection, **{**more, "id": new_id("alt")}, due_at=now + self._quiet, now=now)

    # ---- upkeep

    async def upkeep(self) -> None:
        """A loop that several processes may run at once: measures, and forgets what is old."""
        await keep_up(self.look, self.tidy, "notifications_upkeep_waits")

    async def look(self) -> None:
        async with across_tenants(self._pool) as connection:
            now = await self._now(connection)
            row = await self._queries.waiting(connection, now=now)
        WAITING.set(row["alerts"])
        AGE.set(max(0.0, (now - row["oldest"]).total_seconds()) if row["oldest"] else 0.0)

    async def tidy(self) -> int:
        """In steps, so that no transaction is long; how many notifications went."""
        pruned = 0
        while True:
            async with across_tenants(self._pool) as connection:
                before = await self._now(connection) - self._keep
                gone = int(await self._queries.prune(connection, before=before, count=PRUNED_AT_ONCE))
            pruned += gone
            if gone < PRUNED_AT_ONCE:
                return pruned


def alert_of(claim: Any) -> Alert:
    return Alert(
        claim["id"],
        claim["kind"],
        claim["message"],
        json.loads(claim["subject"]),
        claim["created_at"],
        claim["organisation"],
        claim["count"],
    )
