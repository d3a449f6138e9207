"""The manifest: what an export's files are, and of which parts, in RFC 8785 canonical form."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import rfc8785

from services.delivery.core.assembly import FileId
from shared.messages import AssemblyPart, PublishedFile


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


def file_entry(name: str, media_type: str, rows: int, size: int, sha256: str, parts: Sequence[AssemblyPart]) -> str:
    """The file as the manifest shows it, with the parts that hold its rows."""
    shown = [_without_key(part) for part in parts if part.rows]
    return json.dumps({"name": name, "media_type": media_type, "rows": rows, "bytes": size, "sha256": sha256, "parts": shown})


def _without_key(part: AssemblyPart) -> dict[str, Any]:
    return {name: value for name, value in asdict(part).items() if name != "key"}


def in_order(files: Sequence[WholeFile], base: Mapping[str, Any]) -> list[WholeFile]:
    """By format, in the order in which they were asked for where the manifest's request says so, then by number."""
    request = base.get("request")
    asked = request.get("formats") if isinstance(request, dict) else None
    rank = {name: place for place, name in enumerate(asked)} if isinstance(asked, list) else {}
    return sorted(files, key=lambda f: (rank.get(f.id.format, len(rank)), f.id.format, f.id.number))


def build(base: str, files: Sequence[WholeFile]) -> tuple[bytes, list[PublishedFile]]:
    """The manifest's bytes, and the files as the event tells them. Raises ValueError where `base` is no JSON object."""
    document = json.loads(base or "{}")
    if not isinstance(document, dict):
        raise ValueError("the manifest is not a JSON object")
    ordered = in_order(files, document)
    document["files"] = [json.loads(f.entry) for f in ordered]
    published = [PublishedFile(f.id.format, f.id.number, f.name, f.media_type, f.rows, f.bytes, f.sha256) for f in ordered]
    return rfc8785.dumps(document), published
