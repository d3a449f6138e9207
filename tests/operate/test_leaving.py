"""SIGTERM in the middle of work, and services restarted, scaled out and in, one after the other, while exports run and records flow."""

import json
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import psycopg
from aiokafka import AIOKafkaProducer

from tests.e2e.conftest import ENDED, Organisation
from tests.operate.conftest import LARGE, LARGE_ROWS, Own, until

END_SECONDS = 10.0
Connection = psycopg.Connection[tuple[Any, ...]]


def ends_well(own: Own, name: str) -> None:
    took, status = own.stop(name)
    assert (status, took < END_SECONDS) == (0, True), (name, status, took, own.log(name)[-3000:])


def complete(organisation: Organisation, export_id: str) -> None:
    """The export completes, and its file has every row once."""
    until(lambda: organisation.http.get(f"/v1/exports/{export_id}").json()["status"] in ENDED, 90)
    export = organisation.http.get(f"/v1/exports/{export_id}").json()
    assert export["status"] == "completed", export
    ids = [json.loads(line)["message_id"] for line in organisation.download(export).splitlines()]
    assert (len(ids), len(set(ids))) == (LARGE_ROWS, LARGE_ROWS)


def test_a_formatter_hands_back_a_chunk_that_it_cannot_finish(own: Own, large: Organisation, database: Connection) -> None:
    """The chunk's query waits for a lock that the test holds: it can't end in time."""
    ends_well(own, "formatter-1")
    ends_well(own, "formatter-2")
    export = large.ask(LARGE)
    until(lambda: large.http.get(f"/v1/exports/{export['id']}").json()["progress"].get("rows_planned") == LARGE_ROWS)
    with database.transaction():
        database.execute("LOCK TABLE ingest.messages IN ACCESS EXCLUSIVE MODE")
        own.start("formatter-1")

        def waits() -> bool:
            # Not pg_stat_activity: a transaction sees that as it was when it first looked.
            query = "SELECT count(*) FROM pg_locks WHERE relation = 'ingest.messages'::regclass AND NOT granted"
            row = database.execute(query).fetchone()
            return bool(row and row[0])

        until(waits)
        ends_well(own, "formatter-1")
    own.start("formatter-1", "formatter-2")
    complete(large, export["id"])


def test_delivery_gives_back_a_file_that_is_open(own: Own, large: Organisation) -> None:
    export = large.ask(LARGE)
    until(lambda: 'waybill_delivery_files_open{lane="bulk"} 1.0' in own.metrics("delivery"))
    ends_well(own, "delivery")
    own.start("delivery")
    complete(large, export["id"])


async def test_ingest_gives_back_what_it_has_not_written(own: Own, large: Organisation, database: Connection) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=own.stack.kafka, linger_ms=20)
    await producer.start()
    mark = secrets.token_hex(4)
    sent = []
    for number in range(5000):
        record = {"type": "team", "id": f"t_{mark}_{number}", "org_id": large.org_id, "data": {"name": mark}}
        sent.append(await producer.send("records", json.dumps(record).encode(), key=f"{large.org_id}/team/{record['id']}".encode()))
    for each in sent:
        await each
    await producer.stop()

    def written() -> int:
        row = database.execute("SELECT count(*) FROM ingest.teams WHERE name = %s AND ended IS NULL", [mark]).fetchone()
        return int(row[0]) if row else 0

    ends_well(own, "ingest")
    own.start("ingest")
    until(lambda: written() == 5000, 60)
    row = database.execute("SELECT count(*) FROM ingest.teams WHERE name = %s", [mark]).fetchone()
    assert row == (5000,), "each once, and none twice as a version"


