"""Hostile records by seed: what the engine makes of them is what the oracle makes of them, byte by byte."""

from typing import Any

import psycopg
import pytest

from shared.datasets import registry
from tests.integration.engine.books import by_calamine, differences
from tests.integration.engine.conftest import Exporter
from tests.integration.engine.loader import load
from tests.oracle import Oracle
from tests.oracle.generate import SETTINGS, generate, ndjson
from tests.oracle.requests import requests

SEED, CONVERSATIONS = 1, 400


@pytest.fixture(scope="module")
def records() -> list[dict[str, Any]]:
    return generate(SEED, CONVERSATIONS)


@pytest.fixture(scope="module")
def oracle(records: list[dict[str, Any]]) -> Oracle:
    return Oracle(records, SETTINGS, {})


@pytest.fixture(scope="module")
def hostile(exporter: Exporter, records: list[dict[str, Any]]) -> Exporter:
    with psycopg.connect(exporter.database.url, autocommit=True) as connection:
        load(connection, "org_hostile", ndjson(records).decode().strip("\n").split("\n"), {})
        connection.execute("analyze")
    return Exporter(exporter.database, exporter.engine, "org_hostile", SETTINGS)


@pytest.mark.parametrize("dataset", registry.names())
async def test_files_are_the_oracles(hostile: Exporter, oracle: Oracle, records: list[dict[str, Any]], dataset: str) -> None:
    asked = [r for r in requests(SEED, records, 250) if r["dataset"] == dataset and r["format"] in registry.get(dataset).formats]
    assert asked
    snapshot = hostile.snapshot()
    wrong = []
    for request in asked:
        made = (await hostile.export(hostile.spec(request), snapshot, 5_000)).files[request["format"]]
        if made != oracle.file(request, request["format"]):
            wrong.append((request, difference(made, oracle.file(request, request["format"]))))
    assert not wrong, f"{len(wrong)} of {len(asked)} differ; the first: {wrong[0]}"


@pytest.mark.parametrize("dataset", [name for name in registry.names() if "xlsx" in registry.get(name).formats])
async def test_workbooks_hold_the_oracles_rows(hostile: Exporter, oracle: Oracle, records: list[dict[str, Any]], dataset: str) -> None:
    """Every sheet, cell by cell."""
    plain = [r for r in requests(SEED, records, 250) if r["dataset"] == dataset and r["format"] not in ("txt", "json")]
    asked = plain or [r for r in requests(SEED, records, 250) if r["dataset"] == dataset]
    snapshot, wrong = hostile.snapshot(), []
    for request in asked[:4]:
        request = {k: v for k, v in request.items() if k not in ("spreadsheet_safe", "columns")} | {"format": "xlsx"}
        made = (await hostile.export(hostile.spec(request), snapshot, 500)).files["xlsx"]
        wrong += [(request, found) for found in differences(by_calamine(made), oracle.sheets(request))]
    assert not wrong, f"{len(wrong)} cells differ; the first: {wrong[0]}"


def difference(made: bytes, wanted: bytes) -> tuple[str, str]:
    """The first lines that differ."""
    pairs = zip([*made.split(b"\n"), b"<end>"], [*wanted.split(b"\n"), b"<end>"], strict=False)
    return next(((a.decode(errors="replace"), b.decode(errors="replace")) for a, b in pairs if a != b), ("", ""))
