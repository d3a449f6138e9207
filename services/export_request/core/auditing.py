"""Turns audit messages into entries of chains, and rows into what the API shows. What is shown is what is hashed: shared/audit_chain.py."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import rfc8785

from shared.audit_chain import OPERATOR, Head, linked
from shared.clock import instant
from shared.errors import PermanentError
from shared.messages import AuditEntry

TEXT_MAX, PURPOSE_MAX = 300, 1_000


@dataclass(frozen=True)
class Noted:
    """A message's content, as it may be kept. `details` is text in RFC 8785 form."""

    message_id: str
    org_id: str
    at: datetime
    actor: str
    address: str
    action: str
    subject: str
    details: str
    purpose: str


@dataclass(frozen=True)
class Link:
    """An entry in its place."""

    noted: Noted
    seq: int
    prev_hash: bytes
    hash: bytes


def noted(message_id: str, entry: AuditEntry) -> Noted:
    """Raises PermanentError where it names no time; anything else is kept as it is, or as near to it as can be."""
    at = _instant(entry.at)
    org_id = OPERATOR if entry.org_id is None else _short(entry.org_id)
    return Noted(
        _identity(message_id), org_id, at, _short(entry.actor), _short(entry.address), _short(entry.action), _short(entry.subject), _canonical(entry.details),
        _short(entry.purpose, PURPOSE_MAX),
    )  # fmt: skip


def _identity(message_id: str) -> str:
    """Ours are short; whatever else comes has to fit into an index."""
    fits = len(message_id) <= TEXT_MAX and message_id.isprintable()
    return message_id if fits else hashlib.sha256(message_id.encode("utf-8", "surrogatepass")).hexdigest()


def _instant(text: str) -> datetime:
    """To the millisecond, as it is shown."""
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is not None:
            return at.astimezone(UTC).replace(microsecond=at.microsecond // 1000 * 1000)
    except (ValueError, OverflowError):
        pass
    raise PermanentError("undecodable", "The entry's time is no RFC 3339 time.", "at")


def _short(text: str, length_max: int = TEXT_MAX) -> str:
    """What an index and PostgreSQL's text can hold."""
    text = text.replace("\x00", "\ufffd")
    return text if len(text) <= length_max else text[: length_max - 1] + "…"


def _canonical(details: str) -> str:
    """What has no canonical form (a number beyond 2^53, no JSON at all) is kept as text inside one that has."""
    try:
        return rfc8785.dumps(json.loads(details or "{}")).decode()
    except (ValueError, RecursionError):
        return rfc8785.dumps({"text": details}).decode()


def chained(heads: Mapping[str, Head], entries: Iterable[Noted]) -> list[Link]:
    """The entries behind their chains' heads, in the order in which they come."""
    last = dict(heads)
    links = []
    for each in entries:
        entry = linked(last.get(each.org_id, Head()), _content(each))
        last[each.org_id] = Head(entry["seq"], entry["hash"])
        links.append(Link(each, entry["seq"], bytes.fromhex(entry["prev_hash"]), bytes.fromhex(entry["hash"])))
    return links


def _content(each: Noted) -> dict[str, Any]:
    return {
        "at": instant(each.at), "org_id": None if each.org_id == OPERATOR else each.org_id, "actor": each.actor, "address": each.address,
        "action": each.action, "subject": each.subject, "details": json.loads(each.details), "purpose": each.purpose,
    }  # fmt: skip


def view(row: Mapping[str, Any]) -> dict[str, Any]:
    """A stored entry as it was hashed, with its hash."""
    shown = _content(Noted("", *(row[name] for name in ("org_id", "at", "actor", "address", "action", "subject", "details", "purpose"))))
    return {"seq": row["seq"], **shown, "prev_hash": row["prev_hash"].hex(), "hash": row["hash"].hex()}