def test_streams_and_downloads_do_not_keep_a_process_alive(own: Own, large: Organisation) -> None:
    done = large.completed(LARGE)
    own.stop("formatter-1"), own.stop("formatter-2")  # so that the next one goes on for as long as we watch
    export = large.ask(LARGE)
    headers = {"Authorization": f"Bearer {large.api_key}"}
    events, file = f"http://{own.address('export_request')}/v1/exports/{export['id']}/events", done["files"][0]["url"]
    path = f"http://{own.address('delivery')}{file[file.index('/v1/') :]}"
    with (
        httpx.stream("GET", events, headers=headers, timeout=30) as stream,
        httpx.stream("GET", path, headers=headers, timeout=30) as download,
    ):
        lines = stream.iter_lines()
        assert next(lines).startswith("event: progress")
        assert next(download.iter_raw(1024))  # and no more: the rest waits for us
        ends_well(own, "export_request")
        assert list(lines)[-1] == "", "the stream ends, it isn't cut"
        ends_well(own, "delivery")
    own.start("export_request", "delivery", "formatter-1", "formatter-2")
    complete(large, export["id"])


@dataclass
class Traffic:
    """Records and requests without a pause; 503 is tried again after what Retry-After says, as the contract asks."""

    organisation: Organisation
    told_to_wait: int = 0
    wrong: list[str] = field(default_factory=list)
    exports: list[str] = field(default_factory=list)
    records: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def call(self, ask: Callable[[], httpx.Response], status: int) -> httpx.Response | None:
        while not self.over.is_set():
            try:
                answer = ask()
            except httpx.HTTPError as error:
                self.wrong.append(f"{type(error).__name__}: {error}")
                return None
            if answer.status_code == 503 and "Retry-After" in answer.headers:
                self.told_to_wait += 1
                self.over.wait(float(answer.headers["Retry-After"]))
                continue
            if answer.status_code != status:
                self.wrong.append(f"{answer.status_code}: {answer.text[:300]}")
            return answer
        return None

    def ask(self) -> None:
        http = self.organisation.http
        while not self.over.is_set():
            key = {"Idempotency-Key": secrets.token_hex(8)}
            body = LARGE | {"to": "2026-03-02"}
            answer = self.call(lambda key=key, body=body: http.post("/v1/exports", json=body, headers=key), 202)  # type: ignore[misc]
            if answer is not None and answer.status_code == 202:
                self.exports.append(answer.json()["id"])
            self.call(lambda: http.get("/v1/exports", params={"limit": 5}), 200)
            self.over.wait(0.3)  # a steady flow, not as much as fits

    def send(self) -> None:
        while not self.over.is_set():
            line = json.dumps({"type": "tag", "id": f"tag_{self.records}", "data": {"name": "flow"}}).encode()
            answer = self.call(lambda line=line: self.organisation.http.post("/v1/records", content=line), 200)  # type: ignore[misc]
            if answer is not None and answer.status_code == 200:
                assert answer.json()["refused_count"] == 0, answer.text
                self.records += 1
            self.over.wait(0.05)


@contextmanager
def traffic(organisation: Organisation) -> Iterator[Traffic]:
    flow = Traffic(organisation)
    threads = [threading.Thread(target=work) for work in (flow.ask, flow.send)]
    for thread in threads:
        thread.start()
    try:
        yield flow
    finally:
        flow.over.set()
        for thread in threads:
            thread.join()


def test_services_are_restarted_and_scaled_while_work_goes_on(own: Own, large: Organisation, database: Connection) -> None:
    whole = large.ask(LARGE)
    with traffic(large) as flow:
        for name in ("export_request", "ingest", "delivery"):
            before = len(flow.exports)
            own.start(f"{name}-2")
            ends_well(own, name)
            until(lambda before=before: len(flow.exports) > before)  # type: ignore[misc]
            own.start(name)
            ends_well(own, f"{name}-2")
        for name in ("formatter-1", "formatter-2"):
            ends_well(own, name)
            own.start(name)
    assert flow.wrong == []
    assert flow.told_to_wait <= len(flow.exports) + flow.records, "waiting is the exception"
    assert flow.records > 0
    row = database.execute("SELECT count(*) FROM ingest.tags WHERE org_id = %s AND name = 'flow'", [large.org_id]).fetchone()
    assert row == (flow.records,)
    for export_id in flow.exports:
        until(lambda export_id=export_id: large.http.get(f"/v1/exports/{export_id}").json()["status"] in ENDED, 60)  # type: ignore[misc]
        assert large.http.get(f"/v1/exports/{export_id}").json()["status"] == "completed"
    complete(large, whole["id"])
