"""A database with the example records, and exports planned and formatted from it without any service."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import psycopg
import pytest

from shared.datasets import deleted, registry
from shared.datasets.instants import resolve_instant
from shared.datasets.plan import CustomProperty, PlanSpec
from shared.datasets.sql import Settled, session_sql, settled_tables
from shared.datasets.workbooks import Workbook
from shared.formats import registry as formats
from shared.formats.base import Slice
from shared.formats.compression import compress
from shared.formatting.engine import FormatEngine, PartResult
from tests.conftest import Database
from tests.integration.engine.loader import load

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
CASES = json.loads((EXAMPLES / "cases.json").read_text("utf-8"))
RECORDS = (EXAMPLES / "records.ndjson").read_text("utf-8").strip("\n").split("\n")
ORG = "org_examples"


class Buffer:
    """A sink in memory."""

    def __init__(self) -> None:
        self.data = bytearray()

    def write(self, data: bytes | memoryview, /) -> None:
        self.data += data


@dataclass
class Part:
    result: PartResult
    data: bytes


@dataclass
class Exported:
    """Files by format, and the parts they are made of."""

    files: dict[str, bytes]
    parts: dict[str, list[Part]] = field(default_factory=dict)
    planned: list[tuple[int, list[str]]] = field(default_factory=list)


@dataclass
class Exporter:
    """Plans and formats exports of one organisation."""

    database: Database
    engine: FormatEngine
    org_id: str = ORG
    settings: dict[str, Any] = field(default_factory=lambda: CASES["settings"])

    def spec(self, request: dict[str, Any], **more: Any) -> PlanSpec:
        """A request body as the plan spec that export_request would make of it."""
        dataset = registry.get(request["dataset"])
        wanted = request.get("formats") or [request.get("format", dataset.default_format)]
        custom = [CustomProperty(**p) for p in self.settings["custom_properties"]]
        timezone = request.get("timezone", self.settings.get("timezone", "UTC"))
        ends = {k: resolve_instant(request[n], timezone) for k, n in (("from_", "from"), ("to", "to")) if n in request}
        return PlanSpec(
            dataset=dataset.name, formats=wanted, columns=dataset.resolve_columns(request.get("columns"), wanted, custom),
            custom_properties=custom, timezone=timezone, filter=dataset.validate_filter(request.get("filter", {}), timezone),
            spreadsheet_safe=request.get("spreadsheet_safe", True), compression=request.get("compression", "none"),
            organisation_name=self.settings["name"], qualification_threshold=self.settings.get("qualification_threshold", 70), granularity=request.get("granularity"),
            operating_hours=self.settings.get("operating_hours"), **ends, **more,
        )  # fmt: skip

    async def export(self, spec: PlanSpec, snapshot: str, rows_max: int = 50_000, bytes_max: int = 16 << 20) -> Exported:
        """Every chunk, planned as export_request's role and formatted as the formatter's."""
        dataset = registry.get(spec.dataset)
        if isinstance(dataset, Workbook) or any(formats.get(f).document for f in spec.formats):  # a chunk is a whole file
            rows_max, bytes_max = 2**53, 2**53
        wanted = [*spec.formats, *(f"{deleted.PREFIX}{name}" for name in spec.formats if spec.since)]
        parts: dict[str, list[Part]] = {f: [] for f in wanted}
        planned = await self.plan(spec, snapshot, rows_max, bytes_max)
        lower: list[str] | None = None
        for rows, upper in planned:
            sinks = {f: Buffer() for f in wanted}
            results = self.engine.format_chunk(spec, self.org_id, snapshot, lower, upper, sinks)
            for name, sink in sinks.items():
                assert results[name].bytes == len(sink.data)
                assert results[name].sha256 == hashlib.sha256(sink.data).hexdigest()
                parts[name].append(Part(results[name], bytes(sink.data)))
            for name in spec.formats:  # complete or not complete
                gone = results[f"{deleted.PREFIX}{name}"].rows if spec.since else 0
                assert rows == results[name].rows + gone + results[name].unchanged
            lower = upper
        assert dataset.name == spec.dataset
        files = {name: assemble(spec, name, made) for name, made in parts.items()}
        return Exported(files, parts, planned)

    async def plan(self, spec: PlanSpec, snapshot: str, rows_max: int, bytes_max: int) -> list[tuple[int, list[str]]]:
        """As export_request plans; that what has changed meanwhile is known makes no difference to what is found."""
        dataset = registry.get(spec.dataset)
        connection = await asyncpg.connect(self.database.as_service("export_request"))
        try:
            chunks: list[tuple[int, list[str]]] = []
            after: list[str] | None = None
            while True:
                async with connection.transaction(isolation="repeatable_read", readonly=True):
                    await connection.execute(session_sql(self.org_id))
                    row = await connection.fetchrow(dataset.plan_query(spec, snapshot, after, rows_max, bytes_max))
                    if spec.since is None:
                        settled = Settled(snapshot, (await connection.fetchval(settled_tables(snapshot))).split(","))
                        for most in (bytes_max, None):
                            assert await connection.fetchrow(dataset.plan_query(spec, settled, after, row["rows"] or 1, most)) == row
                        assert len(chunks) > 1 or await self._counted(connection, spec, settled, after, row) == row["rows"]
                    # Of some chunks: groups are made of all rows for each count.
                    assert len(chunks) > 1 or await self._counted(connection, spec, snapshot, after, row) == row["rows"]
                if not row["rows"]:
                    return chunks
                assert row["rows"] <= rows_max
                after = list(row["last_key"])
                chunks.append((row["rows"], after))
        finally:
            await connection.close()

    async def _counted(
        self, connection: asyncpg.Connection, spec: PlanSpec, snapshot: str, after: list[str] | None, row: asyncpg.Record
    ) -> int:
        """How many rows are in a chunk where they are counted alone, and where it has none how many are behind it; of a delta also those that are gone."""
        dataset, upper = registry.get(spec.dataset), row["last_key"] if row["rows"] else None
        rows: int = await connection.fetchval(dataset.count_query(spec, snapshot, after, upper))
        if spec.since is not None:
            rows += await connection.fetchval(f"select count(*) from ({dataset.gone(spec, snapshot, after, upper)}) gone")
        return rows

    def snapshot(self) -> str:
        with psycopg.connect(self.database.url) as connection:
            row = connection.execute("select pg_current_snapshot()::text").fetchone()
        assert row
        return str(row[0])


def assemble(spec: PlanSpec, name: str, parts: list[Part]) -> bytes:
    """A file as delivery makes it: frame bytes are compressed as members of their own."""
    if name.startswith(deleted.PREFIX):
        spec, name = deleted.spec_of(registry.get(spec.dataset), spec), name.removeprefix(deleted.PREFIX)
    fmt = formats.get(name)
    frame = fmt.frame(spec)
    pieces = (frame.head, frame.separator, frame.tail, frame.empty)
    head, separator, tail, empty = (compress(fmt.compression(spec), piece) for piece in pieces)
    parts = [p for p in parts if p.result.rows]
    if not parts:
        return empty
    places = [fmt.first(part.result.note) for part in parts]
    made = head + separator.join(p.data if at is None else sliced(p, at) for p, at in zip(parts, places, strict=True))
    for piece in fmt.behind(tail, [p.result.note or b"" for p in parts]):
        made += piece if isinstance(piece, bytes) else sliced(parts[piece.part], piece)
    return made


def sliced(part: Part, place: Slice) -> bytes:
    data = part.data[place.start : place.start + place.size]
    assert hashlib.sha256(data).hexdigest() == place.sha256
    return data


@pytest.fixture(scope="module")
def exporter(database: Database) -> Iterator[Exporter]:
    """The example records are in."""
    with psycopg.connect(database.url) as connection:
        load(connection, ORG, RECORDS, CASES["scores"])
    engine = FormatEngine(database.libpq("formatter"), memory_mb=256, pseudonym_secret="a secret of the tests, long enough")
    yield Exporter(database, engine)
    engine.close()
