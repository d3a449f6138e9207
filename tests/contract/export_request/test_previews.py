"""Previews: the first rows as they would be written, what an export would weigh, what would break; and that nothing is left of one."""

import json
from collections.abc import AsyncIterator, Iterable
from typing import Any

import psycopg
import pytest

from services.delivery.protecting import ZipWriter
from services.export_request import counting, sampling
from services.export_request.core.planning import ChunkLimits
from shared.datasets import registry
from shared.datasets.entities import Entities
from shared.formatting.engine import FormatEngine
from tests import readers
from tests.conftest import Database
from tests.contract.export_request.conftest import LEADS, Caller, World, world_of
from tests.integration.engine.conftest import Exporter
from tests.integration.engine.loader import load
from tests.oracle.generate import SETTINGS, generate, ndjson

SEED, CONVERSATIONS = 5, 400
PASSWORD, PURPOSE = "Abcd1234", "a look at march"  # pragma: allowlist secret
WHERE = {"name": SETTINGS["name"], "timezone": SETTINGS["timezone"], "custom_properties": SETTINGS["custom_properties"]}
RANGE = {"from": "2025-12-29", "to": "2026-07-05"}


@pytest.fixture(scope="module")
def records(database: Database) -> list[str]:
    return ndjson(generate(SEED, CONVERSATIONS)).decode().strip("\n").split("\n")


@pytest.fixture
async def room(database: Database) -> AsyncIterator[World]:
    async with world_of(database, preview_seconds=25) as made:
        yield made
        await made.parts.previews.close()


