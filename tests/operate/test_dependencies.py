"""Each dependency stopped, hung, full or refusing: what callers hear, what readiness says, and that work goes on by itself."""

import json
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import httpx
import psycopg
import pytest
from aiokafka import AIOKafkaProducer

from deploy.local.topics import ready as kafka_ready
from shared.brokers import Brokers
from tests.e2e.conftest import ENDED, Organisation
from tests.operate.conftest import LARGE, SERVICES, START_SECONDS, WITH_DATABASE, Own, until
from tests.operate.doctor import wrong

LEADS = {"dataset": "leads", "format": "csv"}
MESSAGES = {"dataset": "messages", "format": "jsonl", "from": "2026-01-01", "to": "2027-01-01"}
HEARD_SECONDS = 2.0
RESUMED_SECONDS = 10.0
ON_STORE = ("formatter-1", "formatter-2", "delivery")


def heard(ask: Callable[[], httpx.Response], status: int) -> httpx.Response:
    """The answer, which comes in time; 503 says when to come back."""
    began = time.monotonic()
    answer = ask()
    assert time.monotonic() - began < HEARD_SECONDS, answer.text
    assert answer.status_code == status, answer.text
    if status == 503:
        assert answer.json()["error"]["code"] == "unavailable"
        assert int(answer.headers["Retry-After"]) > 0
    return answer


def says(own: Own, names: tuple[str, ...], dependency: str) -> None:
    """Each process names what is down, within two seconds of being asked."""
    for name in names:

        def named(name: str = name) -> bool:
            began = time.monotonic()
            status, down = own.ready(name)
            assert time.monotonic() - began < HEARD_SECONDS, name
            return status == 503 and dependency in down

        until(named)


def all_ready(own: Own) -> None:
    for name in SERVICES:
        until(lambda name=name: own.ready(name) == (200, {}))  # type: ignore[misc]


def published(organisation: Organisation) -> dict[str, Any]:
    export = organisation.completed(LEADS)
    assert organisation.download(export)
    return export


def test_kafka_is_away(own: Own, organisation: Organisation) -> None:
    with own.away("kafka"):
        says(own, SERVICES, "kafka")
        assert {"kafka", "ingest", "lead_scoring", "export_request", "formatter", "delivery"} <= wrong(own).keys()
        answer = heard(lambda: organisation.http.post("/v1/exports", json=LEADS), 202)
        heard(lambda: organisation.http.get("/v1/exports"), 200)
        until(lambda: 'waybill_outbox_messages{schema="exports"} 0.0' not in own.metrics("export_request"))
        assert 'waybill_dependency_up{dependency="kafka"} 0.0' in own.metrics("export_request")
    until(lambda: kafka_ready(Brokers(own.stack.kafka)) is None, START_SECONDS)
    began = time.monotonic()
    export = organisation.ended(answer.json()["id"])
    assert export["status"] == "completed"
    assert time.monotonic() - began < RESUMED_SECONDS
    all_ready(own)


async def test_postgresql_is_away(own: Own, organisation: Organisation) -> None:
    export = published(organisation)
    mark = f"away-{secrets.token_hex(4)}"
    producer = AIOKafkaProducer(bootstrap_servers=own.stack.kafka)
    await producer.start()
    with own.away("postgres"):
        asks: list[Callable[[], httpx.Response]] = [
            lambda: organisation.http.post("/v1/exports", json=LEADS), lambda: organisation.http.get(f"/v1/exports/{export['id']}"),
            lambda: organisation.http.post("/v1/records", content=b"{}"), lambda: organisation.http.get(export["files"][0]["url"]),
        ]  # fmt: skip
        for ask in asks:
            heard(ask, 503)
        says(own, WITH_DATABASE, "postgresql")
        assert {"postgresql", "ingest", "export_request", "formatter", "delivery", "gateway"} <= wrong(own).keys()
        request = LEADS | {"org_id": organisation.org_id, "request_id": mark, "formats": ["csv"], "labels": {"way": mark}}
        del request["format"]
        team = {"type": "team", "id": "t_away", "org_id": organisation.org_id, "data": {"name": "Away"}}
        await producer.send_and_wait("export-requests", json.dumps(request).encode(), key=organisation.org_id.encode())
        await producer.send_and_wait("records", json.dumps(team).encode(), key=f"{organisation.org_id}/team/t_away".encode())
        await producer.stop()
    until(lambda: organisation.http.get("/v1/exports").status_code == 200)
    began = time.monotonic()

    def done() -> bool:
        found = organisation.http.get("/v1/exports", params={"label": f"way={mark}"})
        with psycopg.connect(own.stack.database_url) as connection:
            row = connection.execute("SELECT name FROM ingest.teams WHERE org_id = %s AND id = 't_away'", [organisation.org_id]).fetchone()
        return row == ("Away",) and [each["status"] for each in found.json()["data"]] == ["completed"]

    until(done, RESUMED_SECONDS)
    published(organisation)
    assert time.monotonic() - began < RESUMED_SECONDS
    all_ready(own)


