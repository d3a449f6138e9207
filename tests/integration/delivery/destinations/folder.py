"""A destination that is a folder of this machine, as plain as a carrier can be, and as awkward as a test wants it."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any

from services.delivery.core.destinations.problems import Code, Undelivered
from services.delivery.core.destinations.templates import fill
from services.delivery.destinations.carrier import Ledger, Parcel, Place, Shipment

PIECE = 1 << 16


class FolderCarrier:
    """Goes on behind what is there under a temporary name, then renames. `brought` counts how often each place was made whole.

    `gates`: name → an event that the carrier waits for before each piece of that file; `at_gate` is set as soon as it does. `refusals`: what to answer next,
    one for each call; `refuses`: what to answer for a file, once.
    """

    def __init__(self) -> None:
        self.gates: dict[str, asyncio.Event] = {}
        self.at_gate = asyncio.Event()
        self.refusals: list[Exception] = []
        self.refuses: dict[str, Exception] = {}
        self.brought: Counter[str] = Counter()
        self.bytes_written = 0
        self.abandoned: list[dict[str, str]] = []
        self.secrets: list[Mapping[str, str]] = []
        self.at_once, self.most_at_once = 0, 0
        self.hangs = False
        self.away = False  # when something is to be taken away

    async def probe(self, place: Place) -> str:
        if self.refusals:
            raise self.refusals.pop(0)
        if self.hangs:
            await asyncio.Event().wait()
        return str(place.config.get("folder", place.config.get("host")))

    async def carry(self, place: Place, shipment: Shipment, ledger: Ledger) -> None:
        self.secrets.append(place.secrets)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self.refusals:
                raise self.refusals.pop(0)
            for parcel in shipment.parcels:
                if not ledger.is_sent(parcel.name):
                    await self._bring(Path(place.config["folder"]), place.config.get("path", ""), shipment, parcel, ledger)
        finally:
            self.at_once -= 1

    async def _bring(self, folder: Path, template: str, shipment: Shipment, parcel: Parcel, ledger: Ledger) -> None:
        if parcel.name in self.refuses:
            raise self.refuses.pop(parcel.name)
        path = folder / fill(template, shipment.names, parcel.name)
        half = path.with_name(f".{shipment.delivery_id}.{parcel.name}")
        if path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == parcel.sha256 and ledger.note(parcel.name):
            return await ledger.sent(parcel.name, str(path))  # the attempt before died between the two
        if not path.parent.is_dir():
            path.parent.mkdir(parents=True)
        await ledger.keep(parcel.name, str(half))
        start = half.stat().st_size if half.exists() else 0
        with half.open("ab") as out:
            async with aclosing(parcel.read(start)) as pieces:  # type: ignore[type-var]
                async for piece in pieces:
                    for at in range(0, len(piece), PIECE):
                        await self._gate(parcel.name)
                        self.bytes_written += out.write(piece[at : at + PIECE])
                        out.flush()
        if half.stat().st_size != parcel.size:
            raise Undelivered(Code.disconnected, "It is shorter than it should be.")
        half.rename(path)
        self.brought[str(path)] += 1
        await ledger.sent(parcel.name, str(path))
        return None

    async def _gate(self, name: str) -> None:
        if (gate := self.gates.get(name)) is not None and not gate.is_set():
            self.at_gate.set()
            await gate.wait()

    async def abandon(self, place: Place, notes: Mapping[str, str]) -> None:
        if self.away:
            raise refused()
        self.abandoned.append(dict(notes))
        _unlink(notes.values())

    async def close(self) -> None:
        pass


def _unlink(halves: Iterable[str]) -> None:
    for half in halves:
        Path(half).unlink(missing_ok=True)


def refused(code: Code = Code.refused, again: bool = True, **more: Any) -> Undelivered:
    return Undelivered(code, "Nothing listens there.", again, **more)
