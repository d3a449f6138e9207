"""Makes docs/datasets/ from the registry: a page a dataset, with its columns as files and requests name them, and an index.

`python -m tools.dataset_pages` says whether the pages are up to date; `--write` writes them.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from services.export_request.core.request.resolving import RANGE_DAYS_MAX
from shared.datasets import registry
from shared.datasets.base import Dataset, in_format
from shared.datasets.plan import Column
from shared.datasets.workbooks import Workbook
from tools.pages import Pages

PAGES = Pages(Path(__file__).resolve().parent.parent / "docs" / "datasets", "python -m tools.dataset_pages --write")
MADE = "Made from the code by `python -m tools.dataset_pages --write`; `make check` fails where it is out of date."
RANGES = {
    "required": f"`from` and `to` are required, at most {RANGE_DAYS_MAX} days apart.",
    "optional": f"`from` and `to` may be left out; where both are given, they are at most {RANGE_DAYS_MAX} days apart.",
    "refused": "It has no range: it shows one instant, the export's acceptance.",
}
FAMILIES = {"leads": "UTC, to the second", "care": "local time of the export's timezone, to the millisecond"}


def pages() -> dict[str, str]:
    """File name → text."""
    found = [registry.get(name) for name in registry.names()]
    return {"README.md": _index(found), **{f"{dataset.name}.md": _page(dataset) for dataset in found}}


def _index(found: list[Dataset]) -> str:
    rows = "".join(f"| [{d.name}]({d.name}.md) | {d.description} | {', '.join(d.formats)} |\n" for d in found)
    return f"# Datasets\n\n{MADE} How values are written in each format: [formats](../formats.md).\n\n| dataset | | formats |\n|---|---|---|\n{rows}"


def _page(dataset: Dataset) -> str:
    formats = ", ".join(f"{f} (default)" if f == dataset.default_format else f for f in dataset.formats)
    first, *others = dataset.granularities or ("",)
    periods = f" `granularity` is {first} (default), or {' or '.join(others)}."
    filters = ", ".join(f"`{name}`" for name in dataset.filter_model.model_fields) or "none"
    return f"""# {dataset.name}

{dataset.description}

- **Formats:** {formats}
- **Range:** {RANGES[dataset.range_rule]}{periods if dataset.granularities else ""}
- **Filters:** {filters}
- **Deltas and diffs:** {"yes" if dataset.entity is not None else "no"} ([deltas](../deltas.md))
- **Times in text formats:** {FAMILIES[dataset.family]}
{_limits(dataset)}
{_tables(dataset)}{_custom(dataset)}
{MADE}
"""


def _tables(dataset: Dataset) -> str:
    if isinstance(dataset, Workbook):
        return "\n".join(f"## {name}\n\n{_table(columns, dataset)}" for name, columns in dataset.sheet_columns().items())
    return _table([column for column in dataset.columns() if column.asked], dataset)


def _table(columns: Sequence[Column], dataset: Dataset) -> str:
    more = _restricted(dataset)
    head = f"| key | header | type | what it is | personal |{' only in |' if more else ''}\n|---|---|---|---|---|{'---|' if more else ''}\n"
    return head + "".join(_row(column, dataset) for column in columns)


def _limits(dataset: Dataset) -> str:
    limits = ""
    if dataset.protected:
        limits += "- **A request must bring** a `password` ([passwords](../passwords.md)) and a `purpose`, with a key that has `exports:download`.\n"
    if dataset.rows_max_per_file:
        limits += f"- **At most** {dataset.rows_max_per_file:,} rows a file; more are split over numbered files.\n"
    if dataset.found_rows_max:
        limits += f"- **By a search** (`q`) at most {dataset.found_rows_max} rows, else it is refused, or fails with `too_many_found` where finding out takes longer.\n"
    return limits


def _restricted(dataset: Dataset) -> bool:
    return any(column.formats for column in dataset.columns() if column.asked)


def _row(column: Column, dataset: Dataset) -> str:
    cells = [f"`{column.key}`", column.header, str(column.type), column.description, "yes" if column.personal else ""]
    if _restricted(dataset):
        cells.append(", ".join(f for f in dataset.formats if in_format(column, f)) if column.formats else "")
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


def _custom(dataset: Dataset) -> str:
    if isinstance(dataset, Workbook):
        return "\nThe sheet User data has a column `profile.<key>` more, before `createdAt`, for each key that occurs in the file's users, by name.\n"
    if dataset.name != "leads":
        return ""
    return "\nIn formats with one value a cell there is a column `custom_<name>` more for each custom property of the settings, in their order.\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write docs/datasets/")
    return PAGES.run(pages(), parser.parse_args().write)


if __name__ == "__main__":
    sys.exit(main())
