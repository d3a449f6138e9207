"""What the engine promises beside the bytes of the examples."""

import gzip
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.datasets import registry
from shared.datasets.plan import CustomProperty, PlanSpec
from shared.datasets.sql import literal, session_sql, texts
from shared.errors import PermanentError, TransientError
from shared.formatting.engine import FormatEngine
from tests.integration.engine.conftest import ORG, RECORDS, Buffer, Exporter
from tests.integration.engine.loader import load

RANGE = {"from": "2026-01-01", "to": "2026-07-01", "timezone": "Europe/Brussels"}
MESSAGES = {"dataset": "messages", "format": "csv", **RANGE}


async def test_several_formats_at_once_give_the_same_files_as_one_by_one(exporter: Exporter) -> None:
    snapshot = exporter.snapshot()
    for dataset, formats in (
        ("messages", ["csv", "jsonl"]),
        ("leads", ["csv", "json", "jsonl"]),
        ("conversations", ["txt", "json", "jsonl"]),
    ):
        together = await exporter.export(exporter.spec({"dataset": dataset, "formats": formats, **RANGE}), snapshot, 13)
        for name in formats:
            alone = await exporter.export(exporter.spec({"dataset": dataset, "format": name, **RANGE}), snapshot, 17)
            assert together.files[name] == alone.files[name]


async def test_compressed_files_unpack_to_the_plain_one_and_repeat_byte_for_byte(exporter: Exporter) -> None:
    snapshot = exporter.snapshot()
    plain = (await exporter.export(exporter.spec({"dataset": "leads", "format": "json", **RANGE}), snapshot, 5)).files["json"]
    request = {"dataset": "leads", "format": "json", **RANGE}
    packed = {c: (await exporter.export(exporter.spec({**request, "compression": c}), snapshot, 5)).files["json"] for c in ("gzip", "zstd")}
    assert gzip.decompress(packed["gzip"]) == plain
    assert zstandard.ZstdDecompressor().stream_reader(packed["zstd"], read_across_frames=True).read() == plain
    again = await exporter.export(exporter.spec({**request, "compression": "gzip"}), snapshot, 5)
    assert again.files["json"] == packed["gzip"]


async def test_chunks_keep_to_rows_and_bytes_but_always_hold_one_row(exporter: Exporter) -> None:
    snapshot, spec = exporter.snapshot(), exporter.spec(MESSAGES)
    tiny = await exporter.plan(spec, snapshot, rows_max=50, bytes_max=1)
    assert {rows for rows, _ in tiny} == {1}
    some = await exporter.plan(spec, snapshot, rows_max=50, bytes_max=4_000)
    assert 1 < max(rows for rows, _ in some) < 50
    assert sum(rows for rows, _ in some) == len(tiny)


async def test_parts_say_where_they_begin_and_end(exporter: Exporter) -> None:
    made = await exporter.export(exporter.spec(MESSAGES), exporter.snapshot(), 10)
    for part, (_, last) in zip(made.parts["csv"], made.planned, strict=True):
        assert json.loads(part.result.last_key) == last
        assert json.loads(part.result.first_key) <= last


async def test_an_export_reads_one_instant(exporter: Exporter) -> None:
    org = "org_instant"
    with psycopg.connect(exporter.database.url) as connection:
        load(connection, org, RECORDS, {})
    own = Exporter(exporter.database, exporter.engine, org)
    snapshot, spec = own.snapshot(), own.spec(MESSAGES)
    before = await own.export(spec, snapshot, 40)
    with psycopg.connect(exporter.database.url) as connection:
        for table, column in (("messages", "content"), ("contacts", "primary_identifier"), ("agents", "name"), ("channels", "name")):
            change_all(connection, org, table, column)
        connection.execute("update ingest.events set ended = pg_current_xact_id() where org_id = %s and tag_id is not null", (org,))
    assert (await own.export(spec, snapshot, 7)).files == before.files
    after = await own.export(spec, own.snapshot(), 40)
    assert after.files["csv"].count(b'"changed"') > 300
    assert b"tag_" in before.files["csv"]
    assert b"tag_" not in after.files["csv"]