def test_postgresql_hangs(own: Own, organisation: Organisation) -> None:
    export = published(organisation)
    with own.hung("postgres"):
        heard(lambda: organisation.http.get(f"/v1/exports/{export['id']}"), 503)
        heard(lambda: organisation.http.post("/v1/exports", json=LEADS), 503)
        heard(lambda: organisation.http.get(export["files"][0]["url"]), 503)
        says(own, WITH_DATABASE, "postgresql")
    began = time.monotonic()
    until(lambda: organisation.http.get(f"/v1/exports/{export['id']}").status_code == 200, RESUMED_SECONDS)
    published(organisation)
    assert time.monotonic() - began < RESUMED_SECONDS


def test_the_store_is_away(own: Own, organisation: Organisation) -> None:
    export = published(organisation)
    with own.away("s3"):
        heard(lambda: organisation.http.get(export["files"][0]["url"]), 503)
        heard(lambda: organisation.http.get(f"/v1/exports/{export['id']}"), 200)
        says(own, ON_STORE, "store")
        assert {"store", "delivery", "formatter", "formatter_2"} <= wrong(own).keys()
        waits = heard(lambda: organisation.http.post("/v1/exports", json=LEADS), 202).json()
        until(lambda: 'dependency="store"' in own.metrics("formatter-1") + own.metrics("formatter-2"))
        assert organisation.http.get(f"/v1/exports/{waits['id']}").json()["status"] in ("planning", "formatting")
    until(lambda: own.ready("delivery")[0] == 200)
    began = time.monotonic()
    assert organisation.ended(waits["id"])["status"] == "completed"
    assert time.monotonic() - began < RESUMED_SECONDS
    assert organisation.download(export)


def test_the_store_hangs(own: Own, organisation: Organisation) -> None:
    export = published(organisation)
    content = organisation.download(export)
    with own.hung("s3"):
        heard(lambda: organisation.http.get(export["files"][0]["url"]), 503)
        says(own, ON_STORE, "store")
    until(lambda: organisation.http.get(export["files"][0]["url"]).status_code == 200, RESUMED_SECONDS)
    assert organisation.download(export) == content


def nothing_left(own: Own, organisation: Organisation, export_id: str) -> bool:
    """No part, no file, no manifest, no upload of the export lies in the store."""
    store = boto3.client(
        "s3", endpoint_url=own.env["WAYBILL_S3_ENDPOINT"], region_name="us-east-1",
        aws_access_key_id=own.env["WAYBILL_S3_ACCESS_KEY"], aws_secret_access_key=own.env["WAYBILL_S3_SECRET_KEY"],
    )  # fmt: skip
    prefixes = (f"parts/{export_id}/", f"files/{organisation.org_id}/{export_id}/")
    return not any(store.list_objects_v2(Bucket=own.env["WAYBILL_S3_BUCKET"], Prefix=prefix).get("KeyCount") for prefix in prefixes)


