"""Mail that comes back, as mail servers write it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.delivery.core.bounces import Bounce, Sent, mark_of, read, return_path

KEY, DELIVERY, ADA = "k" * 32, "dlv_01KBV4Z8T5W2Q9X7R3N6M1P0HJ", "Ada.Lovelace@b.example"
PATH = return_path("bounces@waybill.example", KEY, DELIVERY, ADA)


def report(
    to: str, action: str = "failed", header: str = "To", diagnostic: str = f"smtp; 550 5.1.1 <{ADA}>: unknown", status: str = "5.1.1"
) -> bytes:
    """As Postfix writes one."""
    return f"""{header}: {to}
From: MAILER-DAEMON@mail.example (Mail Delivery System)
Subject: Undelivered Mail Returned to Sender
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="B"

--B
Content-Description: Notification
Content-Type: text/plain; charset=us-ascii

I'm sorry to have to inform you that your message could not be delivered.

--B
Content-Description: Delivery report
Content-Type: message/delivery-status

Reporting-MTA: dns; mail.example
Arrival-Date: Sun, 1 Mar 2026 12:00:00 +0000 (UTC)

Final-Recipient: rfc822; {ADA}
Action: {action}
Status: {status}
Diagnostic-Code: {diagnostic}

--B
Content-Description: Undelivered Message Headers
Content-Type: text/rfc822-headers

Return-Path: <{PATH}>
To: {ADA}

--B--
""".encode()


@pytest.mark.parametrize("header", ["To", "Delivered-To", "X-Original-To"])
def test_a_mail_that_came_back_says_which_it_was(header: str) -> None:
    assert read(KEY, report(f"<{PATH}>", header=header)) == Bounce(Sent(DELIVERY, mark_of(ADA)), "5.1.1 550 5.1.1 <A…@b.example>: unknown")
    assert read(KEY, report(PATH.upper(), header=header)) is not None


@pytest.mark.parametrize("action", ["delayed", "delivered", "relayed", "expanded"])
def test_what_is_not_for_good_is_none(action: str) -> None:
    assert read(KEY, report(PATH, action=action)) is None


def test_an_absence_is_none() -> None:
    assert read(KEY, f"To: {PATH}\r\nSubject: I am away\r\nAuto-Submitted: auto-replied\r\n\r\nUntil Monday.".encode()) is None


def test_nobody_else_can_say_that_a_mail_came_back() -> None:
    forged = return_path("bounces@waybill.example", "x" * 32, DELIVERY, ADA)
    local, at, domain = PATH.partition("@")
    assert read(KEY, report(forged)) is None
    assert read(KEY, report(f"{local[:-1]}{'a' if local[-1] != 'a' else 'b'}{at}{domain}")) is None
    assert read(KEY, report("bounces@waybill.example")) is None


def test_a_return_path_fits_and_names_nobody() -> None:
    local = PATH.rpartition("@")[0]
    assert len(local) <= 64
    assert "ada" not in local and "lovelace" not in local
    assert local != return_path("bounces@waybill.example", KEY, DELIVERY, "bob@b.example").rpartition("@")[0]


@given(st.binary(max_size=500), st.integers(0, 900))
def test_rubbish_is_none(rubbish: bytes, at: int) -> None:
    whole = report("bounces@waybill.example")
    assert read(KEY, rubbish) is None
    assert read(KEY, whole[:at] + rubbish + whole[at:]) is None
