"""Files into S3 buckets: whole under their keys, once, checked by the store against their checksums."""

import contextlib
import hashlib
from collections.abc import Mapping

from services.delivery.core.destinations.problems import Code, Undelivered
from services.delivery.core.destinations.s3.locations import probe_key
from services.delivery.core.destinations.s3.parts import SIZE_MAX, WHOLE_BYTES_MAX, note_of
from services.delivery.core.destinations.templates import fill
from services.delivery.destinations.carrier import Carrier, Ledger, Parcel, Place, Shipment
from services.delivery.destinations.s3.client import Account, S3Client, account_of
from services.delivery.destinations.s3.uploading import GET, Budget, Means, Upload, abort, object_headers, put
from services.delivery.destinations.web import SILENCE_SECONDS, Web, content_of
from services.delivery.guard import Guard
from services.delivery.settings import Settings

KEY_BYTES_MAX = 1024
MEMORY_BYTES = 64 << 20  # for the parts of all deliveries of this process
PROBE = b"Waybill wrote this to test a destination, and takes it away again.\n"


def make(settings: Settings) -> Carrier:
    return S3Carrier(Guard(settings.destination_addresses))


class S3Carrier:
    """`silence_seconds`: so long a store may keep us waiting for anything."""

    def __init__(self, guard: Guard, silence_seconds: float = SILENCE_SECONDS) -> None:
        self._web = Web(guard, silence_seconds)
        self._client = S3Client(self._web)
        self._means = Means(self._client, Budget(MEMORY_BYTES))

    async def probe(self, place: Place) -> str:
        """Who may only write is let off reading and deleting: deliveries need neither. The answer says so."""
        account, key = account_of(place), probe_key(place.config["prefix"], place.org_id, place.id)

        await put(
            self._client, account, key, object_headers(place.config, "text/plain", {}), content_of(PROBE, hashlib.sha256(PROBE).hexdigest())
        )
        found = await self._client.ask(GET, account, "HEAD", key)
        if found.status == 404:
            raise Undelivered(Code.rejected, f"{account.bucket.where} took an object, and doesn't have it: is it an S3 store?")
        try:
            await self._client.do("s3:DeleteObject", account, "DELETE", key)
        except Undelivered as problem:
            if problem.code is not Code.permission_denied:
                raise
            return f"{account.bucket.shown(key)} (it stays: this access key may not do s3:DeleteObject, which deliveries don't need)"
        return account.bucket.shown(key)

    async def carry(self, place: Place, shipment: Shipment, ledger: Ledger) -> None:
        account = account_of(place)
        for parcel in shipment.parcels:
            if not ledger.is_sent(parcel.name):
                key = fill(place.config["prefix"], shipment.names, parcel.name)
                _check(parcel, key, account)
                metadata = {"sha256": parcel.sha256, "export-id": shipment.export_id, "delivery-id": shipment.delivery_id}
                upload = Upload(self._means, account, key, parcel, object_headers(place.config, parcel.media_type, metadata), ledger)
                await self._bring(account, upload, key, parcel, ledger)
                await ledger.sent(parcel.name, account.bucket.shown(key))

    async def _bring(self, account: Account, upload: Upload, key: str, parcel: Parcel, ledger: Ledger) -> None:
        """One file, unless it is there."""
        note = note_of(ledger.note(parcel.name))
        if note is not None and note.key != key:  # the destination's prefix was changed in between
            await abort(self._client, account, note)
            note = None
        if await upload.is_there():
            if note is not None:
                with contextlib.suppress(Undelivered):
                    await abort(self._client, account, note)
        elif parcel.size <= WHOLE_BYTES_MAX:
            await upload.whole()
        else:
            await upload.in_parts(note)

    async def abandon(self, place: Place, notes: Mapping[str, str]) -> None:
        account = account_of(place)
        for note in map(note_of, notes.values()):
            if note is not None:
                await abort(self._client, account, note)

    async def close(self) -> None:
        await self._web.close()


def _check(parcel: Parcel, key: str, account: Account) -> None:
    if len(key.encode()) > KEY_BYTES_MAX:
        raise Undelivered(
            Code.rejected, f"The key {account.bucket.shown(key)} is longer than {KEY_BYTES_MAX} bytes: shorten config.prefix.", again=False
        )
    if parcel.size > SIZE_MAX:
        raise Undelivered(Code.too_large, f"{parcel.name} is larger than the {SIZE_MAX >> 30} GiB that can be brought to S3.", again=False)