def change_all(connection: psycopg.Connection[Any], org_id: str, table: str, column: str) -> None:
    """End every current version and add one that differs in `column`."""
    query = """select string_agg(quote_ident(attname), ', ') from pg_attribute
        where attrelid = %s::regclass and attnum > 0 and attgenerated = '' and attname <> all(%s)"""
    row = connection.execute(query, (f"ingest.{table}", ["added", "ended", column])).fetchone()
    assert row
    connection.execute(
        f"with old as (update ingest.{table} set ended = pg_current_xact_id() where org_id = '{org_id}' and ended is null returning *)"
        f" insert into ingest.{table} ({row[0]}, {column}) select {row[0]}, 'changed' from old".encode()
    )


async def test_another_organisation_sees_nothing(exporter: Exporter) -> None:
    snapshot, spec = exporter.snapshot(), exporter.spec(MESSAGES)
    sink = Buffer()
    result = exporter.engine.format_chunk(spec, "org_other", snapshot, None, None, {"csv": sink})["csv"]
    assert (result.rows, result.bytes, bytes(sink.data), result.first_key) == (0, 0, b"", "")
    other = Exporter(exporter.database, exporter.engine, "org_other")
    assert await other.plan(spec, snapshot, 10, 1000) == []


async def test_dimensions_of_another_organisation_stay_out(exporter: Exporter) -> None:
    """The same ids in another organisation, all of its own: only its own names and tags are seen."""
    message = {
        "type": "message",
        "id": "msg_x",
        "data": {"conversation_id": "conv_be1e0823", "created_at": "2026-02-01T00:00:00Z", "content": "own"},
    }
    with psycopg.connect(exporter.database.url) as connection:
        load(connection, "org_twin", [json.dumps(message)], {})
    twin = Exporter(exporter.database, exporter.engine, "org_twin")
    row = json.loads((await twin.export(twin.spec({**MESSAGES, "format": "jsonl"}), twin.snapshot())).files["jsonl"])
    assert row["conversation_id"] == "conv_be1e0823"
    assert row["channel"] is None
    assert row["conversation_url"] is None


def test_a_connection_that_died_between_chunks_is_replaced(exporter: Exporter) -> None:
    spec, snapshot = exporter.spec(MESSAGES), exporter.snapshot()
    first = exporter.engine.format_chunk(spec, ORG, snapshot, None, None, {"csv": Buffer()})
    with psycopg.connect(exporter.database.url, autocommit=True) as connection:
        gone = connection.execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
        ).fetchall()
    assert gone
    assert exporter.engine.format_chunk(spec, ORG, snapshot, None, None, {"csv": Buffer()}) == first


def test_a_connection_that_dies_inside_a_chunk_is_a_passing_error(exporter: Exporter) -> None:
    class Killer(Buffer):
        def write(self, data: bytes | memoryview, /) -> None:
            super().write(data)
            with psycopg.connect(exporter.database.url, autocommit=True) as connection:
                connection.execute("select pg_terminate_backend(pid, 5000) from pg_stat_activity"
                                   " where datname = current_database() and pid <> pg_backend_pid()")  # fmt: skip

    with psycopg.connect(exporter.database.url) as connection:
        connection.execute(
            "insert into ingest.messages (org_id, id, conversation_id, created_at, content)"
            " select 'org_long', 'm' || i, 'c', timestamptz '2026-02-01' + i * interval '1 second', repeat('words ', 1000) from generate_series(1, 20000) i"
        )
    spec, snapshot = (
        exporter.spec(MESSAGES | {"columns": ["message_id", "content"]}),
        exporter.snapshot(),
    )  # no dimension: rows stream from PostgreSQL
    with pytest.raises(TransientError):
        exporter.engine.format_chunk(spec, "org_long", snapshot, None, None, {"csv": Killer()})
    assert exporter.engine.format_chunk(spec, "org_long", snapshot, None, None, {"csv": Buffer()})["csv"].rows == 20_000


