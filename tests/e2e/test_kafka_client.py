"""Requests and events over Kafka with a client that Waybill does not use itself (librdkafka)."""

import json
import secrets
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from confluent_kafka import Consumer, Message, Producer

from tests.conftest import Stack
from tests.e2e.conftest import EXAMPLES, WAIT_SECONDS, Organisation


@pytest.fixture(scope="module")
def producer(stack: Stack) -> Producer:
    return Producer({"bootstrap.servers": stack.kafka, "enable.idempotence": True})


@pytest.fixture
def events(stack: Stack) -> Iterator[Consumer]:
    consumer = Consumer({"bootstrap.servers": stack.kafka, "group.id": secrets.token_hex(8), "auto.offset.reset": "earliest"})
    consumer.subscribe(["export-events"])
    yield consumer
    consumer.close()


def read_until(consumer: Consumer, wanted: Callable[[Message], bool]) -> list[Message]:
    """Messages up to the first that is wanted."""
    seen: list[Message] = []
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        message = consumer.poll(0.2)
        if message is None or message.error():
            continue
        seen.append(message)
        if wanted(message):
            return seen
    raise AssertionError(f"not among {len(seen)} messages")


def kind(message: Message) -> str:
    return dict(message.headers() or [])["ce_type"].decode()


def publish(producer: Producer, body: dict[str, Any], topic: str = "export-requests") -> None:
    producer.produce(topic, key=body.get("org_id", ""), value=json.dumps(body))
    assert producer.flush(10) == 0


def test_a_request_over_kafka_becomes_a_file_and_events(producer: Producer, events: Consumer, sample: Organisation) -> None:
    request_id = f"req-{secrets.token_hex(6)}"
    body = {"dataset": "messages", "format": "jsonl", "timezone": "Europe/Brussels", "from": "2026-01-01", "to": "2026-07-01"}
    publish(producer, body | {"org_id": sample.org_id, "request_id": request_id, "requested_by": "crm"})

    def ours(message: Message) -> bool:
        data = json.loads(message.value())
        return data.get("request_id") == request_id and kind(message) == "waybill.export.completed"

    seen = read_until(events, ours)
    completed = json.loads(seen[-1].value())
    kinds = [kind(m) for m in seen if m.key() == completed["id"].encode()]
    assert kinds[0] == "waybill.export.accepted"
    assert kinds[-1] == "waybill.export.completed"
    headers = dict(seen[-1].headers())
    assert headers["ce_specversion"] == b"1.0"
    assert {"ce_id", "ce_source", "ce_time", "ce_subject"} <= set(headers)
    assert headers["content-type"] == b"application/json"
    assert sample.download(completed) == (EXAMPLES / "files" / "messages.jsonl").read_bytes()
    # the same key over HTTP is the same export; another body is a conflict on both
    assert sample.ask(body, key=request_id)["id"] == completed["id"]
    other = sample.http.post("/v1/exports", json=body | {"format": "csv"}, headers={"Idempotency-Key": request_id})
    assert (other.status_code, other.json()["error"]["code"]) == (409, "conflict")
    publish(producer, body | {"format": "csv", "org_id": sample.org_id, "request_id": request_id, "requested_by": "crm"})
    refused = read_until(events, lambda m: kind(m) == "waybill.export.refused" and m.key() == request_id.encode())[-1]
    assert json.loads(refused.value())["error"]["code"] == "conflict"


def test_a_wrong_request_is_refused_by_name_on_the_topic(producer: Producer, events: Consumer, sample: Organisation) -> None:
    request_id = f"req-{secrets.token_hex(6)}"
    publish(producer, {"org_id": sample.org_id, "request_id": request_id, "dataset": "leads", "format": "csv", "colums": ["id"]})
    refused = read_until(events, lambda m: m.key() == request_id.encode())[-1]
    error = json.loads(refused.value())["error"]
    assert kind(refused) == "waybill.export.refused"
    assert [d["field"] for d in error["details"]] == ["colums"]


def test_what_cannot_be_decoded_lies_in_the_dead_letter_topic(stack: Stack, producer: Producer) -> None:
    mark = secrets.token_hex(8)
    producer.produce("export-requests", key="org_nobody", value=f'{{"broken": "{mark}"'.encode())
    assert producer.flush(10) == 0
    consumer = Consumer({"bootstrap.servers": stack.kafka, "group.id": secrets.token_hex(8), "auto.offset.reset": "earliest"})
    consumer.subscribe(["export-requests-dlq"])
    try:
        letter = read_until(consumer, lambda m: mark.encode() in m.value())[-1]
    finally:
        consumer.close()
    headers = {name: value.decode() for name, value in letter.headers()}
    assert headers["original-topic"] == "export-requests"
    assert headers["error-code"]
    assert headers["error-message"]


def test_records_over_kafka_are_in_the_next_export(producer: Producer, organisation: Organisation) -> None:
    lead = f"lead_{secrets.token_hex(4)}"
    record = {
        "type": "lead",
        "id": lead,
        "org_id": organisation.org_id,
        "data": {"email": "a@b.example", "created_at": "2026-03-01T00:00:00Z"},
    }
    producer.produce("records", key=f"{organisation.org_id}/lead/{lead}", value=json.dumps(record))
    assert producer.flush(10) == 0
    deadline = time.monotonic() + WAIT_SECONDS
    content = b""
    while lead.encode() not in content and time.monotonic() < deadline:
        content = organisation.download(organisation.completed({"dataset": "leads", "format": "jsonl"}))
    assert json.loads(content)["id"] == lead


def test_one_trace_goes_from_the_request_to_the_last_event(events: Consumer, sample: Organisation) -> None:
    trace_id = secrets.token_hex(16)
    response = sample.http.post(
        "/v1/exports", json={"dataset": "leads", "format": "csv"}, headers={"traceparent": f"00-{trace_id}-{secrets.token_hex(8)}-01"}
    )
    export_id = response.json()["id"]
    seen = read_until(events, lambda m: m.key() == export_id.encode() and kind(m) == "waybill.export.completed")
    ours = [dict(m.headers())["traceparent"].decode() for m in seen if m.key() == export_id.encode()]
    assert len(ours) >= 3
    assert {header.split("-")[1] for header in ours} == {trace_id}