def failed_with(organisation: Organisation, own: Own, code: str, body: dict[str, Any] = MESSAGES) -> str:
    """An export fails with this reason, and nothing of it can be had; its id."""
    export = organisation.ended(organisation.ask(body)["id"])
    assert (export["status"], export["error"]["code"], export["files"]) == ("failed", code, [])
    assert organisation.http.get(f"/v1/exports/{export['id']}/manifest").status_code == 404
    return str(export["id"])


# Where the store says no: to a formatter's part, to a small file, to a large one, to the manifest, which comes last of all.
PLACES = {
    "part": ("/parts/", LEADS),
    "small file": ("/files/", LEADS),
    "large file": ("/files/", LARGE),
    "manifest": (".manifest.json", LEADS),
}
REFUSALS = [("AccessDenied", 403, "store_refused"), ("InsufficientStorage", 507, "store_full"), ("QuotaExceeded", 403, "store_full")]


@pytest.mark.parametrize("place", PLACES)
def test_the_store_refuses(own: Own, organisation: Organisation, large: Organisation, place: str) -> None:
    """The export fails with the reason, nothing of it is left or shown, and the next one is well."""
    part, body = PLACES[place]
    asks = large if body is LARGE else organisation
    for said, status, code in REFUSALS if place == "part" else REFUSALS[:2]:
        with own.door.refusing(part, status, said) as refused:
            export_id = failed_with(asks, own, code, body)
        assert refused
        until(lambda export_id=export_id: nothing_left(own, asks, export_id))  # type: ignore[misc]
    assert asks.download(asks.completed(body))
    counted = own.metrics("formatter-1") + own.metrics("formatter-2") if place == "part" else own.metrics("delivery")
    assert 'code="store_refused"' in counted
    for name in ON_STORE:
        assert own.ready(name) == (200, {}), "what the store refuses is no reason to halt"


@pytest.mark.parametrize("place", PLACES)
def test_the_store_is_busy(own: Own, organisation: Organisation, large: Organisation, place: str) -> None:
    """503 SlowDown: the export waits, and completes once the store takes it."""
    part, body = PLACES[place]
    asks = large if body is LARGE else organisation
    with own.door.refusing(part, 503, "SlowDown") as refused:
        export = asks.ask(body)
        until(lambda: len(refused) > 2)
        assert asks.http.get(f"/v1/exports/{export['id']}").json()["status"] not in ENDED
    assert asks.ended(export["id"])["status"] == "completed"


def test_the_store_is_slow(own: Own, organisation: Organisation) -> None:
    with own.door.slow(256 * 1024):
        export = organisation.completed(MESSAGES)
        assert own.door.carried > 50_000
    assert organisation.download(export)


def test_a_store_that_cannot_be_used_is_named(own: Own, organisation: Organisation) -> None:
    with own.instead("delivery", WAYBILL_S3_SECRET_KEY="another"):
        says(own, ("delivery",), "store")
        failed_with(organisation, own, "store_refused")
    assert published(organisation)["error"] is None


@contextmanager
def small_file_system(folder: Path, size: int) -> Iterator[int | None]:
    """A real one of so many bytes where we may mount it; else the limit of a file's size that stands for it."""
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)], capture_output=True).returncode == 0
    try:
        yield None if mounted else size
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)


def test_the_disk_is_full(own: Own, organisation: Organisation, tmp_path: Path) -> None:
    """A store that is a directory on a disk without room."""
    organisation.completed(MESSAGES)  # more than fits below
    own.stop("formatter-2")
    try:
        with small_file_system(tmp_path, 64 * 1024) as limit, own.instead("formatter-1", limit, WAYBILL_STORE=f"file://{tmp_path}"):
            failed_with(organisation, own, "store_full")
            assert not [path for path in tmp_path.rglob("files/*") if path.is_file()]
    finally:
        own.start("formatter-2")
    published(organisation)


@pytest.mark.parametrize("name", SERVICES)
def test_every_process_is_well_in_the_end(own: Own, name: str) -> None:
    until(lambda: own.ready(name)[0] == 200)
    assert own.ready(name) == (200, {})
