"""Bytes in, a valid record out, or the reason why not. Fast ways that answer only what they are sure of, and a careful one that names the field.
They agree.

The fast ways parse with msgspec, which lets the last of two equal keys win. So they count: the quotation marks followed by a colon in the
bytes are the keys, or more (a text may contain them, its quotation mark escaped), never fewer (a blank before a colon goes the careful
way). Where the count is that of the parsed keys, no key was there twice. The fastest parses straight into the type's fields and counts those that are
not null; with a null, its count falls short, and a dict is parsed first.
"""

import functools
import operator
import re
from typing import Any, Literal, cast

import msgspec

from services.ingest.core import types as t
from services.ingest.core.free import Suspicious, count_keys
from services.ingest.core.instants import instant
from services.ingest.core.problems import problem_of
from services.ingest.core.rows import RECORD_TYPES, RecordType, Row, WrongTogether
from shared import strictjson
from shared.errors import PermanentError

Op = Literal["upsert", "delete", "erase"]

_parse = msgspec.json.Decoder().decode
_values = msgspec.structs.astuple
_blank_before_colon = re.compile(rb'"[ \t\r\n]+:').search
_control_character = re.compile("[\x00-\x1f\x7f-\x9f]").search
_ENVELOPES: dict[str, Any] = {name: t.envelope_of(kind.data) for name, kind in RECORD_TYPES.items()}
_KINDS: dict[Any, RecordType] = {t.tagged_envelope_of(name, kind.data): kind for name, kind in RECORD_TYPES.items()}
TAGGED = tuple(_KINDS)
_parse_tagged = msgspec.json.Decoder(functools.reduce(operator.or_, _KINDS)).decode
_FREE_LEVEL = 3  # the record is level 1, its data 2


class Record(msgspec.Struct, frozen=True, gc=False):
    """A valid record. `row` holds its columns (RecordType.columns) for an upsert, and is null for a delete or an erasure."""

    type: str
    id: str
    op: Op
    version: int | None
    org_id: str | None
    row: Row | None


def decode(raw: bytes) -> Record:
    """The record in one JSON text. Raises PermanentError with code, message and the field's dotted path from the envelope."""
    if len(raw) <= t.TEXT_BYTES_MAX and b"\\u0000" not in raw and _blank_before_colon(raw) is None:
        try:
            return _into_columns(raw) or _by_dict(raw)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, Suspicious, PermanentError):
            pass  # the careful way finds it again, and says what it is
    return _carefully(raw)


def _into_columns(raw: bytes) -> Record | None:
    """Null where a key is null, or twice, or looks as if."""
    envelope = _parse_tagged(raw)
    kind = _KINDS[type(envelope)]
    return _record(kind, envelope) if _fields_given(kind, envelope) == raw.count(b'":') else None


def _by_dict(raw: bytes) -> Record:
    value = _parse(raw)
    kind = RECORD_TYPES[value["type"]]
    if _keys(kind, value) != raw.count(b'":'):
        raise Suspicious
    return _record(kind, msgspec.convert(value, _ENVELOPES[kind.name]))


def _fields_given(kind: RecordType, envelope: Any) -> int:
    """The keys of a record that are not null; its type is one, though no field."""
    keys = 1 + _given(envelope)
    data = envelope.data
    if data is None:
        return keys
    keys += _given(data)
    for name in kind.parts:
        if (part := getattr(data, name)) is not None:
            keys += _given(part)
    for name in kind.free:
        if free := getattr(data, name):
            keys += count_keys(free, _FREE_LEVEL) if type(free) is dict else sum([_given(item) for item in free])
    return keys


def _given(struct: Any) -> int:
    values = _values(struct)
    return len(values) - values.count(None)


def _keys(kind: RecordType, value: dict[str, Any]) -> int:
    """All keys of a parsed record. Raises AttributeError or TypeError where an object isn't one."""
    keys = len(value)
    data = value.get("data")
    if data is None:
        return keys
    keys += len(data)
    for name in kind.parts:
        if part := data.get(name):
            keys += len(part)
    for name in kind.free:
        if free := data.get(name):
            keys += count_keys(free, _FREE_LEVEL)
    return keys


