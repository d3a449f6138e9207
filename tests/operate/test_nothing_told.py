"""Values planted in records, requests, messages and settings, and errors at every boundary: no log of any service holds one."""

import json
import secrets
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import httpx
import psycopg
import pytest
from aiokafka import AIOKafkaProducer

from deploy.local.services import INSTANCES
from shared.codec import encode
from shared.messages import ChunkFormatted, DiscardExport, FormatChunk, Part, PublishFailed
from tests.conftest import ROOT
from tests.e2e.conftest import Organisation
from tests.operate.conftest import Own, until

CANARY = f"canary-{secrets.token_hex(6)}"
Connection = psycopg.Connection[tuple[Any, ...]]


def over_http(own: Own, organisation: Organisation) -> None:
    http, export = organisation.http, {"dataset": "leads", "format": "csv"}
    person = {"name": CANARY, "email": f"{CANARY}@example.org"}
    lines = [
        {"type": "lead", "id": CANARY, "data": {"email": 5, CANARY: CANARY}}, {"type": CANARY, "id": "1", "data": {}},
        {"type": "agent", "id": CANARY, "data": person | {"role": CANARY}}, {"type": "agent", "id": "a", "org_id": CANARY, "data": person},
    ]  # fmt: skip
    refused = http.post("/v1/records", content="\n".join(map(json.dumps, lines)) + f'\n{{"{CANARY}')
    assert refused.json()["refused_count"] == 5
    asks: list[tuple[int, Callable[[], httpx.Response]]] = [
        (400, lambda: http.post("/v1/exports", json=export | {CANARY: CANARY})),
        (400, lambda: http.post("/v1/exports", content=f'{{"{CANARY}": ')),
        (400, lambda: http.post("/v1/exports", json=export | {"password": CANARY * 20, "timezone": CANARY})),
        (400, lambda: http.post("/v1/exports", json=export, headers={"Idempotency-Key": CANARY * 40})),
        (400, lambda: http.get("/v1/exports", params={CANARY: CANARY, "cursor": CANARY})),
        (404, lambda: http.get(f"/v1/exports/{CANARY}")), (404, lambda: http.get(f"/v1/{CANARY}/{CANARY}")),
        (404, lambda: http.get(f"/v1/exports/{CANARY}/files/{CANARY}")), (403, lambda: http.get(f"/v1/downloads/{CANARY}")),
        (401, lambda: httpx.get(f"{own.env['WAYBILL_URL']}/v1/exports", headers={"Authorization": f"Bearer sk_live_{'a' * 16}_{CANARY}xx"})),
        (200, lambda: http.get("/v1/exports", headers={"traceparent": CANARY, "User-Agent": CANARY})),
    ]  # fmt: skip
    for status, ask in asks:
        answer = ask()
        assert answer.status_code == status, (answer.request.url, answer.text)


async def over_kafka(own: Own, organisation: Organisation) -> None:
    """Garbage, refusals, and messages that can be read and make no sense, on every topic that a service reads."""
    org, export, canary = organisation.org_id, f"exp_{secrets.token_hex(6)}", CANARY.encode()
    part = Part("csv", CANARY, 1, 1, CANARY, CANARY, CANARY)
    messages: list[tuple[str, bytes]] = [
        (topic, canary) for topic in ("records", "export-requests", "export-chunks", "export-parts", "export-assemblies", "export-files")
    ]  # fmt: skip
    messages += [
        ("records", json.dumps({"type": "lead", "id": CANARY, "org_id": org, "data": {"email": {CANARY: 1}}}).encode()),
        ("export-requests", json.dumps({"org_id": org, "request_id": CANARY, "requested_by": CANARY, CANARY: 1}).encode()),
        ("export-requests", json.dumps({"org_id": CANARY, "request_id": "1", "dataset": "leads", "password": CANARY}).encode()),
        ("export-parts", encode(ChunkFormatted(export, org, 1, 1, [part], 1))),
        ("export-files", encode(PublishFailed(export, org, CANARY, CANARY))),
        ("export-assemblies", encode(DiscardExport("", CANARY, True))),
        ("export-chunks", encode(FormatChunk(export, org, 1, CANARY, json.dumps({CANARY: CANARY}), [CANARY], None, 1, {"csv": CANARY}))),
    ]
    producer = AIOKafkaProducer(bootstrap_servers=own.stack.kafka)
    await producer.start()
    for topic, value in messages:
        await producer.send_and_wait(
            topic, value, key=canary, headers=[("content-type", canary), (CANARY, canary), ("traceparent", canary)]
        )
        if value.startswith(b"{"):
            await producer.send_and_wait(topic, value, key=canary)
        if value.startswith(b"\xc3\x01"):
            await producer.send_and_wait(topic, value, key=canary, headers=[("message-id", secrets.token_hex(8).encode())])
    await producer.stop()


