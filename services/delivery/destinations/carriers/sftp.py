"""Files to SFTP servers: under a temporary name, renamed once they are whole. An attempt after a break goes on where the last one was confirmed."""

import asyncio
import hashlib
import posixpath
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

import asyncssh

from services.delivery.core.destinations.pins import pins_of
from services.delivery.core.destinations.problems import Code, Undelivered
from services.delivery.core.destinations.resuming import Note, part_name, read_note, start_at
from services.delivery.core.destinations.templates import fill
from services.delivery.core.destinations.types.sftp import KIND
from services.delivery.destinations.carrier import Carrier, Ledger, Parcel, Place, Shipment
from services.delivery.destinations.pouring import piece_max_of, pour
from services.delivery.destinations.remote import Remote
from services.delivery.destinations.sessions import Sessions
from services.delivery.destinations.ssh import Account
from services.delivery.guard import Guard
from services.delivery.settings import Settings

SILENCE_SECONDS = 60.0  # so long a server may say nothing to a request
# What one file may take: so long, and longer by its size. Slower servers would keep others waiting.
FILE_SECONDS, BYTES_A_SECOND_MIN = 300.0, 16 << 10


def make(settings: Settings) -> Carrier:
    return SftpCarrier(Guard(settings.destination_addresses))


class SftpCarrier:
    """`silence_seconds`: so long a server may say nothing to a request. `file_seconds`: what a file may take, besides what its size makes it longer."""

    def __init__(self, guard: Guard, silence_seconds: float = SILENCE_SECONDS, file_seconds: float = FILE_SECONDS) -> None:
        self._guard, self._silence_seconds, self._file_seconds = guard, silence_seconds, file_seconds
        self._sessions = Sessions(guard, silence_seconds)

    async def probe(self, place: Place) -> str:
        async with self._sessions.anew(place.id, _account(place)) as remote:
            inner = "/" in place.config["path"] or (place.config["path"] and "{file}" not in place.config["path"])
            await remote.try_out(place.config["directory"], f".waybill-test-{secrets.token_hex(6)}", bool(inner))
        return KIND.where(place.config)

    async def carry(self, place: Place, shipment: Shipment, ledger: Ledger) -> None:
        left = [parcel for parcel in shipment.parcels if not ledger.is_sent(parcel.name)]
        if not left:
            return
        async with self._sessions.at(place.id, _account(place)) as remote:
            for parcel in left:
                path = posixpath.join(place.config["directory"], fill(place.config["path"], shipment.names, parcel.name))
                errand = Errand(
                    parcel, path, posixpath.join(posixpath.dirname(path), part_name(posixpath.basename(path), shipment.delivery_id))
                )
                seconds = self._file_seconds + 2 * parcel.size / BYTES_A_SECOND_MIN  # it may be read once, and written once
                try:
                    async with asyncio.timeout(seconds):
                        await self._bring(remote, place, errand, ledger)
                except TimeoutError as error:
                    raise Undelivered(Code.timeout, f"{remote.where} did not take {parcel.name} within {seconds:.0f} seconds.") from error
                await ledger.sent(parcel.name, _shown(place, path))

    async def abandon(self, place: Place, notes: Mapping[str, str]) -> None:
        parts = [note.part for note in map(read_note, notes.values()) if note is not None]
        if parts:
            async with self._sessions.at(place.id, _account(place)) as remote:
                for part in parts:
                    await remote.remove_if_there(part)

    async def close(self) -> None:
        await self._sessions.close()
        await self._guard.close()

    async def _bring(self, remote: Remote, place: Place, errand: "Errand", ledger: Ledger) -> None:
        """One file, unless it is there."""
        parcel, note = errand.parcel, read_note(ledger.note(errand.parcel.name))
        if note is not None and note.part != errand.part:
            await remote.remove_if_there(note.part)  # the destination's path was changed in between
        size_there, part_size = await remote.size(errand.path), await remote.size(errand.part)
        if size_there is not None:
            if await self._is_ours(remote, errand, note, size_there, part_size):
                await remote.remove_if_there(errand.part)
                return
            if not place.config["overwrite"]:
                await remote.remove_if_there(errand.part)
                raise Undelivered(
                    Code.rejected, f"There is another file called {_shown(place, errand.path)}, and it is not replaced: move it away, or set overwrite.", again=False
                )  # fmt: skip
        elif note is not None and note.placing and note.part == errand.part and part_size is None:
            return  # it had got its name before we could say so, and whom it was for has taken it away
        await self._write(remote, place, errand, note, part_size, ledger)
        await ledger.keep(parcel.name, Note(errand.part, placing=True).text)
        await remote.rename(errand.part, errand.path, replacing=size_there is not None)

    async def _is_ours(self, remote: Remote, errand: "Errand", note: Note | None, size_there: int, part_size: int | None) -> bool:
        """Whether the file that is there is the one to be brought. Where it may not be read, what we know of our own last step decides."""
        if size_there != errand.parcel.size:
            return False
        digest = hashlib.sha256()
        try:
            async for piece in remote.read(errand.path, size_there):
                digest.update(piece)
        except Undelivered as error:
            if error.code is not Code.permission_denied:
                raise
            return note is not None and note.part == errand.part and note.placing and part_size is None
        return digest.hexdigest() == errand.parcel.sha256

    async def _write(
        self, remote: Remote, place: Place, errand: "Errand", note: Note | None, part_size: int | None, ledger: Ledger
    ) -> None:
        """All of its bytes, in the temporary file."""
        parcel, mode = errand.parcel, place.config.get("file_mode")
        start = start_at(note, errand.part, part_size, parcel.size)
        await ledger.keep(parcel.name, Note(errand.part).text)
        await remote.make_directory(posixpath.dirname(errand.path))
        async with remote.writing(errand.part, start, int(mode, 8) if mode else None) as (target, begin):
            try:
                end = await pour(target, parcel.read(begin), begin, piece_max_of(remote.write_bytes_max), self._silence_seconds)
            except (asyncssh.Error, OSError) as error:
                raise await remote.unwritten(error, errand.part, parcel.size - begin) from error
            await remote.settle(target, errand.part)
        there = await remote.size(errand.part)
        if not end == there == parcel.size:
            await remote.remove_if_there(errand.part)
            raise Undelivered(Code.disconnected, f"{remote.where} has {there} bytes of {parcel.name} in place of {parcel.size}.")


@dataclass(frozen=True)
class Errand:
    """A file, its path there, and the one of its temporary file."""

    parcel: Parcel
    path: str
    part: str


def _account(place: Place) -> Account:
    config = place.config
    return Account(config["host"], config["port"], config["username"], pins_of(config["host_keys"]), place.secrets)


def _shown(place: Place, path: str) -> str:
    return f"{KIND.where({**place.config, 'directory': ''})}{path.lstrip('/')}"
