"""Chunks with sheets: workbooks, of which a chunk holds every sheet, and what stands beside a dataset's rows in formats that have sheets."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from shared.datasets import registry as datasets
from shared.datasets.plan import PlanSpec, Sheet
from shared.datasets.redaction import shown
from shared.datasets.sql import pulled
from shared.datasets.workbooks import Workbook
from shared.errors import PermanentError
from shared.formats import registry as formats
from shared.formats.base import Frame
from shared.formatting.chunks import Chunk, Extent, compiled, finished, pull, stream, summed
from shared.formatting.database import Database
from shared.formatting.parts import Part, PartResult, Table
from shared.formatting.statements import ChunkStatements, compile_sheet

# Columns that the rows of a sheet may bring: a line has them all, whether or not its row does.
NAMES_MAX = 5_000

BARE = Frame(b"", b"", b"", b"")  # of rows that the file's end puts into their place


def tables_shown(spec: PlanSpec, fmt: str) -> list[Table]:
    """What is shown of an export in a format, table by table, without its rows."""
    dataset = datasets.get(spec.dataset)
    tables = list(dataset.tables(spec, fmt).items())
    if spec.since is None and (isinstance(dataset, Workbook) or (formats.get(fmt).sheeted and len(tables) > 1)):
        return [Table(columns, [], name) for name, columns in tables]
    return [Table(dataset.selected(spec, fmt), [])]


def members(database: Database, chunk: Chunk) -> str:
    """The chunk's keys, as a text[] of PostgreSQL's."""
    return database.array("members", f"({compiled(lambda: chunk.dataset.members(*chunk.bounds))})")


def write_workbook(database: Database, chunk: Chunk, dataset: Workbook, parts: Mapping[str, Part]) -> dict[str, PartResult]:
    """A workbook's chunk: one sheet behind the other. Rows and keys are those of the first."""
    extents: list[Extent] = []
    for sheet, names, statements in each_sheet(database, chunk, dataset, list(parts)):
        columns = [shown(column, chunk.spec.redaction) for column in sheet.columns(names)]
        for name, part in parts.items():
            part.sheet(formats.get(name).sheet(sheet.name, columns, not extents), len(columns))
        pull(database, statements)
        extents.append(stream(database, statements.rows, statements.counters, parts, tell_keys=chunk.tells_keys, repeats=True))
    return finished(parts, extents[0]._replace(redacted=summed(extents)))


def write_beside(database: Database, chunk: Chunk, rows: str, parts: Mapping[str, Part]) -> list[Extent]:
    """What stands on sheets behind that of the rows, in the formats that have sheets. `rows`: their keys, a text[] of PostgreSQL's."""
    extents = []
    for sheet in compiled(lambda: chunk.dataset.beside(chunk.spec, chunk.snapshot, rows)):
        for part in parts.values():
            part.sheet(BARE, 0)
        statements = compiled(partial(compile_sheet, sheet, [], chunk.spec, list(parts), database.fold))
        pull(database, statements)
        extents.append(stream(database, statements.rows, statements.counters, parts, tell_keys=chunk.tells_keys, repeats=True))
    return extents


def each_sheet(
    database: Database, chunk: Chunk, dataset: Workbook, wanted: Sequence[str]
) -> Iterator[tuple[Sheet, list[str], ChunkStatements]]:
    """The sheets of a workbook's chunk, each with the names of the columns that its rows bring."""
    rows = members(database, chunk)
    ids: dict[str, str] = {}
    for gathered in compiled(lambda: dataset.gathered(chunk.snapshot, rows)):
        ids |= database.arrays(gathered.names, gathered.query)
    for sheet in compiled(lambda: dataset.sheets(chunk.spec, chunk.snapshot, rows, ids)):
        names = _names(database, sheet)
        yield sheet, names, compiled(partial(compile_sheet, sheet, names, chunk.spec, wanted, database.fold))


def _names(database: Database, sheet: Sheet) -> list[str]:
    """The columns that the rows of a sheet bring."""
    if sheet.names is None:
        return []
    names = [row[0] for row in database.rows(f"from {pulled(sheet.names)}")]
    if len(names) > NAMES_MAX:
        raise PermanentError(
            "too_many_columns",
            f"The sheet '{sheet.name}' of a file would have {len(names)} columns besides its own, above {NAMES_MAX}: ask for fewer rows a file.",
        )
    return names
