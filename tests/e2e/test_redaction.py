"""Planted values on the real stack: they are in no file, manifest, event, message about parts and files, audit entry or log."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer

from shared.datasets import registry
from shared.topics import all_topics
from tests.conftest import Stack
from tests.e2e.conftest import Organisation, new_organisation
from tests.e2e.logs import logs
from tests.integration.engine import planted
from tests.oracle.generate import ndjson

PROFILE = {
    "name": "everything", "default": True, "columns": {"email": "hash", "lead_email": "hash"},
    "detect": ["email", "phone", "card_number", "iban", "ip_address", "url"], "patterns": [{"pattern": "CANARY-[0-9]{5}"}],
}  # fmt: skip
PASSWORD = "correct4horse"
AT_ONCE = 4  # exports: each is small, and goes through the whole road
RANGE = {"from": "2025-01-01", "to": "2027-12-31"}
# Records as they come in hold what they hold, and chunks begin and end with ids (docs/redaction.md).
RAW = ("records", "lead-changes", "lead-scores", "export-chunks", "export-chunks-express", "export-requests")


@pytest.fixture(scope="module")
def canaries(stack: Stack) -> Iterator[Organisation]:
    made = new_organisation(stack)
    settings = {"redaction_profiles": [PROFILE], "custom_properties": [{"name": "note"}, {"name": "number", "type": "number"}]}
    assert made.http.patch("/v1/settings", json=settings).status_code == 200
    assert made.send(ndjson(planted.planted(5, 12)))["refused_count"] == 0
    yield made
    made.http.close()


def clean(text: str, where: str, traces: tuple[str, ...] = planted.LONG_TRACES) -> None:
    assert not (found := [trace for trace in traces if trace in text]), (where, found)


async def messages(stack: Stack, topics: list[str]) -> list[tuple[str, bytes]]:
    """Everything that the topics hold by now."""
    found: list[tuple[str, bytes]] = []
    consumer = AIOKafkaConsumer(*topics, bootstrap_servers=stack.env["WAYBILL_KAFKA"], auto_offset_reset="earliest")
    await consumer.start()
    try:
        places = list(consumer.assignment())
        ends = await consumer.end_offsets(places)
        await consumer.seek_to_beginning(*places)
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            for place, batch in (await consumer.getmany(timeout_ms=500)).items():
                found += [(place.topic, (m.key or b"") + b" " + (m.value or b"") + repr(m.headers).encode()) for m in batch]
    finally:
        await consumer.stop()
    return found


def body_of(name: str) -> dict[str, Any]:
    dataset = registry.get(name)
    protected = {"password": PASSWORD, "purpose": "a test"} if dataset.protected else {}
    return {"dataset": name, "formats": list(dataset.formats), **(RANGE if dataset.range_rule == "required" else {}), **protected}


async def test_planted_values_are_nowhere(stack: Stack, canaries: Organisation) -> None:
    asked: dict[str, str] = {}
    names, again = registry.names(), {}
    for place, name in enumerate(names):
        asked |= {each: canaries.ask(body_of(each))["id"] for each in names[place : place + AT_ONCE] if each not in asked}
        export_id = asked[name]
        export = canaries.ended(export_id)
        assert export["status"] == "completed", export
        for number, file in enumerate(export["files"]):
            clean(planted.readable(canaries.download(export, number), PASSWORD), file["name"])
        manifest = canaries.http.get(export["manifest_url"]).json()
        clean(json.dumps(manifest), f"{name}'s manifest")
        told = manifest["redaction"]
        assert (told["profile"], {p["name"] for p in told["patterns"]}) == ("everything", {"everything.1", *PROFILE["detect"]})
        if any(c.key == "email" for c in registry.get(name).columns()) and manifest["rows_planned"]:
            (email,) = [c for c in told["columns"] if c["column"] == "email"]
            assert email["values"] > 0
        if not registry.get(name).protected:  # its password is gone
            rerun = canaries.http.post(f"/v1/exports/{export_id}/rerun").raise_for_status().json()["id"]
            again[rerun] = (export_id, told)
    for rerun, reproduced in again.items():
        repeated = canaries.http.get(canaries.ended(rerun)["manifest_url"]).json()
        assert (repeated["reproduces"], repeated["redaction"]) == reproduced
    topics = [topic for topic in all_topics() if topic not in RAW and not topic.endswith("-dlq")]
    own = canaries.org_id.encode()
    for topic, value in await messages(stack, topics):
        if own in value:
            clean(value.decode(errors="replace"), topic)
    ours = {
        name: text for name, text in logs(stack) if name.startswith(("ingest", "export_request", "formatter", "delivery", "lead_scoring"))
    }
    assert ours
    for name, text in ours.items():
        clean(text.decode("utf-8", errors="replace"), name)
