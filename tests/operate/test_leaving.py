"""SIGTERM in the middle of work, and services restarted, scaled out and in, one after the other, while exports run and records flow."""

import json
import secrets
from typing import Any

import httpx
import psycopg
from aiokafka import AIOKafkaProducer

from tests.e2e.conftest import Organisation
from tests.operate.conftest import LARGE, LARGE_ROWS, Own, until
from tests.operate.traffic import WHOLE, Outcome, end, traffic

END_SECONDS = 10.0
Connection = psycopg.Connection[tuple[Any, ...]]


def trouble_with_ending(own: Own, name: str) -> str:
    """Empty: it ended by itself, in time."""
    took, status = own.stop(name)
    return "" if status == 0 and took < END_SECONDS else f"{name} ended with {status} after {took:.1f} s: {own.log(name)[-3000:]}"


def test_a_formatter_hands_back_a_chunk_that_it_cannot_finish(own: Own, large: Organisation, database: Connection) -> None:
    """The chunk's query waits for a lock that the test holds: it can't end in time."""
    assert not trouble_with_ending(own, "formatter-1")
    assert not trouble_with_ending(own, "formatter-2")
    export = large.ask(LARGE)
    until(lambda: large.http.get(f"/v1/exports/{export['id']}").json()["progress"].get("rows_planned") == LARGE_ROWS)
    with database.transaction():
        database.execute("LOCK TABLE ingest.messages IN ACCESS EXCLUSIVE MODE")
        own.start("formatter-1")

        def waits() -> bool:
            # Not pg_stat_activity: a transaction sees that as it was when it first looked.
            query = "SELECT count(*) FROM pg_locks WHERE relation::regclass::text LIKE 'ingest.messages%%' AND NOT granted"
            row = database.execute(query).fetchone()
            return bool(row and row[0])

        until(waits)
        assert not trouble_with_ending(own, "formatter-1")
    own.start("formatter-1", "formatter-2")
    assert end(large, export["id"]) == WHOLE


def test_delivery_gives_back_a_file_that_is_open(own: Own, large: Organisation) -> None:
    export = large.ask(LARGE)
    until(lambda: 'waybill_delivery_files_open{lane="bulk"} 1.0' in own.metrics("delivery"))
    assert not trouble_with_ending(own, "delivery")
    own.start("delivery")
    assert end(large, export["id"]) == WHOLE


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

    assert not trouble_with_ending(own, "ingest")
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
        assert not trouble_with_ending(own, "export_request")
        assert list(lines)[-1] == "", "the stream ends, it isn't cut"
        assert not trouble_with_ending(own, "delivery")
    own.start("export_request", "delivery", "formatter-1", "formatter-2")
    assert end(large, export["id"]) == WHOLE


def test_services_are_restarted_and_scaled_while_work_goes_on(own: Own, large: Organisation, database: Connection) -> None:
    whole, names = large.ask(LARGE), ("export_request", "ingest", "delivery")
    with traffic(large) as flow:
        own.start(*(f"{name}-2" for name in names))
        for name in names:
            before = len(flow.exports)
            assert not trouble_with_ending(own, name)
            until(lambda before=before: len(flow.exports) > before)  # type: ignore[misc]
        own.start(*names)
        for name in names:
            assert not trouble_with_ending(own, f"{name}-2")
        for name in ("formatter-1", "formatter-2"):
            assert not trouble_with_ending(own, name)
            own.start(name)
    assert flow.records > 0
    assert flow.outcome(database) == Outcome(records=flow.records, exports=["completed"] * len(flow.exports))
    assert end(large, whole["id"]) == WHOLE
