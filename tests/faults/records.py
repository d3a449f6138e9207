"""Records as the load sends them, and the rules of `version` worked out once more, from what was sent and nothing else."""

import json
import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

PULSES = 12  # leads, and as many messages, that change together in one atomic request
DAY = "2026-03-{:02d}T{:02d}:{:02d}:{:02d}.{:03d}Z"
# The field of each type that tells which version of a record this is; the columns are docs/records.md's.
MARKED = {"lead": "name", "contact": "name", "conversation": "description", "message": "content", "agent": "name", "tag": "name"}


@dataclass(frozen=True)
class Record:
    """One record of an organisation. `number` places it in time; `bulk`: how many bytes of text come with it."""

    type: str
    id: str
    mark: str
    op: str = "upsert"
    version: int | None = None
    number: int = 0
    bulk: int = 0


@dataclass(frozen=True)
class Held:
    """What is known of an id: whether a row is there, the highest version seen, the mark of the last that applied; `last` is that record."""

    there: bool
    version: int | None
    mark: str | None
    erased: bool = False
    last: Record | None = None


def newest(sent: Iterable[Record]) -> dict[tuple[str, str], Held]:
    """What must be held once all of `sent` has been taken, in this order. Written from the contract, not from the service's code."""
    held: dict[tuple[str, str], Held] = {}
    for record in sent:
        key = record.type, record.id
        before = held.get(key, Held(False, None, None))
        if record.op == "erase":
            held[key] = Held(False, before.version, None, True)
        elif before.erased or (record.version is not None and before.version is not None and record.version <= before.version):
            continue
        else:
            highest = max((v for v in (before.version, record.version) if v is not None), default=None)
            held[key] = Held(True, highest, record.mark, last=record) if record.op == "upsert" else Held(False, highest, None)
    return held


def current(sent: Iterable[Record]) -> dict[tuple[str, str], tuple[int | None, str | None]]:
    """(type, id) → (version, mark) of every row that must be there."""
    return {key: (held.version, held.mark) for key, held in newest(sent).items() if held.there}


def current_data(sent: Iterable[Record], token: str) -> dict[tuple[str, str], dict[str, Any]]:
    """(type, id) → what its newest version says, of every row that must be there."""
    return {key: data_of(held.last, token) for key, held in newest(sent).items() if held.there and held.last}


def envelope(record: Record, token: str, org_id: str | None = None) -> dict[str, Any]:
    """The record as it is sent; `token` is in every text of the organisation, and in none of another."""
    shown: dict[str, Any] = {"type": record.type, "id": record.id, "op": record.op}
    if record.version is not None:
        shown["version"] = record.version
    if org_id is not None:
        shown["org_id"] = org_id
    if record.op == "upsert":
        shown["data"] = data_of(record, token)
    return shown


def line(record: Record, token: str, org_id: str | None = None) -> bytes:
    return json.dumps(envelope(record, token, org_id), separators=(",", ":")).encode()


def mark_text(record: Record, token: str) -> str:
    """The text of the marked field: read back by `read_mark`, searched for in files."""
    bulk = random.Random(f"{token}/{record.id}/{record.mark}").randbytes(record.bulk // 2).hex() if record.bulk else ""
    return f"{token}:{record.mark};{bulk}"


def read_mark(text: str | None, token: str) -> str | None:
    """The mark in a text; the text itself where it is none of ours."""
    if text is None or not text.startswith(f"{token}:"):
        return text
    return text[len(token) + 1 :].partition(";")[0]


def data_of(record: Record, token: str) -> dict[str, Any]:
    """What a record says. What scores follow from is another from version to version."""
    n = record.number
    dice = random.Random(f"{record.type} {record.id} {record.mark}")
    at = DAY.format(1 + n % 28, n % 24, n % 60, (n * 7) % 60, n % 1000)
    data: dict[str, Any] = {MARKED[record.type]: mark_text(record, token)}
    match record.type:
        case "lead":
            data |= {"email": f"{record.id}@{token}.example", "created_at": at, "tags": [token], "custom_properties": {"n": n}}
            data |= {
                "title": dice.choice(("", "CEO")),
                "status": dice.choice(("new", "new", "lost")),
                "last_intent": dice.choice(("", "pricing")),
            }
            data |= {"phone": dice.choice(("", "+32470123456")), "company": dice.choice(("", f"{token} Ltd"))}
        case "contact":
            data |= {"created_at": at, "primary_identifier": f"{token}-{n}"}
        case "conversation":
            data |= {
                "created_at": at,
                "contact_id": f"contact_{n % 5}",
                "lead_id": f"pulse_{n % PULSES}",
                "meeting_booked": dice.random() < 0.5,
                "url": f"https://{token}.example/{n}",
            }
        case "message":
            kind = ("visitor", "agent", "ai")[n % 3]
            data |= {"created_at": at, "conversation_id": f"conversation_{n % 7}", "sender": {"kind": kind, "id": f"agent_{n % 3}"}}
    return data
