"""A record's line looked at from outside: enough to key it, no more; the server decides about the rest."""

from dataclasses import dataclass

import orjson

RECORD_BYTES_MAX = 1024 * 1024
TYPES = frozenset(
    [
        "lead",
        "contact",
        "channel",
        "agent",
        "team",
        "bot",
        "topic",
        "tag",
        "campaign",
        "conversation",
        "message",
        "event",
        "lock",
        "presence",
        "visit",
    ]
)


@dataclass(frozen=True)
class Envelope:
    """`value` is the line as it goes out; `type` and `id` make the key with `org_id`."""

    org_id: str | None
    type: str
    id: str
    value: bytes


@dataclass(frozen=True)
class Broken:
    """Why a line is no record."""

    code: str
    field: str
    message: str


def look(line: bytes, org_id: str | None) -> Envelope | Broken:
    """The envelope of `line`, with `org_id` put in where the record has none (in front, all other bytes as they are)."""
    if len(line) > RECORD_BYTES_MAX:
        return Broken("too_large", "", f"The record is longer than {RECORD_BYTES_MAX} bytes.")
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return Broken("invalid_json", "", f"Not JSON: {error}.")
    if type(record) is not dict:
        return Broken("invalid_record", "", "A record is a JSON object.")
    kind, ident, own = record.get("type"), record.get("id"), record.get("org_id")
    if kind not in TYPES:
        return Broken("invalid_record", "type", f"{'Missing' if kind is None else 'Unknown'}; one of {', '.join(sorted(TYPES))}.")
    if type(ident) is not str or not 1 <= len(ident) <= 128:
        return Broken("invalid_record", "id", "A text of 1 to 128 characters is required.")
    if own is None:
        if org_id is None:
            return Envelope(None, kind, ident, line)
        if "org_id" in record:
            return Broken("invalid_record", "org_id", "Must be text; leave it out to have it put in.")
        return Envelope(org_id, kind, ident, b'{"org_id":' + orjson.dumps(org_id) + b"," + line.lstrip()[1:])
    if type(own) is not str:
        return Broken("invalid_record", "org_id", "Must be text.")
    if org_id is not None and own != org_id:
        return Broken("invalid_record", "org_id", f"The record says '{own}', --org says '{org_id}'.")
    return Envelope(own, kind, ident, line)
