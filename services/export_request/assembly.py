"""Tells delivery which parts come next in which file."""

import base64
import functools
import importlib.metadata
import json
from collections.abc import Sequence
from typing import Any

from services.export_request.core.track import (
    DELETED,
    DELETED_FROM,
    Run,
    Tracked,
    file_key,
    file_name,
    manifest_name,
    numbering_known,
    runs,
)
from services.export_request.effects import Row
from services.export_request.frames import frame_of
from services.export_request.queries import load, rows
from shared.clock import instant
from shared.database import Connection
from shared.datasets import deleted
from shared.datasets import registry as datasets
from shared.datasets.deleted import PREFIX
from shared.datasets.plan import PlanSpec
from shared.datasets.redaction import told
from shared.formats import protection
from shared.formats import registry as formats
from shared.formats.base import Frame
from shared.formats.compression import MEDIA_TYPES
from shared.messages import AssembleFile, AssemblyPart
from shared.outbox import Outgoing, internal
from shared.topics import EXPORT_ASSEMBLIES


@functools.lru_cache(maxsize=256)
def spec_of(text: str) -> PlanSpec:
    return PlanSpec.model_validate_json(text)


def parts_of(spec: PlanSpec) -> list[str]:
    """What a chunk has a part of, and each file number a file: every format, and of a delta every format's deletions."""
    return [*spec.formats, *(f"{PREFIX}{name}" for name in spec.formats if spec.since)]


class Assembly:
    """Finds the runs that can go out and marks them as sent, under the lock of their export's row."""

    def __init__(self) -> None:
        self._queries = load()

    async def send(self, connection: Connection, row: Row, file_numbers: Sequence[int] | None, closes: bool = False) -> list[Outgoing]:
        """The commands for what is ready in these files (None: in all).

        `closes`: the plan became complete in this transaction, so files whose parts are all with delivery are to be closed now.
        """
        spec = spec_of(row["spec"])
        if not numbering_known(spec.max_rows_per_file, row["files_planned"], row["planned"]):
            return []
        unsent = await rows(self._queries.unsent(connection, export_id=row["id"], file_numbers=file_numbers))
        closing = range(1, row["files_planned"] + 1) if closes else ()
        found = runs([Tracked(c["number"], c["file_number"], c["done"], len(c["parts"] or "")) for c in unsent], row["planned"], closing)
        chunks = {c["number"]: c for c in unsent}
        numbers = [number for run in found for number in run.numbers]
        if numbers:
            await self._queries.mark_sent(connection, export_id=row["id"], numbers=numbers)
        messages = []
        for run in found:
            taken = [(chunks[n]["position"], {p["format"]: p for p in json.loads(chunks[n]["parts"])}) for n in run.numbers]
            messages += [
                _command(row, spec, name, run, [_part(position, parts[name]) for position, parts in taken]) for name in parts_of(spec)
            ]
        return messages


def _part(position: int, part: dict[str, Any]) -> AssemblyPart:
    p = part
    note = base64.b64decode(p["note"]) if p.get("note") else None
    return AssemblyPart(position, p["key"], p["rows"], p["bytes"], p["sha256"], p["first_key"], p["last_key"], p.get("crc32"), note)


def _command(row: Row, spec: PlanSpec, format_name: str, run: Run, parts: list[AssemblyPart]) -> Outgoing:
    frame, gone = _frame(row["spec"], format_name), format_name.startswith(PREFIX)
    format_name = format_name.removeprefix(PREFIX)
    number = run.file_number
    split = spec.max_rows_per_file is not None and row["files_planned"] > 1
    name, media_type = published_as(row, spec, format_name, number if split else None, DELETED if gone else None)
    closing = {"files_total": row["files_planned"] * len(parts_of(spec)), "manifest": _manifest(row)} if run.last else {}
    command = AssembleFile(
        export_id=row["id"], org_id=row["org_id"], format=format_name, file_number=number + (DELETED_FROM if gone else 0), name=name, media_type=media_type,
        key=file_key(row["org_id"], row["id"], name), head=frame.head, separator=frame.separator, tail=frame.tail, empty=frame.empty,
        parts=parts, last=run.last, express=row["express"],
        manifest_key=file_key(row["org_id"], row["id"], manifest_name(spec.dataset, row["id"])),
        expires_at=str(instant(row["expires_at"])), sftp_folder=row["sftp_folder"], **closing,
    )  # fmt: skip
    return internal(EXPORT_ASSEMBLIES, row["id"], command)


def published_as(row: Row, spec: PlanSpec, format_name: str, number: int | None = None, stem: str | None = None) -> tuple[str, str]:
    """A file's name and media type; `number` where the export is split, `stem` in place of the name that the export's files have."""
    kind = formats.get(format_name)
    stem = stem or row["file_stem"] or f"{spec.dataset}_{row['id']}"
    compression = kind.compression(spec)
    name = file_name(stem, kind.extension, compression, number)
    return protection.published(kind, name) if row["protected"] else (name, MEDIA_TYPES.get(compression, kind.media_type))


@functools.lru_cache(maxsize=256)
def _frame(spec_text: str, format_name: str) -> Frame:
    spec = spec_of(spec_text)
    if format_name.startswith(PREFIX):
        return frame_of(deleted.spec_of(datasets.get(spec.dataset), spec), format_name.removeprefix(PREFIX))
    return frame_of(spec, format_name)


@functools.cache
def versions() -> dict[str, str]:
    """What made the file, for the manifest."""
    return {"waybill": importlib.metadata.version("waybill"), "manifest": "2"}


def _manifest(row: Row) -> str:
    """The manifest but for its files, which delivery knows. `reproduces`: what the files have to be, before it may be said."""
    claim = {"export_id": row["rerun_of"], "files_sha256": row["reproduces_sha256"]} if row["reproduces_sha256"] else None
    return json.dumps(
        {
            "export_id": row["id"], "request": json.loads(row["request"]), "snapshot": row["snapshot"], "versions": versions(),
            "rows_planned": row["rows_planned"], "excluded": json.loads(row["excluded"]),
            **({"reproduces": claim} if claim else {}), **_since(row), **_redaction(row),
        },
        ensure_ascii=False, separators=(",", ":"),
    )  # fmt: skip


def _since(row: Row) -> dict[str, Any]:
    """What a delta is measured from."""
    since = spec_of(row["spec"]).since
    return {"since": {"export_id": since.export_id, "snapshot": since.snapshot}} if since else {}


def _redaction(row: Row) -> dict[str, Any]:
    """What was redacted and how often, for the manifest of an export that has a redaction."""
    spec = spec_of(row["spec"])
    if spec.redaction is None:
        return {}
    columns = datasets.get(spec.dataset).redactable(spec)
    counts = json.loads(row["redacted"]) if row["redacted"] is not None else None
    return {"redaction": told(columns, spec.redaction, counts)}
