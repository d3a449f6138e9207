"""The demo's side of Kafka: ask for an export by a message, read from the events what became of it, wait until records are taken."""

import asyncio
import json
import time
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from deploy.local.errors import StackError
from shared.topics import EXPORT_EVENTS, EXPORT_REQUESTS, RECORDS, all_topics

INGEST_GROUP = "waybill-ingest"
LAST_EVENTS = ("completed", "failed", "cancelled", "refused")


async def ask(bootstrap: str, request: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Publish a request and follow `export-events` to its end; the last event's data.

    Raises StackError when it doesn't end as completed within `seconds`.
    """
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="latest")
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True)
    async with consumer, producer:
        partitions = [TopicPartition(EXPORT_EVENTS, number) for number in range(all_topics()[EXPORT_EVENTS].partitions)]
        consumer.assign(partitions)
        await consumer.seek_to_end(*partitions)  # before asking: no event of ours is missed
        await producer.send_and_wait(EXPORT_REQUESTS, json.dumps(request).encode(), key=request["org_id"].encode())
        try:
            kind, data = await asyncio.wait_for(_last_event(consumer, request["request_id"]), seconds)
        except TimeoutError:
            raise StackError(f"no event told the end of request {request['request_id']} within {seconds:.0f} s") from None
    if kind != "completed":
        raise StackError(f"the export asked for over Kafka ended as {kind}: {json.dumps(data.get('error'))}")
    return data


async def _last_event(consumer: AIOKafkaConsumer, request_id: str) -> tuple[str, dict[str, Any]]:
    async for message in consumer:
        kind = dict(message.headers)["ce_type"].decode().rpartition(".")[2]
        data: dict[str, Any] = json.loads(message.value)
        if data.get("request_id") == request_id and kind in LAST_EVENTS:
            return kind, data
    raise StackError("export-events ended")


async def wait_for_ingest(bootstrap: str, seconds: float) -> None:
    """Return once ingest has committed all that lies in the topic `records`. Raises StackError when it takes longer than `seconds`."""
    partitions = [TopicPartition(RECORDS, number) for number in range(all_topics()[RECORDS].partitions)]
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        async with AIOKafkaConsumer(bootstrap_servers=bootstrap) as consumer:
            ends = await consumer.end_offsets(partitions)
            deadline = time.monotonic() + seconds
            while True:
                committed = await admin.list_consumer_group_offsets(INGEST_GROUP, partitions=partitions)
                left = sum(end - max(0, committed[partition].offset) for partition, end in ends.items())
                if not left:
                    return
                if time.monotonic() > deadline:
                    raise StackError(f"ingest has not taken {left} records of the topic {RECORDS} within {seconds:.0f} s")
                await asyncio.sleep(0.2)
    finally:
        await admin.close()
