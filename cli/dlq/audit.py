"""Replays in the audit trail: noted before anything is sent, and with what came of it after."""

import getpass
import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from cli.dlq.reading import consumer_of
from cli.errors import CliError
from shared.brokers import Brokers
from shared.codec import decode, encode
from shared.errors import PermanentError
from shared.ids import new_id
from shared.messages import AuditEntry
from shared.topics import AUDIT_ENTRIES

STARTED, ENDED = "dead_letters.replay_started", "dead_letters.replay_ended"
KEY = b"operator"
READ_SECONDS = 20


def operator() -> str:
    """Who runs the command, as this machine knows them."""
    try:
        return f"operator:{getpass.getuser()}"
    except (KeyError, OSError):
        return "operator:unknown"


async def note(producer: AIOKafkaProducer, action: str, topic: str, details: Mapping[str, Any]) -> None:
    """Returns once the broker has it. Raises KafkaError."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    entry = AuditEntry(now, operator(), None, action, topic, json.dumps(details, ensure_ascii=False, sort_keys=True))
    headers = [("message-id", new_id("msg").encode()), ("content-type", b"application/avro")]
    await producer.send_and_wait(AUDIT_ENTRIES, encode(entry), key=KEY, headers=headers)


async def replays(brokers: Brokers) -> list[AuditEntry]:
    """Every replay that the topic still holds, oldest first."""
    found: list[AuditEntry] = []
    async with consumer_of(brokers) as consumer:
        places = [TopicPartition(AUDIT_ENTRIES, number) for number in await _partitions(brokers)]
        starts, ends = (await consumer.beginning_offsets(places), await consumer.end_offsets(places)) if places else ({}, {})
        pending = {place for place in places if ends[place] > starts[place]}
        if pending:
            consumer.assign(list(pending))
            await consumer.seek_to_beginning(*pending)
        until = time.monotonic() + READ_SECONDS
        while pending:
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                found += [entry for record in records if (entry := _replay(record.value)) is not None]
            pending = {place for place in pending if await consumer.position(place) < ends[place]}
            if pending and time.monotonic() > until:
                raise CliError(f"{AUDIT_ENTRIES}: nothing came for {READ_SECONDS} s.", "kafka")
    return sorted(found, key=lambda entry: entry.at)


async def _partitions(brokers: Brokers) -> list[int]:
    """None where the topic isn't there."""
    admin = AIOKafkaAdminClient(**brokers.client)
    try:
        await admin.start()
        return sorted(each["partition"] for row in await admin.describe_topics([AUDIT_ENTRIES]) for each in row["partitions"])
    finally:
        await admin.close()


def _replay(value: bytes | None) -> AuditEntry | None:
    try:
        entry = decode(value or b"")
    except PermanentError:
        return None
    return entry if isinstance(entry, AuditEntry) and entry.action in (STARTED, ENDED) else None
