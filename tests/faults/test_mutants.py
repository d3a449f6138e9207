"""The safeguards are still where they are taken out."""

import pytest

from deploy.local.state import ROOT
from tests.faults.mutants import MUTANTS, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_a_safeguard_can_be_taken_out(mutant: Mutant) -> None:
    assert 1 <= len(mutant.seeds) <= 10
    texts: dict[str, str] = {}
    for edit in mutant.edits:
        texts[edit.path] = edit.apply(texts.get(edit.path) or (ROOT / edit.path).read_text("utf-8"))
    for path, text in texts.items():
        if path.endswith(".py"):
            compile(text, path, "exec")
        assert text != (ROOT / path).read_text("utf-8")
