"""Which columns of a chunk hold nothing but texts that no format has to look at, one by one: asked of all bytes of a column at once."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shared.formats.base import Quiet

_BYTES_MAX = 32_767  # of a cell that fits everywhere, whatever is in it
_SPACE = 0x20
_SEEN = (b"&", b"<", b">", b"\\")  # markup, escapes of JSON
# What a spreadsheet program takes for an escape, the two characters that are none (U+FFFE, U+FFFF; others begin as they do), white space at the ends of a JSON text.
_PAIRS = (b"_x", b"\xef\xbf", b'" ', b' "')

_NOTHING = Quiet(full=False, unquoted=True)


def quiet_columns(facts: pa.Table) -> dict[str, Quiet]:
    """The columns of texts, or lists of texts, in which no character means anything to XML or JSON but a quotation mark, none is a control character, no text
    begins or ends with a space, and none is long, nor a list with commas between its texts."""
    found = {}
    for name, column in zip(facts.column_names, facts.columns, strict=True):
        known = [_known(chunk) for chunk in column.chunks]
        quiet = [each for each in known if each is not None]
        if len(quiet) == len(known):
            found[name] = Quiet(all(each.full for each in quiet), all(each.unquoted for each in quiet))
    return found


def _known(column: pa.Array) -> Quiet | None:
    """Null where the column isn't quiet."""
    texts = column.flatten() if _is_list(column) else column
    if not pa.types.is_large_string(texts.type):
        return None
    _, offsets, data = texts.buffers()
    if data is None or not len(texts):
        return _NOTHING
    places = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    if _cell_bytes(column, places).max() > _BYTES_MAX:
        return None
    held = bytes(memoryview(data)[places[0] : places[-1]])
    if not held:
        return _NOTHING
    characters = np.frombuffer(held, np.uint8)
    if any(found in held for found in _SEEN) or any(_holds(characters, held, pair) for pair in _PAIRS):
        return None
    # Where a text is empty these are its neighbours' first and last characters, which are looked at anyway.
    firsts = characters[np.minimum(places[:-1] - places[0], len(held) - 1)]
    lasts = characters[np.maximum(places[1:] - places[0] - 1, 0)]
    spaced = (firsts == _SPACE).any() or (lasts == _SPACE).any()
    if spaced or characters.min() < _SPACE:
        return None
    return Quiet(texts is column and not texts.null_count and bool(np.diff(places).min()), b'"' not in held)


def _is_list(column: pa.Array) -> bool:
    return bool(pa.types.is_list(column.type) or pa.types.is_large_list(column.type))


def _cell_bytes(column: pa.Array, places: np.ndarray) -> np.ndarray:
    """How many bytes each cell has whose texts begin at `places`: those of a list stand in one cell, with commas between them."""
    ends, commas = places[1:], np.zeros(1, np.int64)
    if _is_list(column):
        commas = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
        ends = places[np.cumsum(commas)]
    cells: np.ndarray = np.diff(ends, prepend=places[0]) + commas
    return cells


def _holds(characters: np.ndarray, held: bytes, pair: bytes) -> bool:
    """Faster than a search for two bytes of which one is frequent."""
    return pair[:1] in held and pair[1:] in held and bool(((characters[:-1] == pair[0]) & (characters[1:] == pair[1])).any())