def defects(own: Own, organisation: Organisation, database: Connection) -> None:
    """PostgreSQL's own errors quote the row: an answer of 500, and a log line that says where and not what."""
    check = "ALTER TABLE {} ADD CONSTRAINT canary CHECK (position('" + CANARY + "' in {}::text) = 0) NOT VALID"
    database.execute(check.format("exports.exports", "request").encode())
    database.execute(check.format("ingest.tags", "name").encode())
    try:
        asked = organisation.http.post("/v1/exports", json={"dataset": "leads", "format": "csv", "labels": {"x": CANARY}})
        sent = organisation.http.post("/v1/records", content=json.dumps({"type": "tag", "id": "1", "data": {"name": CANARY}}))
    finally:
        database.execute("ALTER TABLE exports.exports DROP CONSTRAINT canary")
        database.execute("ALTER TABLE ingest.tags DROP CONSTRAINT canary")
    for answer in (asked, sent):
        assert (answer.status_code, CANARY in answer.text) == (500, False)
    until(lambda: "CheckViolationError 23514" in own.log("export_request") and "CheckViolationError 23514" in own.log("ingest"))


def settings(own: Own) -> None:
    """A wrong setting ends the start with its name, not with what it holds."""
    for service, url in (("ingest", f"postgresql://x:{CANARY}/y@h:1/d"), ("delivery", f"postgresql://x:{CANARY}@[::h/d")):
        environment = own.specification(service)["environment"] | {f"WAYBILL_{service.upper()}_DATABASE_URL": url}
        done = subprocess.run([sys.executable, "-m", f"services.{service}"], cwd=ROOT, env=environment, capture_output=True, text=True)
        assert (done.returncode, CANARY in done.stderr) == (1, False), done.stderr
        assert done.stderr.startswith(f"settings: WAYBILL_{service.upper()}_DATABASE_URL: must be postgresql://"), done.stderr
    environment = own.specification("delivery")["environment"] | {"WAYBILL_SECRET_KEY": CANARY[:9], "WAYBILL_DELIVERY_DOWNLOADS": CANARY}
    done = subprocess.run([sys.executable, "-m", "services.delivery"], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("settings: WAYBILL_")
    assert "WAYBILL_SECRET_KEY" in done.stderr and "WAYBILL_DELIVERY_DOWNLOADS" in done.stderr
    assert (done.stderr.count("\n"), CANARY[:9] in done.stderr) == (1, False)


async def test_no_log_holds_what_was_planted(own: Own, organisation: Organisation, database: Connection) -> None:
    over_http(own, organisation)
    await over_kafka(own, organisation)
    defects(own, organisation, database)
    settings(own)
    letters = ("export-chunks", "export-parts", "export-assemblies", "export-files", "records", "export-requests")
    logs = lambda: "".join(own.log(name) for name in INSTANCES if (own.state.log / f"{name}.log").exists())  # noqa: E731
    for topic in letters:
        until(lambda topic=topic: f'"topic": "{topic}"' in logs())  # type: ignore[misc]
    done = organisation.completed({"dataset": "leads", "format": "csv"})
    assert organisation.download(done)
    everything = logs() + own.log("gateway") + own.log("postgres")
    assert CANARY not in everything
    known = [own.specification(name)["environment"] for name in ("ingest", "export_request", "delivery", "formatter-1")]
    hidden = {value for each in known for name, value in each.items() if name.endswith(("_SECRET_KEY", "_DATABASE_URL", "_TOKEN"))}
    hidden |= {url.partition("://")[2].partition(":")[2].partition("@")[0] for url in hidden if "://" in url}
    hidden |= {organisation.api_key, own.env["WAYBILL_API_KEY"], own.env["WAYBILL_S3_SECRET_KEY"]}
    assert len(hidden) > 8
    for secret in hidden:
        assert secret not in everything


@pytest.mark.parametrize("name", ["ingest", "export_request", "formatter-1", "delivery"])
def test_every_line_is_json_with_the_service_and_what_was_done_has_its_ids(own: Own, organisation: Organisation, name: str) -> None:
    organisation.completed({"dataset": "leads", "format": "csv"})
    lines = [json.loads(line) for line in own.log(name).splitlines() if line.strip() and not line.startswith("settings: ")]
    assert lines
    assert all(line["service"] and line["level"] and line["event"] and line["timestamp"] for line in lines)
    if name == "delivery":
        published = [line for line in lines if line["event"] == "export_published"]
        assert published and all(line["export_id"].startswith("exp_") and len(line["trace_id"]) == 32 for line in published)