def test_what_is_unreachable_is_passing_and_keeps_its_secret() -> None:
    engine = FormatEngine("postgresql://waybill_formatter:s3cret@127.0.0.1:1/nowhere?connect_timeout=2")
    engine.warm_up()
    spec = PlanSpec(dataset="messages", formats=["csv"], columns=registry.get("messages").resolve_columns(None, ["csv"]))
    with pytest.raises(TransientError) as caught:
        engine.format_chunk(spec, ORG, "1:1:", None, None, {"csv": Buffer()})
    assert "s3cret" not in str(caught.value)
    engine.close()


@pytest.mark.parametrize("wrong", [{"snapshot": "x"}, {"dataset": "nope"}, {"timezone": "Mars/Olympus"}])
def test_a_plan_that_makes_no_sense_is_permanent(exporter: Exporter, wrong: dict[str, str]) -> None:
    spec = exporter.spec(MESSAGES).model_copy(update={k: v for k, v in wrong.items() if k != "snapshot"})
    with pytest.raises(PermanentError):
        exporter.engine.format_chunk(spec, ORG, wrong.get("snapshot", exporter.snapshot()), None, None, {"csv": Buffer()})


def test_what_a_sink_raises_goes_through_and_the_engine_lives_on(exporter: Exporter) -> None:
    class Full(Buffer):
        def write(self, data: bytes | memoryview, /) -> None:
            raise OSError("no room")

    spec, snapshot = exporter.spec(MESSAGES), exporter.snapshot()
    with pytest.raises(OSError, match="no room"):
        exporter.engine.format_chunk(spec, ORG, snapshot, None, None, {"csv": Full()})
    assert exporter.engine.format_chunk(spec, ORG, snapshot, None, None, {"csv": Buffer()})["csv"].rows > 0


async def test_a_conversation_of_five_megabytes(exporter: Exporter) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    conversation: dict[str, Any] = {"type": "conversation", "id": "big", "data": {"created_at": start.isoformat()}}
    messages: list[dict[str, Any]] = [
        {"type": "message", "id": f"b{i:03}", "data": {"conversation_id": "big", "created_at": (start + timedelta(seconds=i)).isoformat(),
                                                      "content": f"{i}" + 'x"\n' * 80_000}}
        for i in range(21)
    ]  # fmt: skip
    with psycopg.connect(exporter.database.url) as connection:
        load(connection, "org_big", [json.dumps(line) for line in [conversation, *messages]], {})
    big = Exporter(exporter.database, exporter.engine, "org_big")
    made = await big.export(big.spec({"dataset": "conversations", "formats": ["jsonl", "txt"]}), big.snapshot())
    row = json.loads(made.files["jsonl"])
    assert [m["content"] for m in row["messages"]] == [m["data"]["content"] for m in messages]
    assert row["message_count"] == 21


