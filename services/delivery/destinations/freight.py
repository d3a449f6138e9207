"""What a delivery brings: the export's files as parcels, its names for templates, links for people."""

import json
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta

import asyncpg

from services.delivery.core import links
from services.delivery.core.access import Access, Standing, decide
from services.delivery.core.destinations.names import names_of
from services.delivery.core.destinations.problems import Code, Undelivered
from services.delivery.destinations.carrier import Parcel, Place, Shipment
from services.delivery.destinations.metrics import READ
from services.delivery.destinations.queue import Claim
from services.delivery.destinations.store import Row, load, rows, standing_of
from services.delivery.pieces import Pieces
from services.delivery.threads import Threads
from shared.database import tenant
from shared.sealing import CannotOpen, Seal
from shared.storage import NotThere, ObjectStore

GONE = {
    Access.EXPIRED: "The export has expired: its files are not there any more.",
    Access.MISSING: "The export was deleted or recalled: its files are not there any more.",
}


class Freight:
    """Loads shipments. `link_life`: how long links are good, as long as the export is there."""

    def __init__(
        self, pool: asyncpg.Pool, objects: ObjectStore, threads: Threads, seal: Seal, secret_key: str, public_url: str, link_life: timedelta,
        clock: Callable[[], datetime],
    ) -> None:  # fmt: skip
        self._pool, self._objects, self._threads, self._seal = pool, objects, threads, seal
        self._secret_key, self._public_url, self._link_life, self._clock = secret_key, public_url.rstrip("/"), link_life, clock

    async def load(self, claim: Claim) -> Shipment:
        """Raises Undelivered (`gone`) where there is nothing to bring."""
        async with tenant(self._pool, claim.org_id, readonly=True) as connection:
            row = await load().freight(connection, export_id=claim.export_id)
            files = await rows(load().files(connection, export_id=claim.export_id))
        now = self._clock()
        refuse_gone(standing_of(row), now)
        expires = now + self._link_life if row["held"] else min(row["expires_at"], now + self._link_life)
        names = names_of(
            claim.org_id, claim.export_id, claim.schedule_id, row["dataset"], row["timezone"] or "UTC", row["created_at"], (row["from_at"], row["to_at"])
        )  # fmt: skip
        return Shipment(
            claim.id, claim.export_id, names, [self._parcel(each) for each in files], claim.event,
            lambda name: self._link(claim, name, expires), claim.recipients, expires,
        )  # fmt: skip

    def place(self, row: Row) -> Place:
        """A destination's row, opened. Raises Undelivered where its secrets can't be."""
        return open_place(self._seal, row)

    def _parcel(self, row: Row) -> Parcel:
        key = row["key"]
        return Parcel(row["name"], row["bytes"], row["sha256"], row["media_type"], lambda start: self._read(key, start))

    async def _read(self, key: str, start: int) -> AsyncIterator[bytes]:
        pieces = Pieces(self._objects.read(key, start))
        try:
            while piece := await self._threads.run(pieces.next):
                READ.inc(len(piece))
                yield piece
        except NotThere:
            raise Undelivered(Code.gone, GONE[Access.MISSING], again=False) from None
        finally:
            self._threads.start(pieces.close)  # not awaited: this may be a cancellation

    def _link(self, claim: Claim, name: str, expires: datetime) -> str:
        token = links.sign(self._secret_key, links.Claim(claim.org_id, claim.export_id, name, int(expires.timestamp()), claim.id))
        return f"{self._public_url}/v1/downloads/{token}"


def open_place(seal: Seal, row: Row) -> Place:
    """Raises Undelivered where its secrets can't be opened."""
    secrets = {}
    if row["sealed"] is not None:
        try:
            secrets = json.loads(seal.open(row["sealed"], row["id"]))
        except CannotOpen:
            message = (
                "The destination's secrets were sealed with a key that is not known any more: give them again (PATCH), or ask the operator."
            )
            raise Undelivered(Code.secret_unreadable, message, again=False) from None
    return Place(row["id"], row["org_id"], json.loads(row["config"]), secrets)


def refuse_gone(standing: Standing | None, now: datetime) -> None:
    """Raises Undelivered where the export's files may not be had."""
    access = decide(standing, now)
    if access is not Access.SERVED:
        raise Undelivered(Code.gone, GONE[access], again=False)
