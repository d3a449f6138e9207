"""Which superseded versions may go: none that an instant sees which is kept, or which may still be asked for.

A version lives from the transaction that added it up to the one that ended it. A snapshot `xmin:xmax:…` sees whatever ended before `xmin`, and nothing from
`xmax` on; what lies between, it names. All that is said here follows from these two numbers alone, so it holds however transactions overlap.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Stretch = tuple[int, int]  # of transactions that ended versions: from, and up to


@dataclass(frozen=True, order=True)
class Instant:
    """A stored pg_snapshot."""

    xmin: int
    xmax: int
    text: str

    @classmethod
    def read(cls, text: str) -> "Instant":
        xmin, xmax, _ = text.split(":", 2)
        return cls(int(xmin), int(xmax), text)


def instants(texts: Iterable[str]) -> list[Instant]:
    return sorted({Instant.read(text) for text in texts})


def stretches(looked_to: int, before: int, kept_then: Sequence[Instant], kept: Sequence[Instant]) -> list[Stretch]:
    """Where something may go now that wasn't looked at, or was kept, in the last whole round: that one went up to `looked_to`, and kept `kept_then`.

    What only an instant saw that is kept no more, ended from its xmin on, and before the xmax of any that is kept and began after it: that one would see it too.
    """
    found = [(looked_to, before)]
    for gone in sorted(set(kept_then) - set(kept)):
        later = [k.xmax for k in kept if k.xmin >= gone.xmax]
        found.append((gone.xmin, min([before, *later])))
    return _merged(found)


def _merged(found: Iterable[Stretch]) -> list[Stretch]:
    merged: list[Stretch] = []
    for start, end in sorted(found):
        if start >= end:
            continue
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def watching(kept: Sequence[Instant], start: int, end: int) -> list[str]:
    """Of the kept instants, sorted, those that decide over versions that ended in [start, end): all that began before the end, but for those after which another
    began and ended before the start. Whatever of these versions one of the latter sees, that other one sees too."""
    before_end = [k for k in kept if k.xmin < end]
    latest = max((k for k in before_end if k.xmax <= start), default=None)
    return [k.text for k in before_end if latest is None or k.xmax > latest.xmin or k == latest]


def arrivals_before(before: int, kept: Sequence[Instant]) -> int:
    """Up to where nobody asks any more which ids were new: no instant from before it can be measured from."""
    return min([before, *(k.xmin for k in kept)])
