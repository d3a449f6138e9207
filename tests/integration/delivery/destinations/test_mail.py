"""Mail over the wire, to a server that we didn't write: security, refusals, and what breaks in the middle."""

import asyncio
import ssl
from pathlib import Path

import pytest

from services.delivery.core.destinations.problems import Code, Undelivered
from services.delivery.core.mail import Attachment, Letter
from services.delivery.mail import Mailer
from tests.mail_server import PASSWORD, USER, Certified, certified, serving, settings_of, until

ADA, BOB, EVE = "ada@b.example", "bob@b.example", "eve@c.example"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certified:
    return certified(Path(tmp_path_factory.mktemp("mail")))


async def test_a_plain_mail_arrives_as_it_was_meant() -> None:
    async with serving() as post:
        await Mailer(settings_of(post)).send([ADA, BOB], "Nothing arrived: «März»", "Two lines,\n.and a dot: ☃\n", "ntf_01")
        await until(lambda: post.open == 0)
    (mail,) = post.to(ADA)
    assert (mail.return_path, mail.message["From"], mail.message["To"]) == (
        "exports@waybill.example",
        "Waybill <exports@waybill.example>",
        ADA,
    )
    assert mail.message["Subject"] == "Nothing arrived: «März»"
    assert mail.message["Message-ID"] == "<ntf_01.1@waybill.example>"
    assert mail.message["Auto-Submitted"] == "auto-generated"
    assert mail.message["Date"].datetime is not None
    assert mail.message.get_content().replace("\r\n", "\n") == "Two lines,\n.and a dot: ☃\n"
    assert len(post.to(BOB)) == 1
    assert mail.raw.isascii()


@pytest.mark.parametrize("security", ["tls", "starttls"])
async def test_over_tls_with_a_login(security: str, certificates: Certified) -> None:
    async with serving(security, certificates.server, logs_in=True) as post:
        server = settings_of(post, security=security, tls=certificates.client, user=USER, password=PASSWORD)
        await Mailer(server).send([ADA], "Hello", "Text", "ntf_02")
        assert len(post.to(ADA)) == 1
        assert set(post.logins) == {USER}
        with pytest.raises(Undelivered) as refused:
            await Mailer(settings_of(post, security=security, tls=certificates.client, user=USER, password="wrong")).send(
                [ADA], "Hello", "Text", "x"
            )
    assert refused.value.code is Code.login_failed
    assert "wrong" not in refused.value.message


@pytest.mark.parametrize("security", ["tls", "starttls"])
async def test_a_certificate_of_somebody_else_is_not_trusted(security: str, certificates: Certified) -> None:
    async with serving(security, certificates.server) as post:
        with pytest.raises(Undelivered) as failed:
            await Mailer(settings_of(post, security=security, tls=ssl.create_default_context())).send([ADA], "Hello", "Text", "x")
    assert failed.value.code is Code.tls_failed
    assert post.mails == []


async def test_starttls_is_not_given_up_where_the_server_does_not_offer_it(certificates: Certified) -> None:
    async with serving() as post:
        with pytest.raises(Undelivered) as failed:
            await Mailer(settings_of(post, security="starttls", tls=certificates.client)).send([ADA], "Hello", "Text", "x")
    assert (failed.value.code, "STARTTLS" in failed.value.message) == (Code.tls_failed, True)
    assert post.mails == []


async def test_one_of_three_is_refused_and_the_others_get_it() -> None:
    async with serving() as post:
        post.refuse[BOB] = f"550 5.1.1 <{BOB}> is unknown here"
        with pytest.raises(Undelivered) as failed:
            await Mailer(settings_of(post)).send([ADA, BOB, EVE], "Hello", "Text", "x")
    assert [mail.to for mail in post.mails] == [ADA, EVE]
    assert (failed.value.code, failed.value.again) == (Code.rejected, False)
    assert "550 5.1.1 <b…@b.example> is unknown here" in failed.value.message
    assert BOB not in failed.value.message


