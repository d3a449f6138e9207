"""Chunks of deltas and diffs: the rows of two instants side by side, as temporary tables."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from shared.datasets import deleted
from shared.datasets import registry as datasets
from shared.datasets.sql import literal, pulled
from shared.formats.fields import FIELDS
from shared.formatting import comparing
from shared.formatting.batches import text_bytes
from shared.formatting.chunks import Chunk, compiled, finished, keep, stream
from shared.formatting.database import Database
from shared.formatting.parts import Part, PartResult, SheetsPart
from shared.formatting.sheets import BARE, write_beside
from shared.formatting.statements import changed_rows, compile_chunk, compile_fields, compile_query


def write_delta(database: Database, chunk: Chunk, parts: Mapping[str, Part]) -> dict[str, PartResult]:
    """A delta's chunk: the rows that were written otherwise at the base's instant, or weren't there, and beside each format's part one of what is gone.

    Rows are compared as they are written, in every format: who differs in one is in all.
    """
    dataset, spec = chunk.dataset, chunk.spec
    rows, gone = {n: p for n, p in parts.items() if n in spec.formats}, {n: p for n, p in parts.items() if n not in spec.formats}
    compared = dataset.compared(spec)
    now = compiled(lambda: compile_chunk(dataset, compared, compared.formats, chunk.snapshot, chunk.lower, chunk.upper, database.fold))
    looked_at = keep(database, "row_now", now)
    ids = database.one(f"select array_text(k) from (select distinct {now.key} as k from row_now)")
    given = database.array("looked_at", literal(ids))
    then = compiled(lambda: compile_query(dataset, dataset.before(compared, given), compared, database.fold))
    keep(database, "row_then", then)
    changed = changed_rows("row_now", "row_then", now, compared.formats)
    sheeted = {name: part for name, part in rows.items() if isinstance(part, SheetsPart)}
    for part in sheeted.values():
        part.sheet(BARE, 0)
    written = stream(database, changed, now.counters, rows, tell_keys=chunk.tells_keys)
    if sheeted:
        keys = database.one(f"select array_text_by({now.key}, _n) from ({changed})")
        write_beside(database, chunk, database.array("changed", literal(keys)), sheeted)
    files = deleted.spec_of(dataset, spec)
    missing = compiled(lambda: compile_query(datasets.get(files.dataset), deleted.query(dataset, *chunk.bounds), files, database.fold))
    by_file = {name.removeprefix(deleted.PREFIX): part for name, part in gone.items()}
    lost = stream(database, missing.rows, missing.counters, by_file, tell_keys=chunk.tells_keys)
    counts = Counter(written.redacted)
    counts.update(deleted.counted(dataset, lost.redacted))
    both = finished(rows, written) | {f"{deleted.PREFIX}{name}": result for name, result in finished(by_file, lost).items()}
    return {name: replace(both[name], redacted=dict(counts), unchanged=looked_at - written.rows) for name in parts}


def compare(database: Database, chunk: Chunk, *, backwards: bool) -> bytes:
    """What differs between the base's instant and the chunk's, as lines of NDJSON; the spec's first format says which columns."""
    dataset = chunk.dataset
    shown = dataset.chosen(chunk.spec, chunk.spec.formats[0])
    chunk = replace(chunk, spec=comparing.with_key(dataset, chunk.spec))
    spec = chunk.spec
    columns = dataset.chosen(spec, spec.formats[0])
    now = compiled(lambda: compile_fields(dataset.relation(*chunk.bounds), columns, spec))
    keep(database, "row_now", now)
    gone = f"select id from {pulled(dataset.gone(*chunk.bounds))}"
    ids = database.one(f"select array_text(k) from (select {now.key} as k from row_now union {gone})")
    given = database.array("looked_at", literal(ids))
    then = compiled(lambda: compile_fields(dataset.before(spec, given), columns, spec))
    keep(database, "row_then", then)
    sides = ("row_now", "row_then") if backwards else ("row_then", "row_now")
    found = database.table(comparing.lines(*sides, shown, dataset, spec, len(now.place), FIELDS.name))
    return b"".join(bytes(text_bytes(batch)) for batch in found.column("line").chunks)
