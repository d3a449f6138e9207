"""export-events read by the CloudEvents SDK, which we did not write: every kind of event that an export's life has is one to it."""

import json
import secrets
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cloudevents.core.base import BaseCloudEvent
from cloudevents.core.bindings.kafka import KafkaMessage, from_kafka
from cloudevents.core.formats.json import JSONFormat
from confluent_kafka import Consumer, Producer

from tests.conftest import Stack
from tests.e2e.conftest import WAIT_SECONDS, Organisation

LEADS: dict[str, Any] = {"dataset": "leads", "format": "csv"}
MESSAGES: dict[str, Any] = {"dataset": "messages", "format": "jsonl", "from": "2026-01-01", "to": "2027-01-01"}


class Subscriber:
    """Reads the topic from its beginning; what an application would do with the SDK."""

    def __init__(self, stack: Stack) -> None:
        self._consumer = Consumer({"bootstrap.servers": stack.kafka, "group.id": secrets.token_hex(8), "auto.offset.reset": "earliest"})
        self._consumer.subscribe(["export-events"])
        self._seen: dict[str, list[BaseCloudEvent]] = {}

    def until(self, subject: str, kind: str) -> list[BaseCloudEvent]:
        """The events about a subject, in order, up to the first of this kind."""
        deadline = time.monotonic() + WAIT_SECONDS
        while not any(event.get_type() == f"waybill.export.{kind}" for event in self._seen.get(subject, [])):
            assert time.monotonic() < deadline, f"no {kind} among {[event.get_type() for event in self._seen.get(subject, [])]}"
            message = self._consumer.poll(0.2)
            if message is not None and not message.error():
                event = from_kafka(KafkaMessage(dict(message.headers()), message.key(), message.value()), JSONFormat())
                self._seen.setdefault(event.get_subject() or "", []).append(event)
        return self._seen[subject]

    def close(self) -> None:
        self._consumer.close()


@pytest.fixture(scope="module")
def subscriber(stack: Stack) -> Iterator[Subscriber]:
    made = Subscriber(stack)
    yield made
    made.close()


def kinds(events: list[BaseCloudEvent]) -> list[str]:
    """In order; what is told more than once, once."""
    return list(dict.fromkeys(event.get_type().removeprefix("waybill.export.") for event in events))


def checked(events: list[BaseCloudEvent], subject: str) -> None:
    """What every event has, whatever it tells."""
    now = datetime.now(UTC)
    for event in events:
        assert (event.get_specversion(), event.get_source(), event.get_subject()) == ("1.0", "/v1/exports", subject)
        assert event.get_datacontenttype() == "application/json"
        assert event.get_extension("partitionkey") == subject, "events about one export keep their order"
        at = event.get_time()
        assert at is not None and at.utcoffset() == timedelta(0) and at <= now + timedelta(seconds=5)
        assert isinstance(event.get_data(), dict)
    assert len({event.get_id() for event in events}) == len({(event.get_type(), event.get_time()) for event in events})


def test_completed_and_expired(subscriber: Subscriber, sample: Organisation) -> None:
    export = sample.ask(MESSAGES | {"expires_in_seconds": 2})
    events = subscriber.until(export["id"], "expired")
    assert kinds(events) == ["accepted", "started", "progress", "completed", "expired"]
    checked(events, export["id"])
    ends: dict[str, Any] = {event.get_type(): event.get_data() for event in events}
    assert ends["waybill.export.completed"]["status"] == "completed"
    assert ends["waybill.export.completed"]["files"][0]["rows"] > 0
    shown = sample.http.get(f"/v1/exports/{export['id']}").json()
    assert ends["waybill.export.expired"] == shown, "data is what GET shows"


def test_failed_with_its_reason(subscriber: Subscriber, organisation: Organisation) -> None:
    leads = [
        {"type": "lead", "id": f"lead_{n}", "data": {"email": "a@b.example", "created_at": "2026-03-01T00:00:00Z"}} for n in range(700)
    ]
    organisation.send("\n".join(map(json.dumps, leads)).encode())
    export = organisation.ask({"dataset": "leads", "formats": ["csv", "json", "jsonl"], "max_rows_per_file": 1})
    events = subscriber.until(export["id"], "failed")
    checked(events, export["id"])
    assert (kinds(events)[0], kinds(events)[-1]) == ("accepted", "failed")
    data: Any = events[-1].get_data()
    assert data["error"]["code"] == "too_many_files"


def test_cancelled(subscriber: Subscriber, sample: Organisation) -> None:
    while True:
        export = sample.ask(LEADS)
        if sample.http.delete(f"/v1/exports/{export['id']}").status_code == 202:
            break
    events = subscriber.until(export["id"], "cancelled")
    checked(events, export["id"])
    assert (kinds(events)[0], kinds(events)[-1]) == ("accepted", "cancelled")
    assert not {"completed", "failed"} & set(kinds(events))


def test_refused(subscriber: Subscriber, stack: Stack, sample: Organisation) -> None:
    request = {
        "org_id": sample.org_id,
        "request_id": f"r-{secrets.token_hex(6)}",
        "requested_by": "crm",
        "dataset": "leads",
        "format": "tiff",
    }
    producer = Producer({"bootstrap.servers": stack.kafka})
    producer.produce("export-requests", key=sample.org_id, value=json.dumps(request))
    assert producer.flush(10) == 0
    events = subscriber.until(request["request_id"], "refused")
    checked(events, request["request_id"])
    data: Any = events[0].get_data()
    assert data["error"]["code"] == "invalid_request"
    assert {name: data[name] for name in ("org_id", "request_id", "requested_by")} == {
        name: request[name] for name in ("org_id", "request_id", "requested_by")
    }
