"""That the peer writes what Waybill writes: both files read by DuckDB, every cell and the order of rows compared by one hash."""

from pathlib import Path

import duckdb

from tests.bench.peers.duck import KEYS, TIMES


def fingerprint(path: Path) -> tuple[int, int]:
    """(rows, hash over all cells and places). An empty text and none count as the same, times in any notation as their instant in UTC."""
    names = ", ".join(f"'{key}'" for key in KEYS)
    cells = [f"epoch_ms(replace({key}, '+00', '')::TIMESTAMP)" if key in TIMES else f"coalesce({key}, '')" for key in KEYS]
    query = (
        f"SELECT count(*), sum(hash(place, {', '.join(cells)})::HUGEINT) FROM (SELECT *, row_number() OVER () AS place FROM "
        f"read_csv(?, header = false, skip = 1, all_varchar = true, names = [{names}], delim = ',', quote = '\"', escape = '\"'))"
    )
    with duckdb.connect(config={"threads": 2}) as connection:
        row = connection.execute(query, [str(path)]).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])
