"""One trace from the request to the webhook: in every message of the road, in the request that tells of the end, and in what a collector gets."""

import json
import secrets
import time
from collections import defaultdict
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer

from tests.e2e.conftest import Organisation
from tests.operate.collector import Collector, Span
from tests.operate.conftest import LARGE, Own, until
from tests.receiver import receiving

LEADS: dict[str, Any] = {"dataset": "leads", "format": "csv"}
ROAD = ("export-requests", "export-chunks", "export-chunks-express", "export-parts", "export-assemblies", "export-files", "export-events")
# What each service does for an export; the rest are names that may change.
DONE = {
    ("waybill-export-request", "plan"), ("waybill-formatter", "{chunks} receive"), ("waybill-export-request", "export-parts receive"),
    ("waybill-delivery", "export-assemblies receive"), ("waybill-export-request", "export-files receive"),
    ("waybill-delivery", "export-events receive"), ("waybill-delivery", "webhook send"),
}  # fmt: skip
WAIT_SECONDS = 90


def messages_of(consumer: Consumer, trace_id: str, over: set[str]) -> dict[str, list[tuple[str, dict[str, str]]]]:
    """Topic → (key, headers) of what carries the trace, or is about its export; read until every topic of `over` has some and the end is told."""
    deadline, export_id, told = time.monotonic() + WAIT_SECONDS, "", False
    kept: list[tuple[str, str, dict[str, str]]] = []

    def found() -> dict[str, list[tuple[str, dict[str, str]]]]:
        """Of all that was kept, as topics are read in any order: an export's chunks may come before the event that names it, and its request after."""
        ours: dict[str, list[tuple[str, dict[str, str]]]] = defaultdict(list)
        for topic, key, headers in kept:
            if (export_id and key.startswith(export_id)) or trace_id in headers.get("traceparent", ""):
                ours[topic].append((key, headers))
        return ours

    while not (told and over <= found().keys()):
        assert time.monotonic() < deadline, f"only {sorted(found())} of {export_id}"
        message = consumer.poll(0.2)
        if message is None or message.error():
            continue
        headers = {name: value.decode() for name, value in message.headers() or []}
        kept.append((message.topic(), (message.key() or b"").decode(), headers))
        if trace_id in headers.get("traceparent", "") and message.topic() == "export-events":
            export_id = kept[-1][1]
            told = told or headers["ce_type"] == "waybill.export.completed"
    return found()


def connected(spans: list[Span], root: str) -> bool:
    """Every span's parent is there too, or is the caller's."""
    known = {span.span_id for span in spans} | {root}
    return bool(spans) and all(span.parent in known for span in spans)


@pytest.mark.parametrize(
    ("way", "body"),
    [("http", LEADS), ("kafka", LEADS), ("http", LARGE), ("kafka", LARGE)],
    ids=lambda each: each if isinstance(each, str) else each["dataset"],
)
def test_one_trace_from_the_request_to_the_webhook(
    own: Own, collector: Collector, organisation: Organisation, large: Organisation, way: str, body: dict[str, Any]
) -> None:
    asks = large if body is LARGE else organisation
    trace_id, root = secrets.token_hex(16), secrets.token_hex(8)
    traceparent = f"00-{trace_id}-{root}-01"
    chunks = "export-chunks" if body is LARGE else "export-chunks-express"
    over = {chunks, "export-parts", "export-assemblies", "export-files", "export-events"}
    consumer = Consumer({"bootstrap.servers": own.stack.kafka, "group.id": secrets.token_hex(8), "auto.offset.reset": "earliest"})
    consumer.subscribe(list(ROAD))
    with receiving() as receiver:
        endpoint = asks.http.post("/v1/webhook-endpoints", json={"url": receiver.url(), "events": ["export.completed"]}).json()
        try:
            if way == "http":
                assert asks.http.post("/v1/exports", json=body, headers={"traceparent": traceparent}).status_code == 202
            else:
                over.add("export-requests")
                ask(own, asks, body, traceparent)
            found = messages_of(consumer, trace_id, over)
            (webhook,) = receiver.until("/", 1)
        finally:
            asks.http.delete(f"/v1/webhook-endpoints/{endpoint['id']}")
            consumer.close()
    for topic, messages in found.items():
        assert {headers["traceparent"].split("-")[1] for _, headers in messages} == {trace_id}, topic
    assert webhook.headers["traceparent"].split("-")[1] == trace_id
    wanted = {(service, name.format(chunks=chunks)) for service, name in DONE}
    wanted.add(("waybill-export-request", "POST /v1/exports" if way == "http" else "export-requests receive"))
    until(lambda: {(span.service, span.name) for span in collector.trace(trace_id)} >= wanted)
    until(lambda: connected(collector.trace(trace_id), root))


def ask(own: Own, organisation: Organisation, body: dict[str, Any], traceparent: str) -> None:
    request = body | {"org_id": organisation.org_id, "request_id": secrets.token_hex(8), "requested_by": "crm"}
    producer = Producer({"bootstrap.servers": own.stack.kafka})
    producer.produce("export-requests", key=organisation.org_id, value=json.dumps(request), headers={"traceparent": traceparent})
    assert producer.flush(10) == 0
