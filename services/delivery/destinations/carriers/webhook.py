"""An export's end to a webhook: the event, or each file as the body of a request of its own. A file comes under one webhook-id in every attempt, so that who
got it and couldn't say so knows it again."""

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import datetime

from services.delivery.core.destinations.posting import TEST_EVENT, event_headers, file_headers, file_payload, problem_of
from services.delivery.core.destinations.types.webhook import secret_of
from services.delivery.core.urls import place_of
from services.delivery.core.webhooks.events import payload
from services.delivery.destinations.carrier import Carrier, Ledger, Parcel, Place, Shipment
from services.delivery.destinations.web import SILENCE_SECONDS, Content, Web, content_of, trusting, whole
from services.delivery.guard import Guard
from services.delivery.settings import Settings
from shared.clock import instant, utc_now
from shared.ids import new_id
from shared.observability import current_traceparent
from shared.storage.names import content_disposition

ANSWER_BYTES_MAX = 16 << 10
ANSWER_SECONDS = 15.0  # for an event
TEST_FILE, TEST_TEXT = "waybill-test.txt", b"This is a test: no export has ended.\n"
EVENT = "event"  # its name among what was sent


def make(settings: Settings) -> Carrier:
    return WebhookCarrier(Guard(settings.destination_addresses))


class WebhookCarrier:
    """`silence_seconds`: so long a receiver may keep us waiting while a file goes to it."""

    def __init__(self, guard: Guard, silence_seconds: float = SILENCE_SECONDS, clock: Callable[[], datetime] = utc_now) -> None:
        self._web, self._clock = Web(guard, silence_seconds, clock), clock

    async def probe(self, place: Place) -> str:
        """A test event, or a file of one line that says so in its signed payload: nothing is left to be removed."""
        if place.config["send"] == EVENT:
            told = payload(TEST_EVENT, str(instant(self._clock())), {"destination_id": place.id, "message": TEST_TEXT.decode().strip()})
            await self._event(place, new_id("evt"), told.encode())
        else:
            sha256 = hashlib.sha256(TEST_TEXT).hexdigest()
            told = file_payload(None, TEST_FILE, 1, 1, len(TEST_TEXT), sha256, "text/plain", test=True)
            await self._file(place, new_id("evt"), told, TEST_FILE, "text/plain", content_of(TEST_TEXT, sha256))
        return place_of(place.config["url"])

    async def carry(self, place: Place, shipment: Shipment, ledger: Ledger) -> None:
        where = place_of(place.config["url"])
        if place.config["send"] == EVENT:
            if not ledger.is_sent(EVENT):
                await self._event(place, shipment.delivery_id, shipment.event.encode())
                await ledger.sent(EVENT, where)
            return
        count = len(shipment.parcels)
        for number, parcel in enumerate(shipment.parcels, 1):
            if not ledger.is_sent(parcel.name):
                await self._parcel(place, shipment, parcel, number, count)
                await ledger.sent(parcel.name, where)

    async def _parcel(self, place: Place, shipment: Shipment, parcel: Parcel, number: int, count: int) -> None:
        told = file_payload(shipment.export_id, parcel.name, number, count, parcel.size, parcel.sha256, parcel.media_type)
        await self._file(place, f"{shipment.delivery_id}_{number}", told, parcel.name, parcel.media_type, whole(parcel))

    async def _event(self, place: Place, webhook_id: str, body: bytes) -> None:
        headers = event_headers(secret_of(place.secrets["secret"]), webhook_id, self._clock(), body)
        await self._post(place, headers, body, ANSWER_SECONDS)

    async def _file(self, place: Place, webhook_id: str, told: str, name: str, media_type: str, content: Content) -> None:
        secret, disposition = secret_of(place.secrets["secret"]), content_disposition(name)
        headers = file_headers(secret, webhook_id, self._clock(), told, media_type, content.sha256, disposition)
        await self._post(place, headers, content, 0)

    async def _post(self, place: Place, headers: Mapping[str, str], content: Content | bytes, silence_seconds: float) -> None:
        url, own = place.config["url"], json.loads(place.secrets.get("headers") or "{}")
        sent = {**own, **headers, "traceparent": current_traceparent()}
        answer = await self._web.send(
            "POST", url, sent, content, ANSWER_BYTES_MAX, trusting(place.config.get("ca_certificate")), silence_seconds
        )
        if problem := problem_of(answer, place_of(url)):
            raise problem

    async def abandon(self, place: Place, notes: Mapping[str, str]) -> None:
        """Nothing of ours is over there."""

    async def close(self) -> None:
        await self._web.close()
