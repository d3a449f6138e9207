"""Avro single-object encoding: marker C3 01, the schema's CRC-64-AVRO fingerprint (8 bytes, little endian), the body.

A reader finds the writer's schema by its fingerprint among those in `schemas/messages/` (current) and `schemas/messages/history/`
(every older version), so no registry is needed. Source: Avro 1.12 specification, "Single-object encoding".

A reader doesn't know the versions that come after it. So while two releases run side by side, the newer one writes as the older one
reads (`write_for`): `schemas/releases/` says which versions a release reads.
"""

import dataclasses
import functools
import io
import json
import types
import typing
from pathlib import Path
from typing import Any

import fastavro
from fastavro.schema import fingerprint, to_parsing_canonical_form

from shared.errors import PermanentError
from shared.messages import MESSAGES, Message

MARKER = b"\xc3\x01"
SCHEMAS = Path(__file__).resolve().parent.parent / "schemas" / "messages"
RELEASES = SCHEMAS.parent / "releases"
# What `encode` writes where it isn't the current version: message name → (fingerprint, parsed schema). Set once, at the start of a process.
_written: dict[str, tuple[bytes, Any]] = {}


def schema_fingerprint(schema: dict[str, Any]) -> bytes:
    """The 8 bytes that name a schema; fastavro gives them as the hex of the little-endian bytes."""
    return bytes.fromhex(fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO"))


@functools.cache
def _current() -> dict[str, tuple[bytes, Any]]:
    """Message name → (fingerprint, parsed schema) of the version that this code writes."""
    loaded = {}
    for name in MESSAGES:
        schema = json.loads((SCHEMAS / f"{name}.avsc").read_text("utf-8"))
        loaded[name] = (schema_fingerprint(schema), fastavro.parse_schema(schema))
    return loaded


@functools.cache
def _known() -> dict[bytes, tuple[str, Any]]:
    """Fingerprint → (message name, parsed schema) of every version that this code can read."""
    known = {mark: (name, schema) for name, (mark, schema) in _current().items()}
    for path in sorted((SCHEMAS / "history").glob("*.avsc")):
        schema = json.loads(path.read_text("utf-8"))
        known[schema_fingerprint(schema)] = (schema["name"], fastavro.parse_schema(schema))
    return known


def releases() -> list[str]:
    """The names of the releases that this code can run beside, the oldest first."""
    found = {path.stem: json.loads(path.read_text("utf-8"))["at"] for path in RELEASES.glob("*.json")}
    return sorted(found, key=lambda name: found[name])


def write_for(release: str) -> None:
    """From now on write what `release` reads; empty: this code's own versions. A message that the release doesn't know is written as it is."""
    _written.clear()
    if release:
        marks: dict[str, str] = json.loads((RELEASES / f"{release}.json").read_text("utf-8"))["messages"]
        _written.update({name: (bytes.fromhex(mark), _known()[bytes.fromhex(mark)][1]) for name, mark in marks.items()})


def encode(message: Message) -> bytes:
    name = type(message).__name__
    mark, schema = _written.get(name) or _current()[name]
    out = io.BytesIO()
    out.write(MARKER + mark)
    fastavro.schemaless_writer(out, schema, message.to_record())
    return out.getvalue()


def decode(data: bytes) -> Message:
    """The message in `data`. Raises PermanentError `undecodable` for anything else."""
    if data[:2] != MARKER or len(data) < 10:
        raise PermanentError("undecodable", "The message is not in Avro single-object encoding.")
    if data[2:10] not in _known():
        raise PermanentError(
            "undecodable", f"No schema with the fingerprint {data[2:10].hex()} is known here; is this service older than the writer?"
        )
    name, writer = _known()[data[2:10]]
    try:
        record = fastavro.schemaless_reader(io.BytesIO(data[10:]), writer, _current()[name][1])
    except Exception as error:
        raise PermanentError("undecodable", f"The body is not a {name}: {type(error).__name__}.") from error
    return typing.cast(Message, _build(MESSAGES[name], record))


def _build(cls: Any, record: Any) -> Any:
    """`record` as the dataclass `cls`, nested dataclasses in lists too."""
    return cls(**{name: record[name] if plain else _value(hint, record[name]) for name, hint, plain in _fields(cls)})


@functools.cache
def _fields(cls: type[Any]) -> tuple[tuple[str, Any, bool], ...]:
    """Name and type of each field, and whether it is taken as Avro gives it; worked out once, as it takes longer than the rest of a message."""
    hints = typing.get_type_hints(cls)
    return tuple((f.name, hints[f.name], typing.get_origin(hints[f.name]) is not list) for f in dataclasses.fields(cls))


def _value(hint: Any, value: Any) -> Any:
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union) or value is None:
        return value
    if origin is list and dataclasses.is_dataclass(item := typing.get_args(hint)[0]):
        return [_build(item, each) for each in value]
    return value
