"""Estimates of previews where rows are nothing like each other: one conversation that is most of an export, long texts at the end, filters that leave one in a thousand."""

import json
import random
import zlib
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest

from services.export_request import counting, sampling
from services.export_request.core import estimates
from services.export_request.core.planning import ChunkLimits
from shared.datasets import registry
from shared.formats import registry as formats
from shared.formatting.engine import FormatEngine
from tests.conftest import Database
from tests.contract.export_request.conftest import Caller, World, world_of
from tests.contract.export_request.test_previews import body_for, seen
from tests.integration.engine.conftest import Exporter
from tests.integration.engine.loader import load

CONVERSATIONS, HUGE = 400, 1_500
SETTINGS: dict[str, Any] = {"name": "Acme", "timezone": "UTC", "custom_properties": []}
WORDS = ["order", "invoice", "delivery", "refund", "account", "password", "problem", "shipment", "tomorrow", "merci", "straße", "はい"]


def records() -> list[str]:
    """Conversation 7 has most of the messages; the last tenth of the range says things that don't compress; one lead has half of the leads' conversations."""
    luck = random.Random(20261126)
    made: list[dict[str, Any]] = [
        {"type": "channel", "id": "web", "data": {"medium": "Web chat", "name": "Web"}}, {"type": "channel", "id": "rare", "data": {"medium": "SMS", "name": "Rare"}},
        *({"type": "agent", "id": f"agent{n}", "data": {"name": f"Agent {n}", "email": f"agent{n}@acme.example"}} for n in range(20)),
    ]  # fmt: skip
    for n in range(CONVERSATIONS):
        at, late = f"2026-{1 + n * 5 // CONVERSATIONS:02}-{1 + n % 25:02}T10:00:00Z", n >= CONVERSATIONS * 0.9
        if late:
            at = f"2026-06-{1 + n % 25:02}T10:00:00Z"
        made.append(
            {
                "type": "contact",
                "id": f"contact{n}",
                "data": {"primary_identifier": f"c{n}@mail.example", "name": f"Customer {n}", "created_at": at},
            }
        )
        made.append({"type": "lead", "id": f"lead{n}", "data": {"email": f"lead{n}@mail.example", "name": f"Lead {n}", "created_at": at}})
        lead = "lead3" if n % 2 else f"lead{n}"
        made.append({"type": "conversation", "id": f"conv{n}", "data": {
            "channel_id": "rare" if n == 5 else "web", "contact_id": f"contact{n}", "created_at": at, "lead_id": lead, "status": "resolved" if n % 3 else "new"}})  # fmt: skip
        for k in range(HUGE if n == 7 else 1 + n % 6):
            text = luck.randbytes(600).hex() if late else " ".join(luck.choices(WORDS, k=12))
            sender = {"kind": "agent", "id": f"agent{k % 20}"} if k % 2 else {"kind": "visitor"}
            made.append({"type": "message", "id": f"m{n}-{k:04}", "data": {
                "conversation_id": f"conv{n}", "created_at": f"{at[:11]}{10 + k // 3600:02}:{k // 60 % 60:02}:{k % 60:02}Z", "sender": sender, "content": text}})  # fmt: skip
    return [json.dumps(each) for each in made]


@pytest.fixture
async def room(database: Database) -> AsyncIterator[World]:
    async with world_of(database, preview_seconds=25) as made:
        yield made
        await made.parts.previews.close()


@pytest.fixture
async def caller(room: World, database: Database, monkeypatch: pytest.MonkeyPatch) -> Caller:
    """Of its organisation's rows a preview sees as many as of one that has a hundred times as many."""
    made = await room.organisation()
    assert (await made.call("PATCH", "/v1/settings", json={"timezone": "UTC"})).status_code == 200
    with psycopg.connect(database.url, autocommit=True) as connection:
        load(connection, made.org_id, records(), {})
        connection.execute("analyze")
    for name, value in (
        ("ALL_ROWS", 60),
        ("ALL_BYTES", 1 << 16),
        ("SAMPLE_ROWS", 150),
        ("QUICK_ROWS", 60),
        ("WORKBOOK_ROWS", 60),
        ("WORKBOOK_SAMPLE_ROWS", 60),
    ):
        monkeypatch.setattr(sampling, name, value)
    unhurried = room.parts.previews._settings.model_copy(update={"preview_seconds": 600})  # a busy machine must not take samples away
    monkeypatch.setattr(room.parts.previews, "_settings", unhurried)
    monkeypatch.setattr(counting, "STEP", ChunkLimits(150, 2**53))
    return made


