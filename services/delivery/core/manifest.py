"""The manifest: what an export's files are, and of which parts, in RFC 8785 canonical form, signed."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import rfc8785

from services.delivery.core.assembly import FileId, Layout
from shared.digests import files_sha256
from shared.errors import PermanentError
from shared.messages import AssemblyPart, PublishedFile
from shared.signing import sign


@dataclass(frozen=True)
class WholeFile:
    """A file that is whole in the store; `bytes` and `sha256` are what `wc -c` and `sha256sum` say of it."""

    id: FileId
    name: str
    media_type: str
    rows: int
    bytes: int
    sha256: str
    entry: str  # as the manifest shows it, JSON


@dataclass(frozen=True)
class Draft:
    """A manifest that may be signed, and the files as the event tells them."""

    document: dict[str, Any]
    published: list[PublishedFile]

    def signed(self, private: bytes) -> bytes:
        return rfc8785.dumps(sign(self.document, private))


def file_entry(
    name: str, media_type: str, rows: int, size: int, sha256: str, parts: Sequence[tuple[int, AssemblyPart]], layout: Layout
) -> str:  # fmt: skip
    """The file as the manifest shows it: its parts, each with the offset where it begins, and what stands around them. Behind those with rows may come what belongs
    to these on other sheets, and what stands between."""
    shown = [{"offset": offset, **_shown(part)} for offset, part in parts if part.rows or not part.key]
    around = ("head", "separator", "tail") if shown else ("empty",)
    frame = {piece: _piece(getattr(layout, piece)) for piece in around}
    return json.dumps(
        {"name": name, "media_type": media_type, "rows": rows, "bytes": size, "sha256": sha256, "frame": frame, "parts": shown}
    )


def encrypted_entry(name: str, media_type: str, rows: int, size: int, sha256: str, parts: Sequence[AssemblyPart]) -> str:
    """An encrypted file as the manifest shows it: in one part, for what lies where inside can't be checked without the password."""
    whole, nothing = {"bytes": size, "sha256": sha256}, _piece(b"")
    shown = (
        [{"offset": 0, "number": 1, "rows": rows, **whole, "first_key": parts[0].first_key, "last_key": parts[-1].last_key}]
        if parts
        else []
    )
    frame = {"head": nothing, "separator": nothing, "tail": nothing} if parts else {"empty": whole}
    return json.dumps(
        {"name": name, "media_type": media_type, "rows": rows, **whole, "encryption": "AES-256", "frame": frame, "parts": shown}
    )


def _piece(data: bytes) -> dict[str, Any]:
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def _shown(part: AssemblyPart) -> dict[str, Any]:
    """Without what is ours alone: where it lay, and how delivery knows it again."""
    return {name: value for name, value in asdict(part).items() if name not in ("key", "crc32", "note")}


def in_order(files: Sequence[WholeFile], base: Mapping[str, Any]) -> list[WholeFile]:
    """By format, in the order in which they were asked for where the manifest's request says so, then by number."""
    request = base.get("request")
    asked = request.get("formats") if isinstance(request, dict) else None
    rank = {name: place for place, name in enumerate(asked)} if isinstance(asked, list) else {}
    return sorted(files, key=lambda f: (rank.get(f.id.format, len(rank)), f.id.format, f.id.number))


def draft(base: str, files: Sequence[WholeFile]) -> Draft:
    """The manifest of whole files. `base` is what export_request says of them.

    Raises PermanentError: `rows_mismatch` where rows planned aren't rows written + rows excluded, `not_reproduced` where a re-run has other bytes,
    `manifest_invalid` where `base` is not what it has to be. Nothing that isn't so is ever signed.
    """
    document = _decoded(base)
    ordered = in_order(files, document)
    try:
        _check_rows(document, ordered)
        if (claim := document.pop("reproduces", None)) is not None:
            document["reproduces"] = _reproduced(claim, ordered)
    except (KeyError, TypeError) as error:
        raise PermanentError("manifest_invalid", "The manifest's rows or claim have another shape.", "manifest") from error
    document["files"] = [{**json.loads(f.entry), "format": f.id.format} for f in ordered]
    published = [PublishedFile(f.id.format, f.id.number, f.name, f.media_type, f.rows, f.bytes, f.sha256) for f in ordered]
    return Draft(document, published)


def _decoded(base: str) -> dict[str, Any]:
    try:
        document = json.loads(base or "{}")
    except ValueError as error:
        raise PermanentError("manifest_invalid", f"The manifest can't be written: {error}", "manifest") from error
    if not isinstance(document, dict):
        raise PermanentError("manifest_invalid", "The manifest is not a JSON object.", "manifest")
    return document


def _check_rows(document: Mapping[str, Any], files: Sequence[WholeFile]) -> None:
    """Complete or not complete, in every format."""
    planned = document.get("rows_planned")
    if planned is None:  # an export_request of a version before: it compares when it hears of the files
        return
    excluded = sum(each["rows"] for each in document.get("excluded", []))
    written: dict[str, int] = defaultdict(int)
    for file in files:
        written[file.id.format] += file.rows
    for name, rows in written.items():
        if rows + excluded != planned:
            raise PermanentError("rows_mismatch", f"{planned} rows were planned, {rows} written as {name} and {excluded} excluded.")


def _reproduced(claim: Mapping[str, str], files: Sequence[WholeFile]) -> str:
    """The export whose bytes these are."""
    if files_sha256((f.id.format, f.id.number, f.bytes, f.sha256) for f in files) != claim["files_sha256"]:
        raise PermanentError("not_reproduced", f"The files are not byte for byte those of {claim['export_id']}.")
    return claim["export_id"]
