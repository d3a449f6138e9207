"""How bytes become the parts of one S3 multipart upload.

Pure arithmetic on the limits: 5 MiB to 5 GiB a part (the last may be smaller), 10,000 parts.
"""

import itertools
from dataclasses import dataclass

PART_BYTES_MIN = 5 << 20
COPY_BYTES_MAX = 1 << 30  # AWS takes 5 GiB; a GiB copies well within a request's time
PARTS_MAX = 10_000
GROWTH_STEP = 1_000


def least_bytes(parts_used: int, minimum: int = PART_BYTES_MIN) -> int:
    """How large the next part must be at least: it doubles every 1,000 parts, so that 10,000 parts hold about 5 TiB."""
    return minimum << (parts_used // GROWTH_STEP)


@dataclass(frozen=True)
class Composition:
    """What to do with the next object: take its first `lead` bytes as data behind what is buffered, then copy `ranges` [start, end)."""

    lead: int
    ranges: tuple[tuple[int, int], ...]


def compose(buffered: int, size: int, parts_used: int, minimum: int = PART_BYTES_MIN, maximum: int = COPY_BYTES_MAX) -> Composition:
    """Copy as much of an object as the limits allow.

    What is buffered (a head, a separator, small objects) is no part by itself: it is filled up with the object's first bytes, and the rest
    is copied where it is large enough for a part.
    """
    least = least_bytes(parts_used, minimum)
    lead = max(0, least - buffered) if buffered else 0
    if size - lead < least:
        return Composition(size, ())
    pieces = -(-(size - lead) // maximum)
    bounds = [lead + (size - lead) * i // pieces for i in range(pieces + 1)]
    return Composition(lead, tuple(itertools.pairwise(bounds)))
