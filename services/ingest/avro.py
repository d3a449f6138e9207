"""Records in Avro single-object encoding: the envelope's fields as in schemas/messages/public/RecordEnvelope.avsc, `data` as JSON text."""

import io
import json
from pathlib import Path
from typing import Any

import fastavro
import msgspec

from shared.codec import MARKER, schema_fingerprint
from shared.errors import PermanentError

SCHEMA = Path(__file__).resolve().parents[2] / "schemas" / "messages" / "public" / "RecordEnvelope.avsc"
_schema = json.loads(SCHEMA.read_text("utf-8"))
_parsed = fastavro.parse_schema(_schema)
_mark = MARKER + schema_fingerprint(_schema)


def encode(envelope: dict[str, Any]) -> bytes:
    """An envelope, its `data` already JSON text (or missing), as a message."""
    out = io.BytesIO()
    out.write(_mark)
    fastavro.schemaless_writer(out, _parsed, envelope)
    return out.getvalue()


def as_json(value: bytes) -> bytes:
    """The message as the same record in JSON. Raises PermanentError `undecodable`."""
    if value[:10] != _mark:
        raise PermanentError("undecodable", "not a RecordEnvelope in Avro single-object encoding")
    body = io.BytesIO(value[10:])
    try:
        envelope: Any = fastavro.schemaless_reader(body, _parsed, None)
    except Exception as error:
        raise PermanentError("undecodable", f"the body is not a RecordEnvelope: {type(error).__name__}") from error
    if body.read(1):
        raise PermanentError("undecodable", "bytes are left behind the RecordEnvelope")
    data = envelope.pop("data", None)
    text = json.dumps({name: item for name, item in envelope.items() if item is not None}, ensure_ascii=False)
    if data is None:
        return text.encode()
    try:
        msgspec.json.decode(data)  # a whole JSON text by itself, so that it can't close the envelope early
    except (ValueError, RecursionError) as error:
        raise PermanentError("invalid_json", "is not valid JSON", "data") from error
    return f'{text[:-1]}, "data": {data}}}'.encode()
