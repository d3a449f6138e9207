"""Publish inside the transaction: rows of an outbox table become Kafka messages after the commit, in order, at least once.

A row is deleted once the broker has it, so no cursor can pass over a slow transaction's row. Messages of one key keep their order where
their transactions are ordered (rows of one export are written under its row lock). One process relays at a time (advisory lock).
"""

import asyncio
import contextlib
import json
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import asyncpg
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from shared import metrics
from shared.codec import encode
from shared.database import Connection, sorted_errors, transaction
from shared.errors import TransientError
from shared.ids import new_id
from shared.messages import Message
from shared.observability import current_traceparent

log = structlog.get_logger()
RELAY_ROWS_MAX = 500
POLL_SECONDS = 1.0
MEASURE_SECONDS = 5.0
MEASURED_MAX = 100_000


@dataclass(frozen=True)
class Outgoing:
    """A message for a topic. `partition` null: by the key's hash."""

    topic: str
    key: str | None
    value: bytes | None
    headers: dict[str, str] = field(default_factory=dict)
    partition: int | None = None


def internal(topic: str, key: str, message: Message, message_id: str | None = None, partition: int | None = None) -> Outgoing:
    """An internal message in Avro with the headers that every internal message carries."""
    return Outgoing(topic, key, encode(message), internal_headers(message_id), partition)


def internal_headers(message_id: str | None = None) -> dict[str, str]:
    headers = {"message-id": message_id or new_id("msg"), "content-type": "application/avro"}
    if trace := current_traceparent():
        headers["traceparent"] = trace
    return headers


class Outbox:
    """The outbox table of one schema, and the loop that empties it."""

    def __init__(self, pool: asyncpg.Pool, producer: AIOKafkaProducer, schema: str) -> None:
        self._pool, self._producer, self._schema = pool, producer, schema
        self._lock = zlib.crc32(schema.encode())
        self._wake = asyncio.Event()

    async def add(self, connection: Connection, messages: Sequence[Outgoing]) -> None:
        """Put messages into the caller's transaction. Call `wake` after its commit."""
        await connection.executemany(
            f"INSERT INTO {self._schema}.outbox (topic, key, value, headers, partition) VALUES ($1, $2, $3, $4, $5)",
            [(m.topic, m.key.encode() if m.key is not None else None, m.value, json.dumps(m.headers), m.partition) for m in messages],
        )

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        """In a transaction of their own, for what has no other effect in the database; they are on their way once this returns. Raises TransientError."""
        async with transaction(self._pool, "BEGIN") as connection:
            await self.add(connection, messages)
        self.wake()

    def wake(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        """Relay for ever; a dependency that is away is waited for."""
        while True:
            try:
                relayed = await self._relay()
            except (TransientError, KafkaError) as error:
                log.warning("outbox_waits", schema=self._schema, reason=type(error).__name__)
                await asyncio.sleep(POLL_SECONDS)
                continue
            if relayed < RELAY_ROWS_MAX:
                await self._wait()

    async def watch(self) -> None:
        """Keep the metrics of what waits here fresh, for ever; also while the relay itself waits for Kafka."""
        waiting = f"SELECT created_at FROM {self._schema}.outbox ORDER BY seq LIMIT {MEASURED_MAX}"
        while True:
            with contextlib.suppress(TransientError), sorted_errors():
                row = await self._pool.fetchrow(
                    f"SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float FROM ({waiting}) w",
                    timeout=5,
                )
                metrics.OUTBOX_MESSAGES.labels(self._schema).set(row[0])
                metrics.OUTBOX_AGE.labels(self._schema).set(max(0.0, row[1]))
            await asyncio.sleep(MEASURE_SECONDS)

    async def _wait(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(POLL_SECONDS):  # wait_for of Python 3.11 loses a cancellation that comes together with the event
                await self._wake.wait()
        self._wake.clear()

    async def _relay(self) -> int:
        """Publish the oldest rows and delete them; returns how many."""
        # What a crash of the server brings back is published again, as at least once allows: no need to wait for the disk.
        begin = f"BEGIN; SELECT pg_advisory_xact_lock({self._lock}), set_config('synchronous_commit', 'off', true)"
        async with transaction(self._pool, begin) as connection:
            rows = await connection.fetch(f"SELECT * FROM {self._schema}.outbox ORDER BY seq LIMIT {RELAY_ROWS_MAX}")
            if rows:
                await self._publish(rows)
                await connection.execute(f"DELETE FROM {self._schema}.outbox WHERE seq = ANY($1)", [r["seq"] for r in rows])
        return len(rows)

    async def _publish(self, rows: Sequence[asyncpg.Record]) -> None:
        acknowledged = [
            await self._producer.send(
                row["topic"], value=row["value"], key=row["key"], partition=row["partition"],
                headers=[(name, value.encode()) for name, value in json.loads(row["headers"]).items()],
            )
            for row in rows
        ]  # fmt: skip
        await asyncio.gather(*acknowledged)
        for topic, published in Counter(row["topic"] for row in rows).items():
            metrics.OUTBOX_PUBLISHED.labels(self._schema, topic).inc(published)
