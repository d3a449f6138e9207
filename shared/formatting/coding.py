"""What stands in another table, beside the facts: by numbers of its rows, without a join."""

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc


@dataclass(frozen=True)
class Numbers:
    """Which row of a table each fact has, by the fact's key, with the table's rows in order of their keys: so the same facts give the same numbers."""

    order: pa.Array
    numbers: pa.Array

    @staticmethod
    def of(facts: pa.DictionaryArray, keys: pa.Array) -> "Numbers":
        """`facts`: each one's key; `keys`: those of the table's rows, each once, in any order. A fact without a key has the row of '', or none."""
        order = pc.sort_indices(keys)
        ordered = keys.take(order)
        numbers = pc.index_in(facts.dictionary.cast(keys.type), value_set=ordered).take(facts.indices)
        if facts.null_count and len(ordered) and not ordered[0].as_py():
            numbers = numbers.fill_null(0)
        return Numbers(order, numbers)

    def coded(self, values: pa.Array) -> pa.DictionaryArray:
        """A column of the table, of texts, as one of the facts."""
        encoded = values.take(self.order).cast(pa.string()).dictionary_encode()
        return pa.DictionaryArray.from_arrays(encoded.indices.take(self.numbers), encoded.dictionary)


def attached(ids: pa.ChunkedArray, rows: pa.Table) -> pa.Array:
    """The second column of `rows`, each where its first one is among `ids`; null where there is none."""
    keys, values = (column.combine_chunks() for column in rows.columns)
    return values.take(pc.index_in(ids.combine_chunks(), value_set=keys))
