"""The oracle gives every example file of the contract, byte for byte."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.oracle import Oracle

EXAMPLES = Path(__file__).parents[2] / "examples"
CASES = json.loads((EXAMPLES / "cases.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    lines = (EXAMPLES / "records.ndjson").read_text("utf-8").split("\n")
    return Oracle((json.loads(line) for line in lines if line), CASES["settings"], CASES["scores"])


def test_records_are_counted_as_the_contract_says(oracle: Oracle) -> None:
    assert (oracle.state.accepted, oracle.state.stale) == (CASES["accepted"], CASES["stale"])


@pytest.mark.parametrize("case", CASES["cases"], ids=lambda case: case["file"])
def test_the_file_is_the_contracts_byte_for_byte(oracle: Oracle, case: dict[str, Any]) -> None:
    assert oracle.file(case["request"], case["request"]["format"]) == (EXAMPLES / "files" / case["file"]).read_bytes()
