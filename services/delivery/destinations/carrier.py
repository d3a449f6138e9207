"""The port that every type of destination implements; one contract suite runs over all of them (tests/contract/destinations).

A type has two modules of its own, found by its name: `core/destinations/types/<type>.py` (a `Kind`: which fields it has, what may stand in them) and
`destinations/carriers/<type>.py` (its `Carrier`).
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True)
class Place:
    """A destination as its carrier needs it. `config` is as its `Kind` checked it, defaults filled in; `secrets` are opened."""

    id: str
    org_id: str
    config: Mapping[str, Any]
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Parcel:
    """A file to bring. `read(start)` gives its bytes from there on in pieces of at most 1 MiB, flat in memory; it raises TransientError where our own
    store is away (which is nobody's fault over there, and no attempt of the destination's)."""

    name: str
    size: int  # bytes
    sha256: str
    media_type: str
    read: Callable[[int], AsyncIterator[bytes]] = field(repr=False)


@dataclass(frozen=True)
class Shipment:
    """All files of one export, in order. `names` fills templates (core/destinations/templates.py); `event` is the payload that webhooks of
    export.completed carry (thin); `links` signs a link to a file by its name, for people without a key."""

    delivery_id: str
    export_id: str
    names: Mapping[str, str]
    parcels: Sequence[Parcel]
    event: str = field(repr=False)
    link: Callable[[str], str] = field(repr=False)
    recipients: Sequence[str] | None = None  # of a request's own e-mail addresses
    links_until: datetime | None = None  # when links end


class Ledger(Protocol):
    """What of a delivery is known to be there, kept in the database: an attempt after a crash goes on where the last one was."""

    def is_sent(self, name: str) -> bool: ...
    def note(self, name: str) -> str | None:
        """What was last kept for the file, by whichever attempt."""
        ...

    async def keep(self, name: str, note: str) -> None:
        """Before what can't be found again without it: an upload's id."""
        ...

    async def sent(self, name: str, place: str) -> None:
        """The file is there, whole, under this name (for people: a path, a URL without secrets, an address)."""
        ...


class Carrier(Protocol):
    """Both methods raise Undelivered, and nothing else for what the other side does. They hold to the address guard, and to their own time-outs
    (connection, silence). A cancelled call leaves nothing open."""

    async def probe(self, place: Place) -> str:
        """Do what a delivery does with a small file of its own, and remove it. Answers where it was (for people)."""
        ...

    async def carry(self, place: Place, shipment: Shipment, ledger: Ledger) -> None:
        """Bring every file that isn't known to be there. Never the same file twice, and never a half one under its name, also after `kill -9` at any moment."""
        ...

    async def abandon(self, place: Place, notes: Mapping[str, str]) -> None:
        """A delivery was given up, or its destination is about to go: take away what is half there, by what was kept of its files that weren't sent
        (name → note). Raises Undelivered where that can't be done; what is gone already is no error, and a delivery that is asked for again begins anew."""
        ...

    async def close(self) -> None: ...
