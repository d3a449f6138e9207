"""Files with their manifest, made as delivery makes them, for what a verifier has to cope with."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import rfc8785

from services.delivery.core.assembly import Append, FileId, Layout, Progress, add_part, close
from services.delivery.core.manifest import WholeFile, draft, file_entry
from shared.messages import AssemblyPart
from shared.signing import KEYS_FILE, sign, to_jwks
from tests.unit.cli.fake_api import SIGNER, key_of

EXPORT = "exp_1"
MANIFEST = f"leads_{EXPORT}.manifest.json"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass
class MadeFile:
    """A file's bytes, what the manifest says of it, and where its parts lie: number → (start, end)."""

    name: str
    data: bytes
    whole: WholeFile
    places: dict[int, tuple[int, int]]


def make_file(number: int, bodies: list[bytes], layout: Layout) -> MadeFile:
    """As delivery's writer does, but in memory. An empty body is a part without rows."""
    name = f"leads_{EXPORT}_{number:04d}.csv"
    data, progress = b"", Progress()
    placed: list[tuple[int, AssemblyPart]] = []
    places: dict[int, tuple[int, int]] = {}
    for at, body in enumerate(bodies, 1):
        part = AssemblyPart(at, f"parts/{at}", 2 if body else 0, len(body), sha256(body), f"first{at}", f"last{at}")
        steps, progress = add_part(progress, layout, part)
        for step in steps:
            data += step.data if isinstance(step, Append) else body
        placed.append((len(data) - len(body), part))
        if body:
            places[at] = (len(data) - len(body), len(data))
    data += b"".join(step.data for step in close(progress, layout) if isinstance(step, Append))
    entry = file_entry(name, "text/csv", progress.rows, len(data), sha256(data), placed, layout)
    return MadeFile(
        name, data, WholeFile(FileId(EXPORT, "csv", number), name, "text/csv", progress.rows, len(data), sha256(data), entry), places
    )


@dataclass
class Made:
    """An export in a folder."""

    files: list[MadeFile]
    document: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        planned = sum(f.whole.rows for f in self.files)
        base = {
            "export_id": EXPORT,
            "request": {},
            "snapshot": "1:1:",
            "versions": {"manifest": "2"},
            "rows_planned": planned,
            "excluded": [],
        }
        self.document = sign(draft(json.dumps(base), [f.whole for f in self.files]).document, SIGNER)

    def write(self, folder: Path) -> None:
        for file in self.files:
            (folder / file.name).write_bytes(file.data)
        self.write_manifest(folder, self.document)
        (folder / KEYS_FILE).write_text(json.dumps(to_jwks([key_of(SIGNER)])))

    def write_manifest(self, folder: Path, document: dict[str, Any]) -> None:
        (folder / MANIFEST).write_bytes(rfc8785.dumps(document))

    def resign(self, folder: Path, **changes: Any) -> None:
        """Changed by who holds the key."""
        unsigned = {name: value for name, value in {**self.document, **changes}.items() if name != "signature"}
        self.write_manifest(folder, sign(unsigned, SIGNER))
