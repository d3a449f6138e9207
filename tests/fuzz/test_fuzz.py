"""The short run: every operation's examples, the edges of every parameter and field, some cases by chance, and chains of calls along the links."""

import re

import pytest

from tests.conftest import Stack
from tests.fuzz.runner import run

SEED = 20_261_126


@pytest.mark.parametrize(
    ("phases", "cases"), [("examples,coverage", 1), ("fuzzing", 4), ("stateful", 6)], ids=["edges", "chance", "chains"]
)  # fmt: skip
def test_no_operation_answers_outside_of_the_document(stack: Stack, phases: str, cases: int) -> None:
    done = run(stack, ["--phases", phases, "--max-examples", str(cases), "--seed", str(SEED)], capture=True, short=True)
    assert done.returncode == 0, done.stdout[-20_000:]
    assert re.search(r"[1-9][0-9]+ generated", done.stdout), done.stdout[-2_000:]
