"""Arrow batches as they come from DuckDB: back in order, and as bytes."""

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shared.errors import PermanentError


def in_order(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same rows in order of their `_n` (0, 1, 2 …). Rows may be out of order by a few thousand: what came early waits.

    Raises PermanentError where a row is missing or there twice: a part is whole or it isn't one.
    """
    expected, waiting = 0, None
    for batch in batches:
        if waiting is not None:
            batch = pa.concat_batches([waiting, batch])
        numbers = batch.column("_n").to_numpy()
        if not _runs(numbers, expected):
            batch = batch.take(pa.array(np.argsort(numbers, kind="stable")))
            numbers = batch.column("_n").to_numpy()
        ready = int(np.count_nonzero(numbers == np.arange(expected, expected + len(numbers))))
        waiting = batch.slice(ready) if ready < len(numbers) else None
        expected += ready
        if ready:
            yield batch.slice(0, ready)
    if waiting is not None:
        raise PermanentError("format_failed", f"Row {expected} of a chunk is missing or there twice.")


def _runs(numbers: np.ndarray, expected: int) -> bool:
    return bool(numbers[0] == expected and numbers[-1] == expected + len(numbers) - 1 and np.all(np.diff(numbers) == 1))


def text_bytes(column: pa.Array) -> memoryview:
    """The bytes of all texts of an Arrow string column, one behind the other, without a copy. It must hold no null."""
    _, offsets, data = column.buffers()
    if data is None or not len(column):
        return memoryview(b"")
    places = memoryview(offsets).cast("q" if pa.types.is_large_string(column.type) else "i")
    return memoryview(data)[places[column.offset] : places[column.offset + len(column)]]


def array_text(texts: pa.Array) -> str:
    """PostgreSQL's text of an array of texts, none of which is null."""
    texts = texts.cast(pa.string())
    for special in ("\\", '"'):
        texts = pc.replace_substring(texts, special, "\\" + special)
    whole = pa.ListArray.from_arrays(pa.array([0, len(texts)], pa.int32()), texts)
    joined = pc.binary_join(whole, '","')[0].as_py()
    return f'{{"{joined}"}}' if len(texts) else "{}"
