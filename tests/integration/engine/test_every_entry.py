"""Every dataset of the registry in every format of its, in every compression, in two timezones, for readers that we didn't write.

A new dataset or format is in here without a line: only a new format needs a reader in tests/readers.
"""

import gzip
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
import zstandard

from shared.datasets import registry
from shared.datasets.plan import Column, ColumnType, PlanSpec
from shared.datasets.workbooks import Workbook
from shared.formats import registry as formats
from tests import readers
from tests.integration.engine.conftest import Exporter
from tests.integration.engine.loader import load
from tests.oracle.generate import SETTINGS, generate, ndjson

SEED, CONVERSATIONS, CHUNK_ROWS = 11, 60, 40
TIMEZONES = ("America/St_Johns", "Australia/Lord_Howe")  # half an hour off, and a summer of half an hour
RANGE = {"from": "2025-12-29T00:00:00Z", "to": "2026-07-05T00:00:00Z"}  # over a change of both clocks
PAIRS = [
    (name, fmt) for name in registry.names() for fmt in registry.get(name).formats if not formats.get(fmt).document
]  # test_reports.py reads documents
UNPACKED = {
    "none": bytes, "gzip": gzip.decompress, "zstd": lambda packed: zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True).read(),
}  # fmt: skip


@pytest.fixture(scope="module")
def generated(exporter: Exporter) -> Exporter:
    with psycopg.connect(exporter.database.url, autocommit=True) as connection:
        load(connection, "org_entries", ndjson(generate(SEED, CONVERSATIONS)).decode().strip("\n").split("\n"), {})
        connection.execute("analyze")
    return Exporter(exporter.database, exporter.engine, "org_entries", SETTINGS)


def request(dataset: str, fmt: str, **more: Any) -> dict[str, Any]:
    return {"dataset": dataset, "format": fmt, **({} if registry.get(dataset).range_rule == "refused" else RANGE), **more}


@pytest.mark.parametrize(("dataset", "fmt"), PAIRS)
async def test_it_is_read_by_others_whole_and_the_same_however_it_is_packed(generated: Exporter, dataset: str, fmt: str) -> None:
    snapshot, kind, found = generated.snapshot(), registry.get(dataset), {}
    for timezone in TIMEZONES:
        spec = generated.spec(request(dataset, fmt, timezone=timezone))
        plain = await generated.export(spec, snapshot, CHUNK_ROWS)
        for compression in ("gzip", "zstd") if not formats.get(fmt).binary else ():
            packed = await generated.export(spec.model_copy(update={"compression": compression}), snapshot, CHUNK_ROWS)
            assert UNPACKED[compression](packed.files[fmt]) == plain.files[fmt]  # type: ignore[operator]
        tables = readers.tables(fmt, plain.files[fmt])
        assert len(tables[0][1]) == sum(rows for rows, _ in plain.planned) > 0
        if isinstance(kind, Workbook):
            assert [name for name, _ in tables] == list(kind.sheet_columns())
        else:
            columns = kind.selected(spec, fmt)
            assert {len(row) for row in tables[0][1]} == {len(columns)}
            found[timezone] = [[instant(c, v, spec, fmt) for c, v in zip(columns, row, strict=True)] for row in tables[0][1]]
    if not kind.granularities and fmt != "txt" and found:
        for one, other in zip(*found.values(), strict=True):  # the same instants, on other clocks
            assert [pair for pair in zip(one, other, strict=True) if not agree(*pair)] == []


def instant(column: Column, value: Any, spec: PlanSpec, fmt: str) -> Any:
    """The instants that a time may stand for, whatever clock shows it: two in an hour that a clock shows twice. Other values are as they are."""
    if column.type is not ColumnType.timestamp or value in (None, ""):
        return value
    if fmt == "parquet" or registry.get(spec.dataset).family == "leads":
        return str(value)
    at = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return frozenset(at.replace(tzinfo=ZoneInfo(spec.timezone), fold=fold).astimezone(UTC) for fold in (0, 1))


def agree(one: Any, other: Any) -> bool:
    return bool(one & other) if isinstance(one, frozenset) and isinstance(other, frozenset) else bool(one == other)
