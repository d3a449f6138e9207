"""Which dead letters of a partition were sent again: an offset that says "all before", and ranges beyond it.

Kept in the group's committed offset and its metadata text, so that it lies where Kafka's own tools show it.
"""

from dataclasses import dataclass

METADATA_CHARS_MAX = 4000  # the broker takes 4,096 (offset.metadata.max.bytes)
SCATTERED_MAX = 100  # letters remembered at once: what `is_full` leaves room for


@dataclass(frozen=True)
class Memory:
    """`before`: every offset below was sent again. `ranges`: inclusive, sorted, apart, all above `before`."""

    before: int
    ranges: tuple[tuple[int, int], ...] = ()

    def __contains__(self, offset: int) -> bool:
        return offset < self.before or any(first <= offset <= last for first, last in self.ranges)

    def count_within(self, start: int, end: int) -> int:
        """How many of the offsets in [start, end) were sent again."""
        beyond = sum(max(0, min(last + 1, end) - max(first, start)) for first, last in self.ranges)
        return max(0, min(self.before, end) - start) + beyond

    def with_sent(self, offset: int) -> "Memory":
        return self if offset in self else _joined(self.before, [*self.ranges, (offset, offset)])

    def from_start(self, start: int) -> "Memory":
        """What remains to know once the broker has forgotten everything before `start`."""
        return _joined(max(self.before, start), list(self.ranges))

    @property
    def metadata(self) -> str:
        return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in self.ranges)

    @property
    def is_full(self) -> bool:
        """Whether SCATTERED_MAX more offsets, none beside another, might be more than the broker keeps."""
        return len(self.metadata) > METADATA_CHARS_MAX - 20 * SCATTERED_MAX


def parse(offset: int, metadata: str | None) -> Memory:
    """The memory in a committed offset (-1: none) and its metadata; text that isn't ours counts as none."""
    ranges = []
    for part in (metadata or "").split(","):
        first, _, last = part.partition("-")
        if first.isdecimal() and (last.isdecimal() or not last):
            ranges.append((int(first), int(last or first)))
    return _joined(max(offset, 0), ranges)


def _joined(before: int, ranges: list[tuple[int, int]]) -> Memory:
    kept: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if first <= before:
            before = max(before, last + 1)
        elif kept and first <= kept[-1][1] + 1:
            kept[-1] = (kept[-1][0], max(kept[-1][1], last))
        else:
            kept.append((first, last))
    return Memory(before, tuple(kept))
