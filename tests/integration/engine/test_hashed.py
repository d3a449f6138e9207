"""What adds many rows up joins them by a hash, though sessions don't plan such joins: PostgreSQL keeps the full joins that say so."""

import psycopg
import pytest

from shared.datasets import registry
from shared.datasets.sql import session_sql
from tests.integration.engine.conftest import ORG, Exporter

RANGE = {"from": "2026-01-01", "to": "2026-07-01"}


@pytest.mark.parametrize("dataset, joins", [("teams", 3), ("users", 2), ("contacts", 1)])
@pytest.mark.parametrize("wanted", [{}, {"channel": ["ch_none"]}], ids=["all", "channel"])
def test_joins_stay_full(exporter: Exporter, dataset: str, joins: int, wanted: dict[str, list[str]]) -> None:
    spec = exporter.spec({"dataset": dataset, "format": "csv", "filter": wanted, **RANGE})
    rows = registry.get(dataset).relation(spec, exporter.snapshot(), ["a"], ["z"])
    with psycopg.connect(exporter.database.url) as connection:
        connection.execute(session_sql(ORG))
        plan = [line for (line,) in connection.execute(f"explain (costs off) {rows.facts}")]
    assert sum("Full Join" in line for line in plan) >= joins
    assert not any("Left Join" in line and "Hash" in line for line in plan)
