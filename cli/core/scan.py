"""Compares a file with what its manifest claims in one pass over its bytes, with memory that doesn't depend on its size."""

import hashlib
from collections.abc import Sequence
from itertools import groupby

from cli.core.manifests import Claim, Region
from cli.core.problems import Problem


class Scan:
    """Is fed a file's bytes in order, in pieces of any size; `problems` at the end says what of it is wrong."""

    def __init__(self, claim: Claim) -> None:
        self._claim = claim
        self._whole, self._own = hashlib.sha256(), hashlib.sha256()
        self._at = 0
        self._next = 0  # the region that is being read
        self._wrong: list[tuple[int, str]] = []  # regions that differ, with the sha256 that they have

    def feed(self, piece: bytes | memoryview) -> None:
        view = memoryview(piece)
        self._whole.update(view)
        while view and self._next < len(self._claim.regions):
            region = self._claim.regions[self._next]
            taken = view[: region.end - self._at]
            self._own.update(taken)
            self._at += len(taken)
            view = view[len(taken) :]
            if self._at == region.end:
                self._close(region)
        self._at += len(view)

    def _close(self, region: Region) -> None:
        found = self._own.hexdigest()
        if found != region.sha256:
            self._wrong.append((self._next, found))
        self._own = hashlib.sha256()
        self._next += 1

    def problems(self) -> list[Problem]:
        """Where the file differs, in the order of its bytes. Neighbours that differ are one problem."""
        claim = self._claim
        found = [
            self._differ([index for _, (index, _) in run]) for _, run in groupby(enumerate(self._wrong), lambda each: each[1][0] - each[0])
        ]
        if self._at < claim.bytes:
            missing = claim.regions[self._next :]
            what = f"the file ends after {self._at:,} of {claim.bytes:,} bytes" + (
                f", in the middle of {_called(missing[:1])}" if missing else ""
            )
            found.append(self._problem("file_short", what, missing, self._at, claim.bytes))
        elif self._at > claim.bytes:
            what = f"the file has {self._at:,} bytes, {self._at - claim.bytes:,} more than the manifest says"
            found.append(self._problem("file_long", what, (), claim.bytes, self._at))
        if not found and self._whole.hexdigest() != claim.sha256:
            what = (
                "all of its parts are right and the whole is not: the manifest contradicts itself"
                if claim.regions
                else "its sha256 differs"
            )
            what += f" (it is {self._whole.hexdigest()}, the manifest says {claim.sha256})"
            found.append(self._problem("sha256_differs", what, (), 0, claim.bytes))
        return found

    def _differ(self, indexes: Sequence[int]) -> Problem:
        regions = [self._claim.regions[index] for index in indexes]
        what = f"{_called(regions)} differ{'s' if len(regions) == 1 else ''}"
        if len(regions) == 1:
            has = next(sha256 for index, sha256 in self._wrong if index == indexes[0])
            what += f": the sha256 is {has}, the manifest says {regions[0].sha256}"
        elif self._at != self._claim.bytes and indexes[-1] == self._next - 1:
            what += ", to the end: bytes were put in or taken out there"
        return self._problem("bytes_differ", what, regions, regions[0].start, regions[-1].end)

    def _problem(self, code: str, what: str, regions: Sequence[Region], start: int, end: int) -> Problem:
        parts = [region for region in regions if region.part is not None]
        where = f"bytes {start:,} to {end - 1:,}: " if end > start else ""
        return Problem(
            code, f"{self._claim.name}: {where}{what}.", self._claim.name, tuple(r.part for r in parts if r.part is not None), start, max(start, end - 1),
            parts[0].first_key if parts else None, parts[-1].last_key if parts else None,
        )  # fmt: skip


def _called(regions: Sequence[Region]) -> str:
    """What the regions are, in words: `part 3`, `parts 3 to 9`, `the separator before part 4`."""
    parts = [region.part for region in regions if region.part is not None]
    if len(parts) > 1:
        return f"parts {parts[0]} to {parts[-1]}"
    if parts:
        return f"part {parts[0]}"
    names = {
        "head": "what stands before the first part",
        "separator": "what stands between two parts",
        "tail": "what stands behind the last part",
    }
    return names.get(regions[0].what, "the file without rows")
