"""The hash chain of the audit trail: what an entry's hash is over, and what breaks a chain. docs/audit.md says it for whoever checks with a script of their own.

An entry is a JSON object. Its `hash` is the SHA-256, in hexadecimal, of the RFC 8785 form of the object without the member `hash`. Among what is hashed are
`seq`, which counts from 1 in each organisation's chain, and `prev_hash`, the hash of the entry before (sixty-four zeros for the first).
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import rfc8785

ORIGIN = "0" * 64
OPERATOR = "@operator"  # the operator's own chain, where chains have names; no organisation's id has an @
_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Head:
    """The newest entry of a chain; of an empty one `seq` is 0."""

    seq: int = 0
    hash: str = ORIGIN


@dataclass(frozen=True)
class Break:
    """What is wrong at an entry. `code` is the machine's word: changed, removed, repeated, moved, relinked, malformed."""

    code: str
    seq: int | None
    message: str


def entry_hash(entry: Mapping[str, Any]) -> str:
    """Raises rfc8785.CanonicalizationError for what has no such form."""
    return hashlib.sha256(rfc8785.dumps({name: value for name, value in entry.items() if name != "hash"})).hexdigest()


def linked(head: Head, content: Mapping[str, Any]) -> dict[str, Any]:
    """`content` as the entry behind `head`."""
    entry = {**content, "seq": head.seq + 1, "prev_hash": head.hash}
    return {**entry, "hash": entry_hash(entry)}


class Checker:
    """Takes the entries of one organisation in order, and says what breaks their chain; it goes on behind a break, so that one doesn't hide another.

    `start`: the entry before the first one that comes, where it is known and isn't the chain's beginning. None: wherever the first one begins.
    """

    def __init__(self, start: Head | None) -> None:
        self.org_id: Any = None
        self.head = start
        self.entries = 0

    def take(self, entry: Any) -> Iterator[Break]:
        problem = _malformed(entry)
        if problem is not None:
            yield Break("malformed", None, f"behind entry {self.head.seq if self.head else 0}: {problem}")
            return
        seq, whole = entry["seq"], _fits(entry)
        if not whole:
            yield Break("changed", seq, "its content is not what its hash was made of")
        if self.entries and entry.get("org_id") != self.org_id:
            yield Break("moved", seq, "it belongs to another organisation's chain")
        yield from self._place(seq, entry["prev_hash"])
        self.org_id, self.entries = entry.get("org_id"), self.entries + 1
        if self.head is None or seq > self.head.seq:
            self.head = Head(seq, entry["hash"])

    def _place(self, seq: int, before: str) -> Iterator[Break]:
        last = self.head
        if last is None:
            return
        if seq <= last.seq:
            yield Break("repeated", seq, f"it comes behind entry {last.seq}: it was moved there, or is there twice")
        elif seq > last.seq + 1:
            missing = f"entry {last.seq + 1} is" if seq == last.seq + 2 else f"entries {last.seq + 1} to {seq - 1} are"
            yield Break("removed", last.seq + 1, f"{missing} missing: entry {seq} follows entry {last.seq}")
        elif before != last.hash:
            yield Break("relinked", seq, f"it does not follow entry {last.seq} as that one is now: one of the two was made anew")


def _fits(entry: Mapping[str, Any]) -> bool:
    try:
        return bool(entry_hash(entry) == entry["hash"])
    except (rfc8785.CanonicalizationError, RecursionError):
        return False


def _malformed(entry: Any) -> str | None:
    if not isinstance(entry, Mapping):
        return "it is no JSON object"
    if not isinstance(entry.get("seq"), int) or isinstance(entry["seq"], bool) or entry["seq"] < 1:
        return "seq is no whole number from 1 on"
    for name in ("prev_hash", "hash"):
        if not isinstance(entry.get(name), str) or not _HASH.fullmatch(entry[name]):
            return f"{name} is not 64 hexadecimal digits"
    return None
