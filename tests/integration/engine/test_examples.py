"""The example files, byte for byte, whatever the size of the chunks."""

from typing import Any

import pytest

from shared.datasets import registry
from tests.integration.engine.conftest import CASES, EXAMPLES, Exporter

SIZES = (1, 7, 100_000)
LARGE = ("messages.csv",)  # four hundred chunks of one row take long, and messages.jsonl goes through them
HERE = [c for c in CASES["cases"] if c["request"]["dataset"] in registry.names()]


EACH = [(case, rows_max) for case in HERE for rows_max in SIZES if rows_max > 1 or case["file"] not in LARGE]


@pytest.mark.parametrize(("case", "rows_max"), EACH, ids=[f"{case['file']}-{rows_max}" for case, rows_max in EACH])
async def test_example_files_come_out_byte_for_byte(exporter: Exporter, case: dict[str, Any], rows_max: int) -> None:
    spec = exporter.spec(case["request"])
    made = await exporter.export(spec, exporter.snapshot(), rows_max)
    assert made.files[spec.formats[0]].decode() == (EXAMPLES / "files" / case["file"]).read_bytes().decode()
    parts = made.parts[spec.formats[0]]
    assert [p.result.rows for p in parts] == [rows for rows, _ in made.planned]
