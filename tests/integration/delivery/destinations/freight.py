"""Shipments and ledgers for carriers, without an engine."""

import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

from services.delivery.destinations.carrier import Parcel, Shipment

PIECE = 1 << 20
NAMES = {
    "org_id": "org_acme", "dataset": "messages", "path": "message", "export_id": "exp_01", "schedule_id": "none", "year": "2026", "month": "03", "day": "01",
    "hour": "00", "from": "2026-03-01T00-00-00", "to": "2026-03-02T00-00-00",
}  # fmt: skip


@dataclass
class Kept:
    """A ledger in memory. `before_sent`: called before a file is noted as there."""

    notes: dict[str, str] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    before_sent: Callable[[], None] = lambda: None

    def is_sent(self, name: str) -> bool:
        return name in self.places

    def note(self, name: str) -> str | None:
        return self.notes.get(name)

    async def keep(self, name: str, note: str) -> None:
        self.notes[name] = note

    async def sent(self, name: str, place: str) -> None:
        self.before_sent()
        assert name not in self.places
        self.places[name] = place


@dataclass
class Source:
    """A file's bytes. `reads`: from where it was read; `pause`: awaited before the piece at this many bytes."""

    content: bytes
    reads: list[int] = field(default_factory=list)
    taken: int = 0
    before_piece: Callable[[int], object] | None = None

    def parcel(self, name: str = "messages.csv", media_type: str = "text/csv") -> Parcel:
        return Parcel(name, len(self.content), hashlib.sha256(self.content).hexdigest(), media_type, self.read)

    async def read(self, start: int) -> AsyncIterator[bytes]:
        self.reads.append(start)
        for at in range(start, len(self.content), PIECE):
            if self.before_piece is not None and (waits := self.before_piece(at)) is not None:
                await waits  # type: ignore[misc]
            piece = self.content[at : at + PIECE]
            self.taken += len(piece)
            yield piece


def shipment(parcels: Sequence[Parcel], delivery_id: str = "dlv_01", recipients: Sequence[str] | None = None) -> Shipment:
    return Shipment(
        delivery_id, "exp_01", NAMES, parcels, "{}", lambda name: f"https://waybill.example/v1/downloads/{name}?t=1", recipients
    )
