"""The pages of datasets: whole, and an old page is found."""

from pathlib import Path

import pytest

from shared.datasets import registry
from tools import dataset_pages


def test_every_dataset_has_a_page_with_all_of_its_columns() -> None:
    pages = dataset_pages.pages()
    assert set(pages) == {"README.md", *(f"{name}.md" for name in registry.names())}
    for name in registry.names():
        assert f"[{name}]({name}.md)" in pages["README.md"]
        for column in registry.get(name).columns():
            assert not column.asked or f"| `{column.key}` |" in pages[f"{name}.md"]


def test_pages_out_of_date_missing_or_left_over_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset_pages, "FOLDER", tmp_path)
    wanted = {"README.md": "a", "leads.md": "b"}
    assert len(dataset_pages.problems(wanted)) == 2
    (tmp_path / "gone.md").write_text("left over")
    dataset_pages.write(wanted)
    assert dataset_pages.problems(wanted) == []
    (tmp_path / "leads.md").write_text("old")
    assert dataset_pages.problems(wanted) == ["docs/datasets/leads.md is out of date: python -m tools.dataset_pages --write"]
