"""One checksum over all files of an export: what a re-run is compared by."""

import hashlib
from collections.abc import Iterable


def files_sha256(files: Iterable[tuple[str, int, int, str]]) -> str:
    """`files` as (format, number, bytes, sha256), in any order. Names don't count: they carry the export's id."""
    lines = [f"{name} {number} {size} {sha256}\n" for name, number, size, sha256 in sorted(files)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
