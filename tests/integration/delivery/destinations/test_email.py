"""Files by mail, to a mail server that we didn't write."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from services.delivery.core.bounces import return_path
from services.delivery.core.destinations.kinds import Rules
from services.delivery.core.destinations.problems import Code, Undelivered
from services.delivery.core.destinations.registry import all_kinds
from services.delivery.destinations.carrier import Place, Shipment
from services.delivery.destinations.carriers.email import EmailCarrier
from services.delivery.mail import Mailer
from tests.integration.delivery.destinations.freight import Kept, Source, shipment
from tests.mail_server import Post, serving, settings_of, until

ADA, BOB, EVE = "ada@b.example", "bob@b.example", "eve@c.example"
CSV = b"id,name\r\n1,Ada\r\n" * 1000


def carrier(post: Post, **options: Any) -> EmailCarrier:
    return EmailCarrier(Mailer(settings_of(post, **options)))


def place(*to: str, **config: Any) -> Place:
    defaults = {field.name: field.default for field in all_kinds()["email"].fields if not field.required}
    return Place("dst_01", "org_acme", {**defaults, "to": list(to), **config})


def files(**other: Any) -> Shipment:
    made = shipment(
        [Source(CSV).parcel("Übersicht <1>.csv", "text/csv; charset=utf-8"), Source(b"{}").parcel("b.json", "application/json")]
    )
    return replace(made, links_until=datetime(2026, 3, 4, 12, tzinfo=UTC), **other)


async def failing(what: Any) -> Undelivered:
    with pytest.raises(Undelivered) as failed:
        await what
    return failed.value


async def test_each_gets_links_and_nobody_sees_the_others() -> None:
    ledger = Kept()
    async with serving() as post:
        await carrier(post).carry(place(ADA, BOB, subject="{dataset} of {year}-{month}"), files(), ledger)
    assert [mail.to for mail in post.mails] == [ADA, BOB]
    message = post.mails[0].message
    assert (message["To"], message["Subject"]) == (ADA, "messages of 2026-03")
    assert BOB not in post.mails[0].raw.decode()
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None and html is not None
    assert "https://waybill.example/v1/downloads/Übersicht <1>.csv?t=1" in plain.get_content()
    assert "until 4 March 2026, 12:00 UTC" in plain.get_content()
    assert "Übersicht &lt;1&gt;.csv" in html.get_content() and "<img" not in html.get_content()
    assert list(message.iter_attachments()) == []
    assert ledger.places == {ADA: ADA, BOB: BOB}


async def test_files_are_attached_up_to_a_size_and_linked_above() -> None:
    async with serving() as post:
        await carrier(post).carry(place(ADA, send="file"), files(), Kept())
        await carrier(post).carry(place(BOB, send="file", attach_bytes_max=len(CSV)), files(), Kept())
    attached, linked = (mail.message for mail in post.mails)
    assert [(each.get_filename(), each.get_payload(decode=True)) for each in attached.iter_attachments()] == [
        ("Übersicht <1>.csv", CSV),
        ("b.json", b"{}"),
    ]
    assert "https://" not in attached.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert list(linked.iter_attachments()) == []
    assert "more than the 16.0 kB that are attached here" in linked.get_body(("plain",)).get_content()  # type: ignore[union-attr]


async def test_a_request_s_own_addresses_need_no_destination() -> None:
    async with serving() as post:
        await carrier(post).carry(Place("", "org_acme", {}), files(recipients=[EVE]), Kept())
    assert [mail.to for mail in post.mails] == [EVE]


async def test_only_who_was_refused_is_tried_again() -> None:
    ledger = Kept()
    async with serving() as post:
        post.refuse[BOB] = f"450 4.2.0 <{BOB}> greylisted"
        failed = await failing(carrier(post).carry(place(ADA, BOB, EVE), files(), ledger))
        assert (failed.code, failed.again) == (Code.unavailable, True)
        assert "2 of 3 were sent." in failed.message and "recipient 2 (b…@b.example)" in failed.message
        assert BOB not in failed.message
        post.refuse.clear()
        await carrier(post).carry(place(ADA, BOB, EVE), files(), ledger)
    assert [mail.to for mail in post.mails] == [ADA, EVE, BOB]


async def test_who_is_refused_for_good_is_given_up_at_once() -> None:
    async with serving() as post:
        post.refuse[BOB] = "550 5.1.1 unknown"
        failed = await failing(carrier(post).carry(place(BOB, ADA), files(), Kept()))
    assert (failed.code, failed.again) == (Code.rejected, False)
    assert [mail.to for mail in post.mails] == [ADA]


async def test_a_mail_whose_fate_is_unknown_is_sent_again_as_the_same() -> None:
    ledger = Kept()
    async with serving() as post:
        post.drop = 1
        failed = await failing(carrier(post).carry(place(ADA, BOB), files(), ledger))
        assert (failed.code, failed.again) == (Code.disconnected, True)
        await carrier(post).carry(place(ADA, BOB), files(), ledger)
        assert len({mail.message["Message-ID"] for mail in post.to(ADA)}) == 1
        assert len(post.to(BOB)) == 1
        await carrier(post).carry(place(ADA), files(), Kept())  # asked for again by a person
    assert len({mail.message["Message-ID"] for mail in post.to(ADA)}) == 2


async def test_who_is_stopped_in_the_middle_sends_none_twice() -> None:
    ledger = Kept()
    async with serving() as post:
        post.hang = asyncio.Event()
        sending = asyncio.create_task(carrier(post).carry(place(ADA, BOB), files(), ledger))
        await post.got_data.wait()
        sending.cancel()
        await asyncio.sleep(0)
        post.hang.set()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await until(lambda: post.open == 0)
        await carrier(post).carry(place(ADA, BOB), files(), ledger)
    assert [mail.to for mail in post.mails] == [ADA, BOB]


async def test_what_comes_back_goes_to_an_address_that_says_whose_it_was() -> None:
    delivery, key = "dlv_01KBV4Z8T5W2Q9X7R3N6M1P0HJ", "k" * 32
    async with serving() as post:
        made = EmailCarrier(Mailer(settings_of(post)), "bounces@waybill.example", key)
        await made.carry(place(ADA, BOB), files(delivery_id=delivery), Kept())
    assert [mail.return_path for mail in post.mails] == [return_path("bounces@waybill.example", key, delivery, to) for to in (ADA, BOB)]


async def test_a_probe_asks_about_each_and_sends_nothing() -> None:
    async with serving() as post:
        assert await carrier(post).probe(place(ADA, BOB)) == "mail to a…@b.example and 1 more"
        post.refuse[EVE] = "550 5.1.1 unknown"
        failed = await failing(carrier(post).probe(place(ADA, EVE)))
    assert failed.code is Code.rejected
    assert "recipient 2 (e…@c.example)" in failed.message
    assert post.mails == []


async def test_without_a_mail_server_it_says_so() -> None:
    failed = await failing(EmailCarrier(Mailer(None)).carry(place(ADA), files(), Kept()))
    assert (failed.code, failed.again) == (Code.rejected, False)
    (to,) = (field for field in all_kinds()["email"].fields if field.name == "to")
    assert "WAYBILL_SMTP_HOST" in to.check("config.to", [ADA], Rules("org_acme"))[0].message
    assert to.check("config.to", [ADA], Rules("org_acme", mail=True)) == []
