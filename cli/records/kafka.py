"""Records to the Kafka topic `records`: acks=all, idempotent, lz4; batches are built here, so that sending costs a few µs a record."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError

from cli.core.envelopes import Broken, look
from cli.core.murmur import partition_of
from cli.core.places import Block, Refused
from cli.errors import CliError
from cli.kafka import reachable
from cli.records.tally import Tally
from shared.brokers import Brokers

TOPIC = "records"
REQUEST_BYTES_MAX = 2 * 1024 * 1024
BATCH_BYTES = 512 * 1024
IN_FLIGHT_MAX = 24


async def send(
    brokers: Brokers, org_id: str | None, blocks: Iterator[Block | Refused], tally: Tally, on_sent: Callable[[Block], None]
) -> None:
    """Publishes every record and waits until the brokers hold it. Raises CliError for a broker that doesn't take it."""
    await reachable(brokers)
    producer = AIOKafkaProducer(
        **brokers.client, acks="all", enable_idempotence=True, compression_type="lz4",
        max_batch_size=REQUEST_BYTES_MAX - 64 * 1024, max_request_size=REQUEST_BYTES_MAX, request_timeout_ms=30_000,
    )  # fmt: skip
    try:
        await producer.start()
        sender = _Sender(producer, tally, sorted(await producer.partitions_for(TOPIC)))
        for block in blocks:
            if isinstance(block, Refused):
                tally.refuse(block)
                continue
            await sender.add(block, org_id)
            on_sent(block)
        await sender.finish()
    except UnknownTopicOrPartitionError:
        raise CliError(f"WAYBILL_KAFKA: the topic '{TOPIC}' is not there; `waybill doctor` says more.", "unknown_topic") from None
    except KafkaError as error:
        raise CliError(f"WAYBILL_KAFKA: {brokers} didn't take the records: {error} ({tally.published} are published).", "kafka") from None
    finally:
        await producer.stop()


class _Sender:
    """Fills one batch a partition and sends it when full; a bounded number in flight."""

    def __init__(self, producer: AIOKafkaProducer, tally: Tally, partitions: list[int]) -> None:
        self._producer, self._tally, self._partitions = producer, tally, partitions
        self._open: dict[int, Any] = {}
        self._in_flight: set[asyncio.Future[Any]] = set()

    async def add(self, block: Block, org_id: str | None) -> None:
        for number, line in enumerate(block.data.split(b"\n"), start=block.first_line):
            if not line or line.isspace():
                continue
            seen = look(line, org_id)
            if isinstance(seen, Broken):
                self._tally.refuse(Refused(block.file, number, seen.code, seen.field, seen.message))
                continue
            if seen.org_id is None:
                self._tally.refuse(
                    Refused(block.file, number, "invalid_record", "org_id", "Missing: give --org, or put it into the record.")
                )
                continue
            key = f"{seen.org_id}/{seen.type}/{seen.id}".encode()
            await self._append(partition_of(key, self._partitions), key, seen.value)

    async def _append(self, partition: int, key: bytes, value: bytes) -> None:
        batch = self._open.get(partition)
        if batch is not None and batch.size() + len(key) + len(value) > BATCH_BYTES:
            await self._send(partition)
            batch = None
        if batch is None:
            batch = self._open[partition] = self._producer.create_batch()
        batch.append(key=key, value=value, timestamp=None)

    async def _send(self, partition: int) -> None:
        batch = self._open.pop(partition)
        batch.close()
        count = batch.record_count()
        delivered = await self._producer.send_batch(batch, TOPIC, partition=partition)
        self._in_flight.add(asyncio.ensure_future(self._count(delivered, count)))
        while len(self._in_flight) >= IN_FLIGHT_MAX:
            await self._settle(asyncio.FIRST_COMPLETED)

    async def _count(self, delivered: Any, count: int) -> None:
        await delivered
        self._tally.published += count

    async def _settle(self, when: str) -> None:
        done, self._in_flight = await asyncio.wait(self._in_flight, return_when=when)
        for each in done:
            each.result()

    async def finish(self) -> None:
        for partition in list(self._open):
            await self._send(partition)
        if self._in_flight:
            await self._settle(asyncio.ALL_COMPLETED)
