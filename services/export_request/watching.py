"""Keeps the metrics of the whole fresh: what waits, what is under way, how far consumers are behind. Two loops, so that Kafka's absence hides nothing else."""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import datetime

import asyncpg
import structlog
from aiokafka.errors import KafkaError

from services.export_request import metrics
from services.export_request.core.life import RUNNING
from services.export_request.core.watching import queues
from services.export_request.effects import seconds_between
from services.export_request.queries import load, rows
from services.export_request.schedules.queries import load as load_schedules
from shared.database import across_tenants
from shared.errors import TransientError
from shared.lag import Kafka
from shared.topics import all_topics

log = structlog.get_logger()
LOOK_SECONDS = 5.0
LOOK_AT_KAFKA_SECONDS = 15.0
LANES = {True: "express", False: "bulk"}


class Watcher:
    """`kafka` makes the clients that ask the brokers."""

    def __init__(self, pool: asyncpg.Pool, kafka: Callable[[], Kafka], clock: Callable[[], datetime]) -> None:
        self._pool, self._kafka, self._clock, self._queries = pool, kafka, clock, load()
        self._schedules = load_schedules()

    async def run(self) -> None:
        while True:
            with contextlib.suppress(TransientError):  # the readiness says so
                await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """One round over the tables."""
        now = self._clock()
        async with across_tenants(self._pool) as connection:
            running = {row["status"]: row["exports"] for row in await rows(self._queries.running(connection))}
            silent_since = await self._queries.silent_since(connection)
            chunks = {(row["express"], row["state"]): row["chunks"] for row in await rows(self._queries.chunks_by_state(connection))}
            schedules = await self._schedules.scheduling(connection)
            waiting = queues({row["org_id"]: row["since"] for row in await rows(self._queries.queues(connection))}, now)
        for status in RUNNING:
            metrics.EXPORTS.labels(status).set(running.get(status, 0))
        metrics.SILENT.set(seconds_between(silent_since, now) if silent_since else 0)
        for express, lane in LANES.items():
            metrics.CHUNKS_IN_FLIGHT.labels(lane).set(chunks.get((express, "released"), 0))
            metrics.CHUNKS_WAITING.labels(lane).set(chunks.get((express, "planned"), 0))
        metrics.SCHEDULE_RUNS_WAITING.set(schedules["waiting"])
        metrics.SCHEDULE_RUNS_RUNNING.set(schedules["running"])
        due_since = schedules["due_since"]
        metrics.SCHEDULE_DELAY.set(seconds_between(due_since, now) if due_since else 0)
        metrics.QUEUE_AGE.clear()
        for org_id, seconds in waiting.longest.items():
            metrics.QUEUE_AGE.labels(org_id).set(seconds)
        metrics.QUEUE_AGE_MAX.set(waiting.longest_seconds)
        metrics.QUEUE_ORGANISATIONS.set(waiting.organisations)

    async def run_on_kafka(self) -> None:
        while True:
            kafka = self._kafka()
            try:
                await kafka.start()
                while True:
                    await self.look_at_kafka(kafka)
                    await asyncio.sleep(LOOK_AT_KAFKA_SECONDS)
            except (KafkaError, OSError, KeyError) as error:  # KeyError: a topic that was made or dropped while we looked
                log.warning("lag_unknown", reason=type(error).__name__)
            finally:
                await kafka.close()
            await asyncio.sleep(LOOK_SECONDS)

    async def look_at_kafka(self, kafka: Kafka) -> None:
        """One round over our topics and groups: others' are none of our business, and nobody lets us look at them."""
        ours = all_topics()
        groups = {group: topic.name for topic in ours.values() for group in topic.groups.values()}
        for each in await kafka.lags(groups):
            if groups[each.group] == each.topic:
                metrics.LAG.labels(each.topic, each.group).set(each.messages)
        for topic, kept in (await kafka.kept(name for name in ours if name.endswith("-dlq"))).items():
            metrics.LETTERS.labels(topic).set(kept)
