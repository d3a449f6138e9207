"""The topic export-requests: the same requests, the same keys; refusals are told, only what can't be read is a dead letter."""

import io
import json
import secrets
from typing import Any

import fastavro
import pytest

from services.export_request.wire import PUBLIC
from shared.codec import MARKER, schema_fingerprint
from shared.consumer import Incoming
from shared.errors import PermanentError
from tests.contract.export_request.conftest import LEADS, Caller, World


def message(value: bytes, content_type: str = "", message_id: str = "") -> Incoming:
    headers = [("content-type", content_type.encode())] if content_type else []
    return Incoming("export-requests", 0, 0, b"", value, (*headers, ("message-id", (message_id or secrets.token_hex(8)).encode())))


def as_json(caller: Caller, body: dict[str, Any], **more: Any) -> Incoming:
    return message(json.dumps({"org_id": caller.org_id, "request_id": "r1", "requested_by": "crm", **body, **more}).encode())


def as_avro(caller: Caller, body: dict[str, Any]) -> Incoming:
    schema = json.loads((PUBLIC / "ExportRequest.avsc").read_text())
    out = io.BytesIO()
    record = {"org_id": caller.org_id, "request_id": "r1", "requested_by": None, "body": json.dumps(body)}
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), record)
    return message(MARKER + schema_fingerprint(schema) + out.getvalue(), "application/avro")


async def refusal(world: World, key: str = "r1") -> dict[str, Any]:
    await world.outbox()
    event = [e for e in world.events(key) if e.event == "refused"][-1]
    assert event.headers.get("ce_subject", "") == key
    return event.data


async def test_json_avro_and_http_with_one_key_are_one_export(world: World) -> None:
    caller = await world.organisation(leads=2)
    await world.parts.handlers.export_requests(as_json(caller, LEADS))
    await world.parts.handlers.export_requests(as_json(caller, LEADS))
    await world.parts.handlers.export_requests(as_avro(caller, LEADS))
    export = await caller.ask(LEADS, key="r1")
    (listed,) = (await caller.call("GET", "/v1/exports")).json()["data"]
    assert (listed["id"], listed["request_id"], listed["request"]) == (export["id"], "r1", LEADS)
    await world.drive(export["id"])
    events = world.events(export["id"])
    assert [e.event for e in events] == ["accepted", "started", "progress", "completed"]
    headers = events[-1].headers
    assert (headers["ce_specversion"], headers["ce_subject"], headers["content-type"]) == ("1.0", export["id"], "application/json")
    assert len({e.headers["ce_id"] for e in events}) == 4
    assert events[-1].data["id"] == export["id"]


async def test_another_body_is_a_conflict_on_both_ways(world: World) -> None:
    caller = await world.organisation()
    await caller.ask(LEADS, key="r1")
    await world.parts.handlers.export_requests(as_json(caller, LEADS | {"format": "json"}))
    told = await refusal(world)
    assert (told["org_id"], told["request_id"], told["requested_by"], told["error"]["code"]) == (caller.org_id, "r1", "crm", "conflict")


async def test_a_wrong_request_is_refused_by_name(world: World) -> None:
    caller = await world.organisation()
    await world.parts.handlers.export_requests(as_json(caller, {"dataset": "leads", "colums": ["id"], "timezone": "Mars"}))
    error = (await refusal(world))["error"]
    assert (error["code"], [d["field"] for d in error["details"]]) == ("invalid_request", ["colums", "timezone"])


async def test_a_password_is_refused_and_not_repeated(world: World) -> None:
    caller = await world.organisation()
    await world.parts.handlers.export_requests(as_json(caller, LEADS | {"password": "Abcd1234"}))
    told = await refusal(world)
    assert told["error"]["code"] == "password_over_kafka"
    assert "Abcd1234" not in json.dumps(told)


@pytest.mark.parametrize(
    ("envelope", "field"),
    [({"request_id": None}, "request_id"), ({"request_id": "a\nb"}, "request_id"), ({"requested_by": 7}, "requested_by")],
)
async def test_a_wrong_envelope_is_refused_by_name(world: World, envelope: dict[str, Any], field: str) -> None:
    caller = await world.organisation()
    await world.parts.handlers.export_requests(as_json(caller, LEADS, **envelope))
    key = {"request_id": "r1", **envelope}["request_id"] or ""
    assert [d["field"] for d in (await refusal(world, key))["error"]["details"]] == [field]


async def test_a_message_that_comes_again_is_refused_once(world: World) -> None:
    caller = await world.organisation()
    repeated = as_json(caller, {"dataset": "nothing"})
    for _ in range(2):
        await world.parts.handlers.export_requests(repeated)
    await world.outbox()
    assert len(world.events("r1")) == 1


@pytest.mark.parametrize(
    ("value", "content_type"),
    [
        (b'{"broken"', ""), (b"[]", ""), (b"", ""), (b'{"dataset":"leads"}', ""), (b'{"org_id": 7}', ""), (b"{}", "text/csv"),
        (b"\xc3\x01nonsense", "application/avro"), (b'{"org_id":"o","a":1,"a":2}', ""),
    ],
)  # fmt: skip
async def test_what_cannot_be_read_is_a_dead_letter(world: World, value: bytes, content_type: str) -> None:
    with pytest.raises(PermanentError) as refused:
        await world.parts.handlers.export_requests(message(value, content_type))
    assert refused.value.code == "undecodable"


async def test_an_unknown_organisation_is_a_dead_letter(world: World) -> None:
    with pytest.raises(PermanentError) as refused:
        await world.parts.handlers.export_requests(message(b'{"org_id":"org_nobody","request_id":"r","dataset":"leads"}'))
    assert (refused.value.code, refused.value.field) == ("unknown_organisation", "org_id")


async def test_a_refusal_is_always_small_enough_to_be_told(world: World) -> None:
    """Nothing that a sender can put into a request makes an event that the topic would not take."""
    caller = await world.organisation()
    many = {f"field_{n}": 1 for n in range(20_000)}
    for odd in (as_json(caller, LEADS | many), as_json(caller, LEADS, request_id="x" * 900_000), as_json(caller, LEADS, requested_by="x" * 900_000),
                as_json(caller, LEADS | {"filter": {"ids": ["x" * 100] * 12_000}})):  # fmt: skip
        await world.parts.handlers.export_requests(odd)
    sizes = [len(m.value) + len(m.key) + sum(len(v) for v in m.headers.values()) for m in await world.outbox()]
    assert len(sizes) == 4
    assert max(sizes) < 100_000
    assert (await caller.call("GET", "/v1/exports")).json()["data"] == []
