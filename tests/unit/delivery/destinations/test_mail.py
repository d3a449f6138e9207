"""Mails as bytes, and the settings of the mail server."""

from datetime import UTC, datetime
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.delivery.core.destinations.problems import Code, Undelivered
from services.delivery.core.mail import Attachment, Letter, compose, masked, parted, quoted
from services.delivery.mail_settings import MailSettings
from shared.checks import is_seen
from shared.settings import explain

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SENDER, TO = "Exports, Inc. <exports@waybill.example>", "ada@b.example"
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
lines = texts.filter(lambda text: is_seen(text) and text.strip() != "")


def read(raw: bytes) -> Any:
    return message_from_bytes(raw, policy=policy.default)


@given(lines, texts)
def test_whatever_is_written_comes_back(subject: str, text: str) -> None:
    raw = compose(Letter("dlv_1", subject, text), SENDER, TO, NOW)
    message = read(raw)
    assert raw.isascii()
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert set(message.keys()) == {
        "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "X-Auto-Response-Suppress", "MIME-Version", "Content-Type", "Content-Transfer-Encoding",
    }  # fmt: skip
    assert (message["To"], message["From"].addresses[0].display_name) == (TO, "Exports, Inc.")
    assert " ".join(message["Subject"].split()) == " ".join(subject.split())


@pytest.mark.parametrize("text", ["a\r\nBcc: eve@c.example", "a\nb", "a\rb", "a\x00b", "a\u2028b", "a\x85b"])
def test_no_header_has_a_second_line(text: str) -> None:
    for letter, sender, to in (
        (Letter("x", text, "t"), SENDER, TO),
        (Letter(text, "s", "t"), SENDER, TO),
        (Letter("x", "s", "t"), f"{text} <a@b.example>", TO),
        (Letter("x", "s", "t"), SENDER, f"{text}@b.example"),
    ):
        with pytest.raises(ValueError, match="one line"):
            compose(letter, sender, to, NOW)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=120).filter(is_seen), st.binary(max_size=2000))
def test_a_files_name_and_bytes_come_back(name: str, content: bytes) -> None:
    message = read(compose(Letter("x", "s", "t", "<p>t</p>", [Attachment(name, "text/csv", content)]), SENDER, TO, NOW))
    (attached,) = message.iter_attachments()
    assert attached.get_payload(decode=True) == content
    assert " ".join((attached.get_filename() or "").split()) == " ".join(name.split())


def test_the_same_letter_has_the_same_id() -> None:
    first, second = (read(compose(Letter("dlv_1", "s", "t"), SENDER, TO, NOW)) for _ in range(2))
    assert first["Message-ID"] == second["Message-ID"] == "<dlv_1@waybill.example>"


@given(st.from_regex(r"[a-z.]{1,20}@[a-z]{1,10}\.example", fullmatch=True))
def test_nobodys_address_is_quoted(address: str) -> None:
    said = quoted(f"5.1.1 <{address}>: Recipient\r\n address {address} rejected\x1b[0m")
    assert address not in said or len(address.partition("@")[0]) == 0
    assert masked(address) in said
    assert "\x1b" not in said and "\n" not in said


def test_senders() -> None:
    assert parted("a@b.example") == ("", "a@b.example")
    assert parted('"Exports, Inc." <a@b.example>') == ("Exports, Inc.", "a@b.example")


def problem(monkeypatch: pytest.MonkeyPatch, **given: str) -> str:
    for name, value in given.items():
        monkeypatch.setenv(f"WAYBILL_SMTP_{name.upper()}", value)
    try:
        MailSettings()
    except ValidationError as error:
        return explain(error)
    return ""


GOOD = {"host": "mail.example", "from": "Waybill <a@b.example>"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"from": "a@b.example"}, "WAYBILL_SMTP_FROM is set, and WAYBILL_SMTP_HOST isn't"),
        ({"host": "mail.example"}, "WAYBILL_SMTP_FROM must be"),
        ({**GOOD, "from": "nobody"}, "WAYBILL_SMTP_FROM must be"),
        ({**GOOD, "user": "me"}, "belong together"),
        ({**GOOD, "password": "me"}, "belong together"),
        ({**GOOD, "user": "me", "password": "x", "security": "none"}, "WAYBILL_SMTP_USER needs"),
        ({**GOOD, "security": "ssl"}, "WAYBILL_SMTP_SECURITY"),
        ({**GOOD, "bounce_address": "x"}, "WAYBILL_SMTP_BOUNCE_ADDRESS must be"),
        ({**GOOD, "bounce_address": "a+b@c.example"}, "WAYBILL_SMTP_BOUNCE_ADDRESS must be"),
        ({**GOOD, "bounce_address": f"{'a' * 30}@c.example"}, "WAYBILL_SMTP_BOUNCE_ADDRESS must be"),
        ({**GOOD, "ca_file": "/nowhere"}, "WAYBILL_SMTP_CA_FILE: /nowhere can't be read"),
    ],
)
def test_settings_that_do_not_fit(given: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert said in problem(monkeypatch, **given)


@pytest.mark.parametrize(("security", "port"), [("tls", 465), ("starttls", 587), ("none", 25)])
def test_a_mail_server(security: str, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert problem(monkeypatch, **GOOD, security=security) == ""
    server = MailSettings().mail_server
    assert server is not None
    assert (server.port, server.tls is None) == (port, security == "none")


def test_without_a_host_there_is_none(tmp_path: Path) -> None:
    assert MailSettings().mail_server is None


@given(st.binary(max_size=400))
def test_what_a_server_answers_can_be_kept_and_shown(answer: bytes) -> None:
    shown = quoted(answer.decode("utf-8", "surrogateescape"))
    assert shown.isprintable() and shown.encode().decode() == shown
    kept = Undelivered(Code.rejected, answer.decode("utf-8", "surrogateescape")).message
    assert kept.isprintable() and kept.encode().decode() == kept
