"""The topic `records`, through the running service: what a producer sends is a row, or a dead letter with the reason."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import httpx
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from services.ingest import avro
from shared.brokers import Brokers
from shared.consumer import CUT_BYTES
from shared.http import new_key
from shared.runtime import create_producer
from tests.conftest import Stack
from tests.integration.ingest.room import team
from tests.unit.ingest.samples import SAMPLES, sample

SECONDS_MAX = 60


class Wire:
    """An organisation of its own on the running stack, with a producer, and the dead letters from now on."""

    def __init__(
        self, stack: Stack, org_id: str, key: str, admin: asyncpg.Connection, producer: AIOKafkaProducer, dead: AIOKafkaConsumer
    ) -> None:
        self.stack, self.org_id, self.key, self.admin, self._producer, self._dead = stack, org_id, key, admin, producer, dead

    async def send(self, record: dict[str, Any], key: str | None = None, **headers: bytes) -> None:
        record = {"org_id": self.org_id, **record}
        key = f"{record['org_id']}/{record['type']}/{record['id']}" if key is None else key
        await self.send_raw(json.dumps(record).encode(), key.encode(), **headers)

    async def send_raw(self, value: bytes | None, key: bytes | None, **headers: Any) -> None:
        await self._producer.send("records", value, key=key, headers=[(k.replace("_", "-"), v) for k, v in headers.items()])

    async def flush(self) -> None:
        await self._producer.flush()

    async def names(self) -> dict[str, str]:
        rows = await self.admin.fetch("SELECT id, name FROM ingest.teams WHERE org_id = $1 AND ended IS NULL", self.org_id)
        return {id_: name for id_, name in rows}

    async def until_names(self, is_right: Callable[[dict[str, str]], bool]) -> dict[str, str]:
        async with asyncio.timeout(SECONDS_MAX):
            while not is_right(names := await self.names()):
                await asyncio.sleep(0.02)
        return names

    async def dead_letter(self, key: bytes | None) -> tuple[bytes | None, dict[str, bytes]]:
        """Value and headers of the next dead letter with this key."""
        async with asyncio.timeout(SECONDS_MAX):
            while True:
                letter = await self._dead.getone()
                if letter.key == key:
                    return letter.value, dict(letter.headers)


@asynccontextmanager
async def open_wire(stack: Stack) -> AsyncIterator[Wire]:
    org_id = f"org_{secrets.token_hex(4)}"
    key_id, shown, hash_ = new_key()
    admin = await asyncpg.connect(stack.database_url)
    await admin.execute("INSERT INTO tenancy.organisations (org_id, name) VALUES ($1, 'Topic')", org_id)
    query = "INSERT INTO tenancy.api_keys (id, org_id, name, hash, scopes) VALUES ($1, $2, 'test', $3, '{records:write}')"
    await admin.execute(query, key_id, org_id, hash_)
    producer = create_producer(Brokers(stack.kafka), "test")
    dead = AIOKafkaConsumer("records-dlq", bootstrap_servers=stack.kafka, auto_offset_reset="latest")
    await producer.start()
    await dead.start()
    await dead.seek_to_end()
    await asyncio.gather(*[dead.position(tp) for tp in dead.assignment()])
    try:
        yield Wire(stack, org_id, shown, admin, producer, dead)
    finally:
        await dead.stop()
        await producer.stop()
        await admin.close()


@pytest.fixture
async def wire(stack: Stack) -> AsyncIterator[Wire]:
    async with open_wire(stack) as opened:
        yield opened


async def test_records_in_json_and_avro_become_rows(wire: Wire) -> None:
    for name in SAMPLES:
        await wire.send(sample(name))
    envelope = {"type": "team", "id": "avro", "op": None, "version": 3, "org_id": wire.org_id, "data": '{"name": "Ävro"}'}
    await wire.send_raw(avro.encode(envelope), f"{wire.org_id}/team/avro".encode(), content_type=b"application/avro")
    await wire.send(team("json", "Json"), content_type=b"application/json; charset=utf-8")
    names = await wire.until_names(lambda found: len(found) == 3)
    assert names == {"team_1": "Care", "avro": "Ävro", "json": "Json"}
    async with asyncio.timeout(SECONDS_MAX):
        while not await wire.admin.fetchval("SELECT count(*) FROM ingest.visits WHERE org_id = $1", wire.org_id):
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("record", "code", "field"),
    [
        (team("t") | {"data": {"name": 5}}, "invalid_value", "data.name"),
        (team("t", "n", org_id="org_that_is_not"), "unknown_organisation", "org_id"),
        (team("t", "n", org_id=None), "missing_field", "org_id"),
        (team("t", "n", colour=1), "unknown_field", "colour"),
    ],
)
async def test_a_wrong_record_is_a_dead_letter_with_the_reason(wire: Wire, record: dict[str, Any], code: str, field: str) -> None:
    mark = secrets.token_hex(4)
    record = record | {"id": mark}
    await wire.send(record, trace=b"\xff\xfe")
    key = f"{record.get('org_id', wire.org_id)}/team/{mark}".encode()
    value, headers = await wire.dead_letter(key)
    assert value == json.dumps({"org_id": wire.org_id, **record}).encode()
    assert (headers["error-code"], headers["error-field"]) == (code.encode(), field.encode())
    assert headers["trace"] == b"\xff\xfe"
    assert headers["error-message"]
    assert headers["original-topic"] == b"records"
    assert headers["original-partition"].isdigit() and headers["original-offset"].isdigit()


@pytest.mark.parametrize(
    ("value", "headers", "code", "field"),
    [
        (b"{broken", {}, "invalid_json", ""), (b"", {}, "invalid_json", ""), (None, {}, "invalid_json", ""), (b"[" * 10_000, {}, "invalid_json", ""),
        (b"x" * (1 << 20) + b"x", {}, "too_large", ""), (b"x", {"content_type": b"application/avro"}, "undecodable", ""),
        (b"{}", {"content_type": b"text/plain"}, "undecodable", "content-type"), (b"{}", {"content_type": None}, "missing_field", "type"),
    ],
)  # fmt: skip
async def test_what_is_no_record_is_a_dead_letter(wire: Wire, value: bytes | None, headers: dict[str, Any], code: str, field: str) -> None:
    key = secrets.token_bytes(8)
    await wire.send_raw(value, key, **headers)
    letter, reason = await wire.dead_letter(key)
    assert (letter or b"") == (value or b"")
    assert (reason["error-code"], reason["error-field"]) == (code.encode(), field.encode())


async def test_what_unpacks_to_more_than_a_topic_takes_is_a_dead_letter_cut(wire: Wire) -> None:
    key = secrets.token_bytes(8)
    async with AIOKafkaProducer(bootstrap_servers=wire.stack.kafka, compression_type="lz4", max_request_size=16 << 20) as producer:
        await producer.send_and_wait("records", b" " * (10 << 20), key=key)
    letter, reason = await wire.dead_letter(key)
    assert (letter, reason["error-code"], reason["original-bytes"]) == (b" " * CUT_BYTES, b"too_large", b"10485760")


async def test_a_key_that_disagrees_is_a_dead_letter_and_its_neighbours_are_rows(wire: Wire) -> None:
    await wire.send(team("before", "b"))
    wrong = f"{wire.org_id}/team/other"
    await wire.send(team("t", "n"), key=wrong)
    await wire.send(team("after", "a"))
    _, headers = await wire.dead_letter(wrong.encode())
    assert (headers["error-code"], headers["error-field"]) == (b"key_mismatch", b"key")
    assert await wire.until_names(lambda found: len(found) == 2) == {"before": "b", "after": "a"}


async def test_http_and_kafka_race_on_the_same_ids_and_the_highest_version_wins(wire: Wire) -> None:
    ids = [f"t{n}" for n in range(200)]

    async def over_kafka() -> None:
        for version in range(0, 20, 2):
            for id_ in ids:
                await wire.send(team(id_, f"kafka {version}", version=version))
        await wire.flush()

    async def over_http() -> int:
        total = 0
        async with httpx.AsyncClient(
            base_url=wire.stack.url, headers={"authorization": f"Bearer {wire.key}"}, timeout=SECONDS_MAX
        ) as client:
            for version in range(1, 20, 2):
                body = "\n".join([json.dumps(team(id_, f"http {version}", version=version)) for id_ in ids])
                answer = (await client.post("/v1/records", content=body)).json()
                total += answer["accepted"] + answer["stale"]
        return total

    _, counted = await asyncio.gather(over_kafka(), over_http())
    assert counted == 2000
    await wire.send(team("last", "last"))
    for id_ in ids:  # a later message of each partition: what was sent before it has been handled
        await wire.send(team(f"{id_}_end", "end"))
    names = await wire.until_names(lambda found: len(found) == 401)
    assert {names[id_] for id_ in ids} == {"http 19"}
