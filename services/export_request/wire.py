"""Requests as they come over Kafka: plain JSON, or Avro in single-object encoding with the body as JSON text."""

import functools
import io
import json
from pathlib import Path
from typing import Any

import fastavro

from services.export_request.asking import Request
from shared import strictjson
from shared.codec import MARKER, SCHEMAS, schema_fingerprint
from shared.consumer import Incoming
from shared.errors import PermanentError

PUBLIC = SCHEMAS / "public"
NAME = "ExportRequest"


@functools.cache
def _schemas() -> dict[bytes, Any]:
    """Fingerprint → schema of every version that may come."""
    paths: list[Path] = [PUBLIC / f"{NAME}.avsc", *sorted((PUBLIC / "history").glob(f"{NAME}.*.avsc"))]
    loaded = [json.loads(path.read_text("utf-8")) for path in paths]
    return {schema_fingerprint(schema): fastavro.parse_schema(schema) for schema in loaded}


def request_of(message: Incoming) -> Request:
    """Raises PermanentError `undecodable` for what can't be read, or names no organisation."""
    kind = (message.header("content-type") or "application/json").partition(";")[0].strip().lower()
    if kind == "application/avro":
        return _from_avro(message.value)
    if kind != "application/json":
        raise PermanentError("undecodable", f"'{kind[:80]}' is neither application/json nor application/avro.", "content-type")
    body = _json(message.value)
    if not isinstance(body, dict):
        raise PermanentError("undecodable", "The message is not a JSON object.")
    return _request(body.get("org_id"), body, body.get("request_id"), body.get("requested_by"), len(message.value))


def _from_avro(value: bytes) -> Request:
    schema = _schemas().get(value[2:10]) if value[:2] == MARKER else None
    if schema is None:
        raise PermanentError("undecodable", f"The message is not an {NAME} in Avro single-object encoding.")
    try:
        record: Any = fastavro.schemaless_reader(io.BytesIO(value[10:]), schema, None)
    except Exception as error:
        raise PermanentError("undecodable", f"The body is not an {NAME}: {type(error).__name__}.") from error
    return _request(record["org_id"], _json(record["body"]), record["request_id"], record["requested_by"], len(value))


def _json(text: bytes | str) -> Any:
    try:
        return strictjson.loads(text)
    except strictjson.JsonProblem as problem:
        raise PermanentError("undecodable", problem.message, problem.field) from problem


def _request(org_id: Any, body: Any, request_id: Any, requested_by: Any, size: int) -> Request:
    if not isinstance(org_id, str) or not org_id or "\x00" in org_id:
        raise PermanentError("undecodable", "The message names no organisation.", "org_id")
    return Request(org_id, body, request_id, requested_by, size)
