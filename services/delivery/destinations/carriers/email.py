"""Files by mail, a message for each recipient. What is known to be there is a recipient who has it: the ledger's names are addresses."""

import asyncio
import secrets
from functools import partial

from services.delivery.core.bounces import return_path
from services.delivery.core.destinations.letters import File, words_of
from services.delivery.core.destinations.problems import Code, Undelivered
from services.delivery.core.destinations.templates import fill_text
from services.delivery.core.destinations.types.email import KIND, SUBJECT
from services.delivery.core.mail import Attachment, Letter, masked
from services.delivery.destinations.carrier import Carrier, Ledger, Parcel, Place, Shipment
from services.delivery.mail import Mailer
from services.delivery.settings import Settings

WITH_FILES_AT_ONCE = 2  # mails with files are in memory, several times over
FAILURES_TOLD = 3


def make(settings: Settings) -> Carrier:
    return EmailCarrier(Mailer(settings.mail_server), settings.smtp_bounce_address, settings.secret_key)


class EmailCarrier:
    """`bounces`: the address for mail that comes back; empty: it goes to the sender, and nothing is known of it. `secret_key` signs what is added to it."""

    def __init__(self, mailer: Mailer, bounces: str = "", secret_key: str = "") -> None:
        self._mailer, self._bounces, self._secret_key = mailer, bounces, secret_key
        self._with_files = asyncio.Semaphore(WITH_FILES_AT_ONCE)

    async def probe(self, place: Place) -> str:
        """Asks the mail server whether it would take mail for each of them. None is sent: it couldn't be taken back."""
        failed = []
        async with self._mailer.open() as post:
            for number, address in enumerate(place.config["to"], 1):
                try:
                    await post.ask(address, _called(number, address))
                except Undelivered as error:
                    failed.append(error)
                    if post.is_lost:
                        break
        if failed:
            raise _together(failed, "")
        return KIND.where(place.config)

    async def carry(self, place: Place, shipment: Shipment, ledger: Ledger) -> None:
        to = place.config["to"] if shipment.recipients is None else shipment.recipients
        left = [(number, address) for number, address in enumerate(to, 1) if not ledger.is_sent(address)]
        if not left:
            return
        attach_max = place.config["attach_bytes_max"] if place.config.get("send") == "file" else None
        if attach_max is not None and sum(parcel.size for parcel in shipment.parcels) <= attach_max:
            async with self._with_files:
                attachments = [Attachment(each.name, each.media_type, await _content(each)) for each in shipment.parcels]
                await self._post(place, shipment, ledger, left, attachments, None)
        else:
            await self._post(place, shipment, ledger, left, [], attach_max)

    async def abandon(self, place: Place, notes: object) -> None:
        """Mail is never half there."""

    async def close(self) -> None:
        pass

    async def _post(
        self, place: Place, shipment: Shipment, ledger: Ledger, left: list[tuple[int, str]], attachments: list[Attachment], too_large_for: int | None
    ) -> None:  # fmt: skip
        files = [File(each.name, each.size, "" if attachments else shipment.link(each.name)) for each in shipment.parcels]
        words = words_of(shipment.names["dataset"], shipment.export_id, files, too_large_for, shipment.links_until)
        subject = fill_text(place.config.get("subject", SUBJECT), shipment.names)
        failed = []
        async with self._mailer.open() as post:
            for number, address in left:
                letter = Letter(await _id(ledger, shipment, address), subject, words.text, words.html, attachments)
                back_to = return_path(self._bounces, self._secret_key, shipment.delivery_id, address) if self._bounces else ""
                try:
                    await post.send(letter, address, _called(number, address), back_to, partial(ledger.sent, address, address))
                except Undelivered as error:
                    failed.append(error)
                    if post.is_lost:
                        break
        if failed:
            raise _together(failed, f"{sum(ledger.is_sent(address) for _, address in left)} of {len(left)} were sent. ")


async def _id(ledger: Ledger, shipment: Shipment, address: str) -> str:
    """The same in every attempt, and another one once a person has it sent again: mail programs hide what they have."""
    if (known := ledger.note(address)) is not None:
        return known
    made = f"{shipment.delivery_id}.{secrets.token_hex(8)}"
    await ledger.keep(address, made)
    return made


async def _content(parcel: Parcel) -> bytes:
    return b"".join([piece async for piece in parcel.read(0)])


def _called(number: int, address: str) -> str:
    return f"recipient {number} ({masked(address)})"


def _together(failed: list[Undelivered], before: str) -> Undelivered:
    """One that may go away by itself decides when it is tried again; the others will fail again then, and nobody gets it twice."""
    first = next((each for each in failed if each.again), failed[0])
    told = " ".join(dict.fromkeys(each.message for each in failed[:FAILURES_TOLD]))
    more = f" And {len(failed) - FAILURES_TOLD} more." if len(failed) > FAILURES_TOLD else ""
    return Undelivered(Code(first.code), f"{before}{told}{more}", first.again)