async def seen(caller: Caller, body: dict[str, Any]) -> dict[str, Any]:
    answer = await caller.call("POST", "/v1/exports/preview", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def filled(room: World, database: Database, records: list[str]) -> Caller:
    """An organisation with the generated records."""
    caller = await room.organisation()
    settings = await caller.call("PATCH", "/v1/settings", json=WHERE)
    assert settings.status_code == 200, settings.text
    with psycopg.connect(database.url, autocommit=True) as connection:
        load(connection, caller.org_id, records, {})
        connection.execute("analyze")
    return caller


def body_for(dataset: str, **more: Any) -> dict[str, Any]:
    kind = registry.get(dataset)
    protected = {"password": PASSWORD, "purpose": PURPOSE} if kind.protected else {}
    return {
        "dataset": dataset,
        "formats": sorted(kind.formats, key=("xlsx", "parquet", "pdf").count),
        **({} if kind.range_rule == "refused" else RANGE),
        **protected,
        **more,
    }


async def test_every_dataset_is_estimated_within_a_fifth_and_its_rows_are_the_files(
    room: World, database: Database, records: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it formatted; and samples of it: chunks of few rows, as if the rows were many."""
    caller = await filled(room, database, records)
    engine = FormatEngine(database.libpq("formatter"), memory_mb=256)
    exporter = Exporter(database, engine, caller.org_id, SETTINGS | {"operating_hours": None})
    wrong = []
    for dataset in registry.names():
        body = body_for(dataset)
        made = await exporter.export(exporter.spec(body), exporter.snapshot())
        first = body["formats"][0]
        ((_, rows), *_) = readers.tables(first, made.files[first])
        sizes = {name: zipped(content) if registry.get(dataset).protected else len(content) for name, content in made.files.items()}
        for few in (False, True):
            with monkeypatch.context() as patched:
                if few:
                    patched.setattr(sampling, "ALL_ROWS", 60)
                    patched.setattr(sampling, "SAMPLE_ROWS", 100)
                    patched.setattr(sampling, "QUICK_ROWS", 60)
                    patched.setattr(counting, "STEP", ChunkLimits(150, 2**53))
                shown = await seen(caller, body)
            assert (shown["format"], shown["estimated_rows"]) == (first, len(rows))
            told = shown["estimated_bytes_by_format"]
            if few:  # what begins each part weighs too much in one of a hundred rows
                sizes.pop("parquet", None)
            wrong += [(dataset, few, name, told[name], size) for name, size in sizes.items() if not 0.8 * size <= told[name] <= 1.2 * size]
            assert shown["estimated_bytes"] == sum(told.values())
            assert len(shown["rows"]) == min(50, len(rows))
            for mine, theirs in zip(shown["rows"], rows, strict=False):
                assert len(mine) == len(shown["columns"]) == len(shown["headers"])
                assert [m for m, t in zip(mine, theirs, strict=True) if not readers.same(first, m, t)] == [], (dataset, few)
    engine.close()
    assert wrong == []


async def test_samples_of_many_rows_weigh_what_all_of_them_do(room: World, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "QUICK_ROWS", 0)
    caller = await room.organisation(leads=20_000)
    await room.admin.execute(
        "UPDATE ingest.leads SET email = md5(id) || '@b.example', name = 'Lead ' || md5(id || 'n') WHERE org_id = $1", caller.org_id
    )
    body = {"dataset": "leads", "formats": ["csv", "json", "jsonl", "xlsx", "parquet"], "compression": "gzip"}
    shown = await seen(caller, body)
    engine = FormatEngine(database.libpq("formatter"), memory_mb=256)
    exporter = Exporter(database, engine, caller.org_id, {"name": "Acme", "custom_properties": []})
    made = await exporter.export(exporter.spec(body), exporter.snapshot())
    engine.close()
    assert (shown["estimated_rows"], shown["estimate"]) == (20_000, "counted")
    told = shown["estimated_bytes_by_format"]
    assert [(n, told[n], len(f)) for n, f in made.files.items() if not 0.8 * len(f) <= told[n] <= 1.2 * len(f)] == []


class Nowhere:
    """Where a ZIP goes of which only the size is asked."""

    def append(self, data: bytes | memoryview) -> None: ...

    def append_object(self, key: str, size: int, pieces: Iterable[bytes | memoryview]) -> None: ...

    def complete(self) -> None: ...

    def abort(self) -> None: ...


def zipped(content: bytes) -> int:
    """The size of the file as delivery encrypts it."""
    writer = ZipWriter(Nowhere(), "file", PASSWORD)
    writer.append(content)
    writer.complete()
    return writer.size


@pytest.mark.parametrize("guessed", [False, True])
async def test_what_was_not_counted_with_its_bytes_in_time_is_extrapolated_within_a_fifth(
    room: World, database: Database, records: list[str], monkeypatch: pytest.MonkeyPatch, guessed: bool
) -> None:
    caller = await filled(room, database, records)
    for dataset in ("messages", "leads", "conversations"):
        counted = await seen(caller, body_for(dataset))
        with monkeypatch.context() as few:
            few.setattr(sampling, "ALL_ROWS", 60)
            few.setattr(counting, "WALK_SHARE", 0)
            few.setattr(counting, "STEP", ChunkLimits(150, 2**53))
            if guessed:  # because even counting rows alone takes too long
                few.setattr(Entities, "count_query", lambda *_: "select count(*) as rows from pg_sleep(60)")
                few.setattr(counting, "REST_SHARE", 0.001)
            shown = await seen(caller, body_for(dataset))
        assert (shown["estimate"], counted["estimate"]) == ("extrapolated" if guessed else "counted", "counted"), dataset
        assert guessed or shown["estimated_rows"] == counted["estimated_rows"], dataset
        for name in ("estimated_rows", "estimated_bytes"):
            assert 0.8 * counted[name] <= shown[name] <= 1.2 * counted[name], (dataset, name)


@pytest.mark.parametrize(
    ("dataset", "more", "calls"),
    [
        ("teams", {}, ["plan_query", "format_and_show"]),
        ("contacts", {"formats": ["parquet", "xlsx"]}, ["plan_query", "format_and_show"]),
        ("analytics", {"formats": ["pdf", "csv"]}, ["plan_query", "format_and_show"]),
        ("leads", {}, ["plan_query", "format_and_show"]),
        ("response-times", {"from": "2024-01-01", "to": "2024-02-01"}, ["plan_query"]),
        ("conversations", {"formats": ["xlsx"], "filter": {"lead_id": ["nobody"]}}, ["plan_query"]),
    ],
)
async def test_what_is_dear_to_find_is_found_once(
    room: World,
    database: Database,
    records: list[str],
    monkeypatch: pytest.MonkeyPatch,
    dataset: str,
    more: dict[str, Any],
    calls: list[str],
) -> None:
    """Counted once, and formatted once where there are rows: those shown are the first of those weighed."""
    caller = await filled(room, database, records)
    asked: list[str] = []
    for owner, names in ((type(registry.get(dataset)), ["plan_query"]), (FormatEngine, ["format_chunk", "show_chunk", "format_and_show"])):
        for name in names:
            _spied(monkeypatch, owner, name, asked)
    shown = await seen(caller, body_for(dataset, **more))
    assert (asked, bool(shown["rows"]), shown["problems"]) == (calls, len(calls) > 1, [])
    assert len(shown["rows"]) == min(50, shown["estimated_rows"])


def _spied(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, asked: list[str]) -> None:
    real = getattr(owner, name)

    def spy(*arguments: Any, **named: Any) -> Any:
        asked.append(name)
        return real(*arguments, **named)

    monkeypatch.setattr(owner, name, spy)


async def test_nothing_is_left_but_a_line_of_the_audit_trail(room: World) -> None:
    caller = await room.organisation(leads=120)
    before = await room.admin.fetchrow(
        "SELECT (SELECT count(*) FROM exports.exports), (SELECT count(*) FROM exports.chunks), (SELECT count(*) FROM exports.idempotency_keys)"
    )
    shown = await seen(caller, LEADS | {"columns": ["id", "email"], "purpose": PURPOSE})
    assert (shown["columns"], len(shown["rows"]), shown["estimated_rows"]) == (["id", "email"], 50, 120)
    assert shown["rows"][0] == ["lead_000001", "a@b.example"]
    assert shown["personal_columns"] == ["email"]
    after = await room.admin.fetchrow(
        "SELECT (SELECT count(*) FROM exports.exports), (SELECT count(*) FROM exports.chunks), (SELECT count(*) FROM exports.idempotency_keys)"
    )
    assert before == after
    assert await room.outbox() == []
    entry = room.noted[-1].message
    assert (entry.action, entry.subject, entry.purpose, entry.actor.startswith("key:")) == ("export.previewed", "leads", PURPOSE, True)  # type: ignore[union-attr]
    assert json.loads(entry.details) == {"dataset": "leads", "formats": ["csv"], "columns": ["id", "email"], "rows": 50}  # type: ignore[union-attr]
    usage = (await caller.call("GET", "/v1/usage")).json()
    assert (usage["exports"]["running"], usage["rows"]["today"]) == (0, 0)


async def test_refusals_are_those_of_an_export_but_for_a_password(room: World) -> None:
    caller = await room.organisation(leads=3)
    for wrong in (
        LEADS | {"format": "pdf2"},
        LEADS | {"to": "2026-01-01", "from": "2026-02-01"},
        LEADS | {"columns": ["nope"]},
        {"dataset": "x"},
        [],
    ):
        asked, looked = [await caller.call("POST", path, json=wrong) for path in ("/v1/exports", "/v1/exports/preview")]
        assert (looked.status_code, looked.json()) == (asked.status_code, asked.json())
    chats = {"dataset": "chat-data", "format": "json", **RANGE}
    assert (await caller.call("POST", "/v1/exports/preview", json=chats)).json()["error"]["details"][0]["field"] == "purpose"
    shown = await seen(caller, chats | {"purpose": PURPOSE})
    assert [p["message"].split(":")[0] for p in shown["problems"]] == ["password is required"]
    assert [sheet["name"] for sheet in shown["sheets"]] == list(registry.get("chat-data").sheet_columns())  # type: ignore[attr-defined]
    weak = await caller.call("POST", "/v1/exports/preview", json=chats | {"purpose": PURPOSE, "password": "x"})
    assert weak.status_code == 400
    for scopes in (["exports:write"], ["exports:download"], ["exports:read"]):
        key = (await caller.call("POST", "/v1/api-keys", json={"name": "k", "scopes": scopes})).json()["key"]
        answer = await Caller(room, caller.org_id, key).call("POST", "/v1/exports/preview", json=LEADS)
        assert answer.status_code == 403


async def test_problems_say_where(room: World, database: Database) -> None:
    caller = await room.organisation(leads=25)
    lines = [
        json.dumps({"type": "message", "id": f"m{n:03}", "data": {"conversation_id": "c", "created_at": f"2026-02-01T00:{n // 60:02}:{n % 60:02}Z",
                    "content": "b" * 40_000 if n in (3, 70) else "text"}})
        for n in range(80)
    ]  # fmt: skip
    with psycopg.connect(database.url) as connection:
        load(connection, caller.org_id, lines, {})
    messages = {"dataset": "messages", **RANGE}
    assert (await seen(caller, messages | {"format": "csv"}))["problems"] == []
    long = await seen(caller, messages | {"formats": ["csv", "xlsx"]})
    assert [(p["row"], p["column"]) for p in long["problems"]] == [(4, "Content")]
    split = await seen(caller, LEADS | {"max_rows_per_file": 10})
    assert [(p["row"], p["message"]) for p in split["problems"]] == [(11, "The rows are split over 3 numbered files of 10 rows at most.")]
    await room.admin.execute("UPDATE tenancy.organisations SET rows_a_day = 20, exports_at_once = 1 WHERE org_id = $1", caller.org_id)
    limited = await seen(caller, LEADS)
    assert len(limited["problems"]) == 1
    assert "20 a day" in limited["problems"][0]["message"]


async def test_who_asks_for_too_much_hears_so_in_time(room: World, monkeypatch: pytest.MonkeyPatch) -> None:
    caller = await room.organisation(leads=3)
    slow = registry.get("leads").plan_query

    def sleepy(*asked: Any) -> str:
        return f"select found.* from pg_sleep(5) cross join lateral ({slow(*asked)}) found"

    monkeypatch.setattr(registry.get("leads"), "plan_query", sleepy)
    monkeypatch.setattr(room.parts.previews, "_settings", room.parts.previews._settings.model_copy(update={"preview_seconds": 0.2}))
    answer = await caller.call("POST", "/v1/exports/preview", json=LEADS)
    assert answer.status_code == 422
    assert "0.2 seconds" in answer.text


async def test_an_erasure_while_it_is_made_leaves_nothing_to_show(room: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows were counted, and are gone under every snapshot."""
    caller, previews = await room.organisation(3), room.parts.previews
    turn = previews._turn

    async def after_an_erasure(look: Any) -> FormatEngine:
        await room.admin.execute("DELETE FROM ingest.leads WHERE org_id = $1", caller.org_id)
        return await turn(look)

    monkeypatch.setattr(previews, "_turn", after_an_erasure)
    assert (await seen(caller, LEADS))["rows"] == []