async def test_data_of_an_event_never_hides_its_type_and_custom_names_may_be_anything(exporter: Exporter) -> None:
    names = ["a'b", 'q"uote', "back\\slash", "€uro $1", "x" * 80, "deep/~slash", "0"]
    values: list[Any] = ["=text", 1e21, -0.5, True, None, 'q"', "\x1f"]
    lines = [
        {"type": "conversation", "id": "c", "data": {"created_at": "2026-01-01T00:00:00Z", "lead_id": "l"}},
        {"type": "event", "id": "e", "data": {"conversation_id": "c", "at": "2026-01-01T00:00:01Z", "kind": "own",
                                              "data": {"type": "theirs", "timestamp": 1, "x": {"type": 1}, "z\x1f": "\x1f"}}},
        {"type": "event", "id": "f", "data": {"conversation_id": "c", "at": "2026-01-01T00:00:01Z", "kind": "only", "data": {"type": 2}}},
        {"type": "lead", "id": "l", "data": {"email": "a@b", "created_at": "2026-01-01T00:00:00Z",
                                             "custom_properties": dict(zip(names, values, strict=True))}},
    ]  # fmt: skip
    with psycopg.connect(exporter.database.url) as connection:
        load(connection, "org_odd", [json.dumps(line) for line in lines], {})
    odd = Exporter(exporter.database, exporter.engine, "org_odd")
    text = (await odd.export(odd.spec({"dataset": "conversations", "format": "jsonl"}), odd.snapshot())).files["jsonl"].decode()
    assert '"events":[{"type":"own","timestamp":"2026-01-01T00:00:01Z","x":{"type":1},"z\\u001f":"\\u001f"},' in text
    assert '{"type":"only","timestamp":"2026-01-01T00:00:01Z"}]' in text
    spec = odd.spec({"dataset": "leads", "format": "csv"})
    spec = spec.model_copy(
        update={"custom_properties": [CustomProperty(name=n) for n in names], "columns": {"csv": [f"custom_{n}" for n in names]}}
    )
    body = (await odd.export(spec, odd.snapshot())).files["csv"].decode().split("\r\n")[1:]
    assert "\r\n".join(body) == '"\'=text",1e+21,-0.5,true,,"q""","\x1f"\r\n'


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.text(st.one_of(st.sampled_from(list("'\\\"{},;$")), st.characters(exclude_characters="\x00", codec="utf-8"))),
        max_size=6,
    )
)
def test_postgresql_reads_literals_as_the_texts(exporter: Exporter, values: list[str]) -> None:
    with psycopg.connect(exporter.database.url) as connection:
        shown = ", ".join([texts(values), *(literal(v) for v in values)])
        for conforming in ("on", "off"):
            connection.execute(f"set standard_conforming_strings = {conforming}")
            row = connection.execute(f"select {shown}".encode()).fetchone()
            assert row == (values, *values)


def test_planning_walks_the_index_in_order_without_a_sort(exporter: Exporter) -> None:
    after = ["2026-02-01T00:00:00.000000+00:00", "msg_1"]
    for dataset in ("messages", "conversations", "leads"):
        request = {"dataset": dataset, "format": registry.get(dataset).default_format, **RANGE}
        for bytes_max in (None, 1 << 20):
            query = registry.get(dataset).plan_query(exporter.spec(request), exporter.snapshot(), after, 1000, bytes_max)
            with psycopg.connect(f"{exporter.database.url}?options=-c%20role%3Dwaybill_export_request") as connection:
                connection.execute(session_sql(ORG).encode())
                plan = "\n".join(str(row[0]) for row in connection.execute(b"explain " + query.encode()).fetchall())
            index = f"{dataset}_current_by_time"
            assert index in plan
            assert "Merge Append" in plan
            assert "Sort  (" not in plan.split(index)[0]


async def test_a_mean_is_of_the_numbers_as_they_were_sent(exporter: Exporter) -> None:
    """A double has up to 17 digits that count: PostgreSQL's numeric keeps 15 of it."""
    lines = [
        {"type": "conversation", "id": f"c{i}", "data": {"created_at": "2026-03-01T10:00:00Z", "engagement_score": score}}
        for i, score in enumerate([0.24999999999999997, 0.25])
    ]
    with psycopg.connect(exporter.database.url, autocommit=True) as connection:
        load(connection, "org_mean", [json.dumps(line) for line in lines], {})
    mean = Exporter(exporter.database, exporter.engine, "org_mean")
    request = {"dataset": "analytics", "format": "csv", "from": "2026-03-01", "to": "2026-03-02"}
    made = await mean.export(mean.spec(request), mean.snapshot())
    assert made.files["csv"].decode().split("\r\n")[1] == "2026-03-01,0,0,2,0.00,0,0.2,0.0000"
