"""The pages of datasets and formats: whole, and an old page is found."""

from pathlib import Path

from shared.datasets import registry
from shared.formats import registry as formats
from tools import dataset_pages, format_pages
from tools.pages import Pages


def test_every_dataset_has_a_page_with_all_of_its_columns() -> None:
    pages = dataset_pages.pages()
    assert set(pages) == {"README.md", *(f"{name}.md" for name in registry.names())}
    for name in registry.names():
        assert f"[{name}]({name}.md)" in pages["README.md"]
        for column in registry.get(name).columns():
            assert not column.asked or f"| `{column.key}` |" in pages[f"{name}.md"]


def test_every_format_has_a_page_that_shows_values_as_it_writes_them() -> None:
    pages = format_pages.pages()
    assert set(pages) == {"README.md", *(f"{name}.md" for name in formats.names())}
    assert '| one that looks like a formula | text | `"\'=1+1"` |' in pages["csv.md"]
    assert "| no text | text | nothing |" in pages["csv.md"]
    assert '| a time (UTC, to the second) | timestamp | `"2026-03-15T09:22:41Z"` |' in pages["json.md"]
    assert "| timestamp | `timestamp[ms, tz=UTC]` |" in pages["parquet.md"]
    assert "1,048,575 rows a file" in pages["xlsx.md"]


def test_pages_out_of_date_missing_or_left_over_are_named(tmp_path: Path) -> None:
    pages = Pages(tmp_path / "datasets", "command")
    wanted = {"README.md": "a", "leads.md": "b"}
    assert len(pages.problems(wanted)) == 2
    pages.folder.mkdir()
    (pages.folder / "gone.md").write_text("left over")
    pages.write(wanted)
    assert pages.problems(wanted) == []
    (pages.folder / "leads.md").write_text("old")
    assert pages.problems(wanted) == ["docs/datasets/leads.md is out of date: command"]