FILTERS: dict[str, list[dict[str, Any]]] = {
    "messages": [{}, {"channel": ["rare"]}, {"channel": ["none"]}],
    "conversations": [{}, {"channel": ["rare"]}, {"lead_id": ["lead3"]}],
    "leads": [{}, {"ids": ["lead3"]}],
    "resolved-conversations": [{}, {"channel": ["rare"]}],
}


EMPTY = 32  # bytes of a compressed file with nothing in it: what puts files together here makes it of none
NESTED = ["conversations", "leads", "messages"]
GROUPED = [name for name in registry.names() if estimates.is_grouped(registry.get(name))]
CHATS = ["chat-data"]
OTHERS = [name for name in registry.names() if name not in (*NESTED, *GROUPED, *CHATS)]
ASKED = {
    "nested": (NESTED, "none"),
    "gzip": (NESTED, "gzip"),
    "grouped": (GROUPED, "none"),
    "others": (OTHERS, "none"),
}


@pytest.mark.parametrize(("asked", "compression"), ASKED.values(), ids=list(ASKED))
async def test_rows_that_are_nothing_like_each_other(caller: Caller, database: Database, asked: list[str], compression: str) -> None:
    """Not Parquet and zstd, whose dictionaries and windows reach further than samples of so few rows: test_previews.py has Parquet in samples as large as they are."""
    engine = FormatEngine(database.libpq("formatter"), memory_mb=256)
    exporter = Exporter(database, engine, caller.org_id, SETTINGS | {"operating_hours": None})
    wrong = []
    for dataset in asked:
        kind = registry.get(dataset)
        wanted = sorted(name for name in kind.formats if name != "parquet" and (compression == "none" or not formats.get(name).binary))
        for chosen in FILTERS.get(dataset, [{}]):
            body = body_for(dataset, filter=chosen, formats=wanted, **({} if compression == "none" else {"compression": compression}))
            shown = await seen(caller, body)
            made = await exporter.export(exporter.spec(body), exporter.snapshot())
            rows = sum(part.result.rows for part in made.parts[shown["format"]])
            sizes = {name: len(zlib.compress(file, 1) if kind.protected else file) for name, file in made.files.items()}
            told = shown["estimated_bytes_by_format"]
            wrong += [(dataset, chosen, "rows", shown["estimated_rows"], rows)] if shown["estimated_rows"] != rows else []
            wrong += [
                (dataset, chosen, name, told[name], size) for name, size in sizes.items() if abs(told[name] - size) > max(0.2 * size, EMPTY)
            ]
    engine.close()
    assert wrong == []


async def test_what_repeats_itself_over_many_rows_is_weighed_whole(room: World, database: Database) -> None:
    """Presences at the same times every day: of three thousand rows Parquet makes as much as of twenty thousand."""
    made = await room.organisation()
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute(
            """insert into ingest.presences (org_id, id, agent_id, type, "from", "to")
               select %s, 'prs_' || a || '_' || n, 'agent_' || a, 'Available', at, at + interval '8 hours'
               from generate_series(1, 100) a, generate_series(0, 199) n cross join lateral (select timestamptz '2026-01-01 00:00Z' + n * interval '8 hours' as at) t""",
            [made.org_id],
        )
    body = {"dataset": "user-presence", "formats": ["csv", "parquet"], "from": "2026-01-01", "to": "2026-06-01"}
    shown = await seen(made, body)
    engine = FormatEngine(database.libpq("formatter"), memory_mb=256)
    exporter = Exporter(database, engine, made.org_id, SETTINGS | {"operating_hours": None})
    written = (await exporter.export(exporter.spec(body), exporter.snapshot(), bytes_max=48 << 20)).files
    engine.close()
    assert shown["estimated_rows"] == 20_000
    for name, size in shown["estimated_bytes_by_format"].items():
        assert abs(size - len(written[name])) <= 0.2 * len(written[name]), name


async def test_ranges_with_nothing_in_them(caller: Caller, database: Database) -> None:
    engine = FormatEngine(database.libpq("formatter"), memory_mb=256)
    exporter = Exporter(database, engine, caller.org_id, SETTINGS | {"operating_hours": None})
    for dataset in ("messages", "leads", "conversations", "response-times", "tags"):
        body = body_for(dataset, **{"from": "2024-01-01", "to": "2024-02-01"})
        shown = await seen(caller, body)
        made = await exporter.export(exporter.spec(body), exporter.snapshot())
        assert (shown["estimated_rows"], shown["rows"], shown["problems"]) == (0, [], [])
        assert shown["estimated_bytes_by_format"] == {name: len(file) for name, file in made.files.items()}
    engine.close()
