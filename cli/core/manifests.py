"""What a manifest claims of its files, read without believing it: every claim has the right shape and agrees with the others, or is named."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cli.core.problems import Problem

VERSION = "2"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAME_FORBIDDEN = re.compile(r"[/\\:\x00-\x1f\x7f]")


@dataclass(frozen=True)
class Region:
    """The bytes [start, end) of a file: a part, or what stands around parts. Between two regions there is nothing."""

    what: str  # part, head, separator, tail, or empty for a file without rows
    start: int
    end: int
    sha256: str
    part: int | None = None
    first_key: str = ""
    last_key: str = ""


@dataclass(frozen=True)
class Claim:
    """A file as a manifest describes it. No regions: the layout makes no sense, so only the whole can be checked."""

    name: str
    format: str
    rows: int
    bytes: int
    sha256: str
    regions: tuple[Region, ...]


class Malformed(ValueError):
    """A manifest's field that isn't what it has to be."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field

    def problem(self, file: str | None = None) -> Problem:
        return Problem("manifest_malformed", f"{self.field}: {self}", file, field=self.field)


def is_plain_name(name: object) -> bool:
    """Whether `name` can only mean a file in the folder at hand."""
    return isinstance(name, str) and 0 < len(name) <= 255 and name not in (".", "..") and not _NAME_FORBIDDEN.search(name)


def read(document: Mapping[str, Any]) -> tuple[list[Claim], list[Problem]]:
    """The claims that can be checked, and what is wrong with the manifest itself."""
    problems: list[Problem] = []
    version = document.get("versions", {}).get("manifest") if isinstance(document.get("versions"), Mapping) else None
    if version != VERSION:
        problems.append(
            Problem(
                "manifest_version", f"The manifest is of version {version!r}; this command reads {VERSION!r}.", field="versions.manifest"
            )
        )
    files = document.get("files")
    if not isinstance(files, list):
        return [], [*problems, Malformed("files", "must be a list").problem()]
    claims: list[Claim] = []
    for place, raw in enumerate(files):
        try:
            claim, wrong = _claim(f"files.{place}", raw)
        except Malformed as malformed:
            problems.append(malformed.problem())
            continue
        if any(claim.name == other.name for other in claims):
            problems.append(Malformed(f"files.{place}.name", "is there twice").problem(claim.name))
        claims.append(claim)
        problems += wrong
    if len(claims) == len(files):
        problems += _rows(document, claims)
    return claims, problems


def _rows(document: Mapping[str, Any], claims: list[Claim]) -> Iterator[Problem]:
    """Planned = written + excluded, in every format."""
    try:
        planned = _whole(document, "rows_planned", "")
        excluded = document.get("excluded")
        if not isinstance(excluded, list) or not all(isinstance(each, Mapping) for each in excluded):
            raise Malformed("excluded", "must be a list of objects")
        left_out = sum(_whole(each, "rows", f"excluded.{place}.") for place, each in enumerate(excluded))
    except Malformed as malformed:
        yield malformed.problem()
        return
    written: dict[str, int] = defaultdict(int)
    for claim in claims:
        written[claim.format] += claim.rows
    for name, rows in written.items():
        if rows + left_out != planned:
            yield Problem(
                "rows_mismatch", f"{planned} rows were planned, {rows} written as {name} and {left_out} excluded.", field="rows_planned"
            )


def _claim(path: str, raw: Any) -> tuple[Claim, list[Problem]]:
    if not isinstance(raw, Mapping):
        raise Malformed(path, "must be an object")
    name = raw.get("name")
    if not isinstance(name, str) or not is_plain_name(name):
        raise Malformed(f"{path}.name", "is no plain file name")
    size, rows, sha256 = _whole(raw, "bytes", f"{path}."), _whole(raw, "rows", f"{path}."), _digest(raw, f"{path}.")
    try:
        regions = _regions(path, raw, size, rows)
        wrong = []
    except Malformed as malformed:
        regions, wrong = (), [malformed.problem(name)]
    return Claim(name, str(raw.get("format", "")), rows, size, sha256, regions), wrong


def _regions(path: str, raw: Mapping[str, Any], size: int, rows: int) -> tuple[Region, ...]:
    """Every byte of the file, in order. Raises Malformed where the parts don't lie as they have to."""
    frame, parts = raw.get("frame"), raw.get("parts")
    if not isinstance(frame, Mapping) or not all(isinstance(piece, Mapping) for piece in frame.values()):
        raise Malformed(f"{path}.frame", "must be an object of objects")
    if not isinstance(parts, list) or not all(isinstance(part, Mapping) for part in parts):
        raise Malformed(f"{path}.parts", "must be a list of objects")
    found: list[Region] = []
    at, counted, number = 0, 0, 0

    def around(what: str) -> None:
        nonlocal at
        piece = frame.get(what, {})
        at = _add(found, Region(what, at, at + _whole(piece, "bytes", f"{path}.frame.{what}."), _digest(piece, f"{path}.frame.{what}.")))

    for place, part in enumerate(parts):
        around("separator" if place else "head")
        where = f"{path}.parts.{place}."
        if _whole(part, "offset", where) != at:
            raise Malformed(f"{where}offset", f"is {part['offset']}, and the bytes before it end at {at}")
        if _whole(part, "number", where) <= number:
            raise Malformed(f"{where}number", f"is {part['number']}, behind part {number}")
        number, counted = part["number"], counted + _whole(part, "rows", where)
        keys = [part.get(name) for name in ("first_key", "last_key")]
        if not all(isinstance(key, str) for key in keys):
            raise Malformed(f"{where}first_key", "first_key and last_key must be text")
        end = at + _whole(part, "bytes", where)
        at = _add(found, Region("part", at, end, _digest(part, where), number, str(keys[0]), str(keys[1])))
    around("tail" if parts else "empty")
    if at != size:
        raise Malformed(f"{path}.bytes", f"is {size}, and the parts with what stands around them make {at}")
    if counted != rows:
        raise Malformed(f"{path}.rows", f"is {rows}, and the parts hold {counted}")
    return tuple(found)


def _add(found: list[Region], region: Region) -> int:
    if region.end > region.start:
        found.append(region)
    return region.end


def _whole(raw: Mapping[str, Any], name: str, path: str) -> int:
    value = raw.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise Malformed(f"{path}{name}", "must be a whole number from 0 on")
    return value


def _digest(raw: Mapping[str, Any], path: str) -> str:
    value = raw.get("sha256")
    if not isinstance(value, str) or not _SHA256.fullmatch(value):
        raise Malformed(f"{path}sha256", "must be 64 hexadecimal digits")
    return value