@pytest.mark.parametrize(
    ("answer", "code", "again"),
    [
        ("451 4.3.0 later", Code.unavailable, True),
        ("452 4.2.2 mailbox full", Code.quota, True),
        ("552 5.2.2 mailbox full", Code.quota, False),
        ("554 5.7.1 spam", Code.rejected, False),
        ("552 5.3.4 too big", Code.quota, False),
        ("421 4.3.2 closing", Code.unavailable, True),
    ],
)
async def test_what_answers_to_a_message_come_to(answer: str, code: Code, again: bool) -> None:
    async with serving() as post:
        post.answer = answer
        with pytest.raises(Undelivered) as failed:
            await Mailer(settings_of(post)).send([ADA], "Hello", "Text", "x")
    assert (failed.value.code, failed.value.again) == (code, again)
    assert answer.split(" ", 2)[2] in failed.value.message


async def test_a_mail_that_is_too_large_for_the_server() -> None:
    async with serving(size_max=2000) as post:
        with pytest.raises(Undelivered) as failed:
            await Mailer(settings_of(post)).send([ADA], "Hello", "Text" * 1000, "x")
    assert (failed.value.code, failed.value.again) == (Code.quota, False)
    assert not post.got_data.is_set()


async def test_a_connection_that_ends_before_the_last_word_is_told_as_such() -> None:
    async with serving() as post:
        post.drop = 1
        with pytest.raises(Undelivered) as failed:
            await Mailer(settings_of(post)).send([ADA], "Hello", "Text", "x")
        await Mailer(settings_of(post)).send([ADA], "Hello", "Text", "x")
    assert (failed.value.code, failed.value.again) == (Code.disconnected, True)
    assert {mail.message["Message-ID"] for mail in post.mails} == {"<x.1@waybill.example>"}


async def test_a_server_that_says_nothing_is_waited_for_so_long() -> None:
    async with serving() as post:
        post.hang = asyncio.Event()
        with pytest.raises(Undelivered) as failed:
            await Mailer(settings_of(post, timeout_seconds=0.05)).send([ADA], "Hello", "Text", "x")
        await until(lambda: post.open == 0)
    assert failed.value.code is Code.timeout


async def test_nobody_listens() -> None:
    async with serving() as post:
        pass
    with pytest.raises(Undelivered) as failed:
        await Mailer(settings_of(post)).send([ADA], "Hello", "Text", "x")
    assert failed.value.code is Code.refused


async def test_no_server_is_set_up() -> None:
    with pytest.raises(Undelivered) as failed:
        await Mailer(None).send([ADA], "Hello", "Text", "x")
    assert (failed.value.code, failed.value.again) == (Code.rejected, False)
    assert "WAYBILL_SMTP_HOST" in failed.value.message


async def test_who_is_stopped_hears_whether_the_mail_was_taken() -> None:
    noted = asyncio.Event()

    async def taken() -> None:
        noted.set()

    async def send(mailer: Mailer) -> None:
        async with mailer.open() as opened:
            await opened.send(Letter("x", "Hello", "Text"), ADA, taken=taken)

    async with serving() as post:
        post.hang = asyncio.Event()
        sending = asyncio.create_task(send(Mailer(settings_of(post))))
        await post.got_data.wait()
        sending.cancel()
        await asyncio.sleep(0)
        post.hang.set()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert noted.is_set()
        await until(lambda: post.open == 0)
    assert len(post.mails) == 1


async def test_files_keep_their_names_and_bytes() -> None:
    content = bytes(range(256)) * 300
    async with serving() as post, Mailer(settings_of(post)).open() as opened:
        await opened.send(Letter("x", "Hello", "Text", "<p>Text</p>", [Attachment("Übersicht “März”.csv", "text/csv", content)]), ADA)
    (mail,) = post.mails
    body = mail.message.get_body(("html", "plain"))
    assert body is not None and body.get_content_type() == "text/html"
    (attached,) = mail.message.iter_attachments()
    assert (attached.get_filename(), attached.get_content_type()) == ("Übersicht “März”.csv", "text/csv")
    assert attached.get_payload(decode=True) == content
