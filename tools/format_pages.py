"""Makes docs/formats/ from the registry: a page a format, with values as its own encoder writes them.

`python -m tools.format_pages` says whether the pages are up to date; `--write` writes them.
"""

import argparse
import inspect
import sys
from pathlib import Path

import duckdb

from shared.datasets import registry as datasets
from shared.datasets.plan import Column, ColumnType, PlanSpec
from shared.formats import macros, protection
from shared.formats import registry as formats
from shared.formats.base import Cell, Fixed, Format, concat
from shared.formatting.row_groups import arrow_type
from tools.pages import Pages

PAGES = Pages(Path(__file__).resolve().parent.parent / "docs" / "formats", "python -m tools.format_pages --write")
MADE = "Made from the code by `python -m tools.format_pages --write`; `make check` fails where it is out of date."
ZONE, YEARS = "Europe/Brussels", (2025, 2027)
_AT = "timestamptz '2026-03-15 09:22:41.123+00'"
# What it is, its type, a DuckDB expression of it.
SAMPLES = (
    ("a text", ColumnType.text, "'Ann “A.” O''Neill'"),
    ("one with quotes and a line break", ColumnType.text, """'say "yes"' || chr(10) || 'or <no>'"""),
    ("one that looks like a formula", ColumnType.text, "'=1+1'"),
    ("one with a control character", ColumnType.text, "'a' || chr(7) || 'b'"),
    ("an empty text", ColumnType.text, "''"),
    ("no text", ColumnType.text, "null::varchar"),
    ("a whole number", ColumnType.int64, "42::bigint"),
    ("a number", ColumnType.double, "2.5::double"),
    ("no number", ColumnType.int64, "null::bigint"),
    ("yes or no", ColumnType.boolean, "true"),
    ("a date", ColumnType.date, "date '2026-03-15'"),
    ("a list", ColumnType.texts, "['vip', 'a,b']"),
    ("an empty list", ColumnType.texts, "[]::varchar[]"),
    ("a custom property: text", ColumnType.property, """'"gold"'"""),
    ("a custom property: number", ColumnType.property, "'25'"),
)


def pages() -> dict[str, str]:
    """File name → text."""
    found = [formats.get(name) for name in formats.names()]
    return {"README.md": _index(found), **{f"{fmt.name}.md": _page(fmt) for fmt in found}}


def _index(found: list[Format]) -> str:
    rows = "".join(f"| [{f.name}]({f.name}.md) | {_about(f)} | {', '.join(_datasets(f))} |\n" for f in found)
    return f"# Formats\n\n{MADE} The rules that hold for all of them, and why: [formats](../formats.md).\n\n| format | | datasets |\n|---|---|---|\n{rows}"


def _page(fmt: Format) -> str:
    about = _datasets(fmt)
    name, media = protection.published(fmt, f"{'leads' if 'leads' in about else about[0]}.{fmt.extension}")
    wanted = [f"[{d}](../datasets/{d}.md)" + (" (default)" if datasets.get(d).default_format == fmt.name else "") for d in about]
    inside = "an encrypted file of the format" if fmt.encrypts_itself else "an AES-256 ZIP with the file in it"
    facts = [
        f"- **Name and media type:** `.{fmt.extension}`, `{fmt.media_type}`",
        f"- **Datasets:** {', '.join(wanted)}",
        "- **Compression:** " + ("it is compressed by itself" if fmt.binary else "`none`, `gzip` (`.gz`) or `zstd` (`.zst`)"),
        f"- **With a password:** {inside}, `{name}`, `{media}`",
    ]
    if fmt.rows_max_per_file:
        facts.append(f"- **At most** {fmt.rows_max_per_file:,} rows a file; more are split over numbered files")
    if fmt.cell_units_max:
        facts.append(
            f"- **At most** {fmt.cell_units_max:,} UTF-16 code units a cell; a longer text is refused (`cell_too_long`), never cut"
        )
    body = "\n".join(facts)
    return f"# {fmt.name}\n\n{_about(fmt)}.\n\n{body}\n{_values(fmt)}\n{MADE}\n"


def _about(fmt: Format) -> str:
    """The first sentence of the format's module, without its name."""
    said = " ".join((inspect.getdoc(inspect.getmodule(type(fmt))) or "").split("\n\n")[0].split())
    told = said.partition(": ")[2].rstrip(".")
    return told[:1].upper() + told[1:]


def _datasets(fmt: Format) -> list[str]:
    return [name for name in datasets.names() if fmt.name in datasets.get(name).formats]


def _values(fmt: Format) -> str:
    if fmt.document:
        return "\nWhat is in it, and what it looks like: [reports](../reports.md).\n"
    if fmt.typed:
        return _types(fmt)
    if all(len(datasets.get(name).resolve_columns(None, [fmt.name])[fmt.name]) == 1 for name in _datasets(fmt)):
        return ""  # a row is one text
    rows = _written(fmt)
    shown = "".join(f"| {what} | {kind} | {_code(text)} |\n" for what, kind, text in rows)
    return f"\n## Values\n\nAs this format's encoder writes them (the guard on, timezone {ZONE}).\n\n| value | type | written |\n|---|---|---|\n{shown}"


def _types(fmt: Format) -> str:
    kinds = dict.fromkeys(kind for _, kind, _ in SAMPLES)
    rows = "".join(f"| {kind} | `{arrow_type(kind)}` |\n" for kind in [*kinds, ColumnType.timestamp])
    return f"\n## Types\n\n| column | type in the file, as Arrow names it |\n|---|---|\n{rows}"


def _written(fmt: Format) -> list[tuple[str, ColumnType, str]]:
    connection = duckdb.connect(config={"threads": 1})
    connection.execute(macros.encoders())
    connection.execute(macros.local_time(ZONE, YEARS))
    families = {family: next(n for n in _datasets(fmt) if datasets.get(n).family == family) for family in _families(fmt)}
    rows = []
    for what, kind, sql in SAMPLES:
        rows.append((what, kind, _cell(connection, fmt, next(iter(families.values())), kind, sql)))
    for family, dataset in families.items():
        about = "UTC, to the second" if family == "leads" else "local, to the millisecond"
        rows.append((f"a time ({about})", ColumnType.timestamp, _cell(connection, fmt, dataset, ColumnType.timestamp, _AT)))
    connection.close()
    return rows


def _families(fmt: Format) -> list[str]:
    return list(dict.fromkeys(datasets.get(name).family for name in _datasets(fmt)))


def _cell(connection: duckdb.DuckDBPyConnection, fmt: Format, dataset: str, kind: ColumnType, sql: str) -> str:
    spec = PlanSpec(dataset=dataset, formats=[fmt.name], columns={fmt.name: []}, timezone=ZONE)
    pieces = fmt.cell(Cell(Column("key", "Key", kind, "", "x"), "x"), spec)
    written = concat([p for p in pieces if not (isinstance(p, Fixed) and p.text == '"key":')])
    return str(connection.execute(f"select {fmt.finish(written)} from (select {sql} as x)").fetchall()[0][0])


def _code(text: str) -> str:
    shown = text.replace("\n", "⏎").replace("\r", "␍").replace("\x07", "␇").replace("|", "\\|")
    return f"`{shown}`" if shown else "nothing"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write docs/formats/")
    return PAGES.run(pages(), parser.parse_args().write)


if __name__ == "__main__":
    sys.exit(main())
