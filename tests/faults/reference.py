"""An export's files once more, by the engine in this process, with nobody in the way: the same plan and snapshot, no Kafka, no store, no proxy.

The plan is the export's row (spec and snapshot) and the bounds in its manifest; the range behind the last part is left open, so rows that the
parts missed are in the reference. What the snapshot itself must hold is judged without the engine, by records that change together (oracle.py).
"""

import hashlib
import itertools
import json
from collections.abc import Mapping
from typing import Any

from services.export_request.frames import frame_of
from shared.datasets.plan import Key, PlanSpec
from shared.formatting.engine import FormatEngine


class Buffer:
    """A sink in memory."""

    def __init__(self) -> None:
        self.data = bytearray()

    def write(self, data: bytes | memoryview, /) -> None:
        self.data += data


class Reference:
    """Formats on one connection; `dsn` is PostgreSQL as the formatter's role."""

    def __init__(self, dsn: str) -> None:
        self._engine = FormatEngine(dsn)

    def close(self) -> None:
        self._engine.close()

    def sha256s(self, row: Mapping[str, Any], format_name: str, files: list[Mapping[str, Any]]) -> list[str]:
        """What each of the files of one format, as the manifest shows them in order, must hash to. `row`: of exports.exports."""
        spec = PlanSpec.model_validate_json(row["spec"])
        frame = frame_of(spec, format_name)
        made: list[str] = []
        lower: Key | None = None
        for place, file in enumerate(files):
            uppers: list[Key | None] = [_key(part["last_key"]) for part in file["parts"]]
            if spec.compression == "none":
                uppers = uppers[-1:]  # without members, a part's bounds don't show
            if place == len(files) - 1:
                uppers[-1:] = [None]
            texts = [self._text(row, spec, format_name, low, up) for low, up in itertools.pairwise([lower, *uppers])]
            whole = frame.head + frame.separator.join(t for t in texts if t) + frame.tail if any(texts) else frame.empty
            made.append(hashlib.sha256(whole).hexdigest())
            lower = uppers[-1]
        return made

    def _text(self, row: Mapping[str, Any], spec: PlanSpec, format_name: str, lower: Key | None, upper: Key | None) -> bytes:
        sink = Buffer()
        result = self._engine.format_chunk(spec, row["org_id"], row["snapshot"], lower, upper, {format_name: sink})[format_name]
        return bytes(sink.data) if result.rows else b""


def _key(text: str) -> Key:
    key: Key = json.loads(text)
    return key