def _record(kind: RecordType, envelope: Any) -> Record:
    op: Op = envelope.op or "upsert"
    if not 1 <= len(envelope.id) <= t.ID_CODE_POINTS_MAX or (not envelope.id.isprintable() and _control_character(envelope.id)):
        raise PermanentError("invalid_value", f"must be 1–{t.ID_CODE_POINTS_MAX} characters, none of them a control character", "id")
    if op == "upsert":
        if envelope.data is None:
            raise PermanentError("missing_field", "is required", "data")
        return Record(kind.name, envelope.id, op, envelope.version, envelope.org_id, kind.row(envelope.data))
    if envelope.data is not None:
        raise PermanentError("invalid_value", f"must be left out: the op is '{op}'", "data")
    if op == "erase" and not kind.can_be_erased:
        raise PermanentError("invalid_value", "'erase' is for leads and contacts", "op")
    return Record(kind.name, envelope.id, op, envelope.version, envelope.org_id, None)


# ---- the careful way


def _carefully(raw: bytes) -> Record:
    if len(raw) > t.RECORD_BYTES_MAX:
        raise too_large()
    try:
        value = strictjson.loads(raw)
    except strictjson.JsonProblem as problem:
        raise PermanentError("invalid_json", problem.message, problem.field) from problem
    _check_limits(value, "")
    kind = _kind_of(value)
    if value.get("op") in ("delete", "erase") and value.get("data") is not None:
        raise PermanentError("invalid_value", f"must be left out: the op is '{value['op']}'", "data")
    try:
        envelope = msgspec.convert(value, _ENVELOPES[kind.name])
    except msgspec.ValidationError as error:
        raise problem_of(str(error), _ENVELOPES[kind.name]) from error
    _check_data(kind, envelope.data)
    return _record(kind, envelope)


def too_large() -> PermanentError:
    return PermanentError("too_large", f"the record is larger than {t.RECORD_BYTES_MAX} bytes")


def _kind_of(value: Any) -> RecordType:
    if not isinstance(value, dict):
        raise PermanentError("invalid_value", "a record is a JSON object")
    name = value.get("type")
    if name is None:
        raise PermanentError("missing_field", "is required", "type")
    if not isinstance(name, str) or name not in RECORD_TYPES:
        raise PermanentError("invalid_value", f"must be one of {', '.join(RECORD_TYPES)}", "type")
    return RECORD_TYPES[name]


def _check_data(kind: RecordType, data: Any) -> None:
    """What the shape alone can't say: timestamps, intervals, what an event of this kind must hold."""
    if data is None:
        return
    for attribute, field in kind.instants.items():
        text = getattr(data, attribute)
        if text is not None:
            try:
                instant(text)
            except ValueError as error:
                raise PermanentError("invalid_value", str(error), f"data.{field}") from error
    if isinstance(data, t.Event) and (model := t.EVENT_KINDS.get(data.kind)):
        try:
            msgspec.convert(data.data or {}, model)
        except msgspec.ValidationError as error:
            raise problem_of(str(error), model, "data.data") from error
    try:
        kind.row(data)
    except WrongTogether as error:
        raise PermanentError("invalid_value", str(error), f"data.{error.field}") from error


def _check_limits(value: Any, path: str) -> None:
    """Long texts and long lists, by path."""
    if isinstance(value, str):
        if len(value) > t.TEXT_BYTES_MAX // 4 and len(value.encode()) > t.TEXT_BYTES_MAX:
            raise PermanentError("too_large", f"the text is larger than {t.TEXT_BYTES_MAX} bytes", path)
        return
    if isinstance(value, list) and len(value) > t.LIST_ENTRIES_MAX:
        raise PermanentError("too_large", f"the list has more than {t.LIST_ENTRIES_MAX} entries", path)
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in cast(Any, items):
        _check_limits(item, f"{path}.{key}" if path else str(key))
