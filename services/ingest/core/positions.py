"""How far a partition has been written, and what of a batch is new behind it."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace

from services.ingest.core.records import Record


@dataclass(frozen=True)
class Stretch:
    """Records of one partition, each with its offset, in order; `next_offset` lies behind the last message read, whatever became of it."""

    partition: int
    next_offset: int
    offsets: Sequence[int]
    records: Sequence[Record]

    def behind(self, written: int | None) -> "Stretch":
        """What is left of it where offsets below `written` have been written before."""
        if written is None or not self.offsets or self.offsets[0] >= written:
            return self
        first = bisect_left(self.offsets, written)
        return replace(self, offsets=self.offsets[first:], records=self.records[first:])
