"""The requests of a webhook: what may be set, what is signed, and what an answer means."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from services.delivery.core.addresses import AddressRule
from services.delivery.core.destinations.answers import Answer
from services.delivery.core.destinations.headers import problems_with
from services.delivery.core.destinations.kinds import Rules
from services.delivery.core.destinations.posting import event_headers, file_headers, file_payload, problem_of
from services.delivery.core.destinations.problems import Code
from services.delivery.core.destinations.types.webhook import KIND, secret_of
from shared.storage.names import content_disposition

RULES = Rules("org_acme", addresses=AddressRule(loopback=True))
FIELDS = {field.name: field for field in KIND.fields}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Host", "x"), ("Content-Type", "x"), ("content-length", "1"), ("CONTENT-ENCODING", "gzip"), ("Transfer-Encoding", "chunked"), ("Connection", "close"),
        ("TE", "x"), ("Upgrade", "x"), ("Expect", "x"), ("Proxy-Authorization", "x"), ("webhook-id", "x"), ("Webhook-Signature", "x"), ("waybill-file", "x"),
        ("traceparent", "x"), ("Digest", "x"), ("X Y", "x"), ("X:Y", "x"), ("X\r\nY", "x"), ("", "x"), ("X-É", "x"), ("x" * 101, "x"), ("X", ""), ("X", " x"),
        ("X", "x "), ("X", "a\r\nHost: b"), ("X", "a\nb"), ("X", "a\x00b"), ("X", "é"), ("X", "x" * 4097), ("X", 7), ("X", None),
    ],
    ids=lambda value: ascii(value)[:20],
)  # fmt: skip
def test_headers_that_change_a_request_are_refused(name: str, value: Any) -> None:
    assert [detail.field for detail in problems_with("config.headers", {name: value})] == [f"config.headers.{name[:80]}"]


def test_headers_of_ones_own() -> None:
    assert problems_with("config.headers", {"Authorization": "Bearer a.b=c", "X-Tenant": "7 of 9", "User-Agent": "us/1"}) == []
    assert problems_with("config.headers", {"X-A": "1", "x-a": "2"})[0].field == "config.headers"
    assert problems_with("config.headers", {f"X-{i}": "1" for i in range(21)})
    assert problems_with("config.headers", ["X"])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("url", "http://hooks.example"), ("url", "https://10.0.0.1/"), ("url", "https://u:p@hooks.example/"), ("url", 7), ("send", "everything"), ("send", ["event"]),
        ("secret", "short"), ("secret", "whsec_AAAA"), ("secret", "whsec_" + "A" * 200), ("secret", "whsec_" + "é" * 40), ("secret", "A" * 44),
        ("ca_certificate", "x"),
    ],
    ids=lambda value: ascii(value)[:20],
)  # fmt: skip
def test_what_is_refused_is_refused_by_field(field: str, value: Any) -> None:
    assert [detail.field for detail in FIELDS[field].check(f"config.{field}", value, RULES)] == [f"config.{field}"]


def test_the_example_will_do_and_a_secret_is_made() -> None:
    assert [detail for name, value in KIND.example.items() for detail in FIELDS[name].check(name, value, RULES)] == []
    made = FIELDS["secret"].made
    assert made is not None and made() != made()
    assert FIELDS["secret"].check("secret", made(), RULES) == [] and len(secret_of(made())) == 32
    assert {field.name for field in KIND.fields if field.secret} == {"headers", "secret"}
    assert json.loads(FIELDS["headers"].kept({"A": "b"})) == {"A": "b"}
    assert KIND.where({"url": "https://hooks.example:8443/path?token=secret"}) == "https://hooks.example:8443"


SECRET = b"s" * 32
TEXT = "whsec_" + base64.b64encode(SECRET).decode()


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=60), st.integers(1, 99), st.integers(0, 2**50))
def test_a_library_verifies_what_a_file_is_told_of_by(name: str, number: int, size: int) -> None:
    told = file_payload("exp_1", name, number, 99, size, "ab" * 32, "text/csv")
    headers = file_headers(SECRET, "dlv_1_1", datetime.now(UTC), told, "text/csv", "ab" * 32, content_disposition(name))
    assert all(value.isascii() and value.isprintable() for value in headers.values())
    verified = Webhook(TEXT).verify(headers["waybill-file"], headers)
    assert verified == {
        "type": "export.file",
        "data": {
            "export_id": "exp_1",
            "name": name,
            "number": number,
            "count": 99,
            "bytes": size,
            "sha256": "ab" * 32,
            "media_type": "text/csv",
        },
    }
    assert base64.b64decode(headers["Content-Digest"].removeprefix("sha-256=:").removesuffix(":")).hex() == "ab" * 32


def test_a_library_verifies_an_event() -> None:
    body = b'{"type":"export.completed","data":{}}'
    assert Webhook(TEXT).verify(body, event_headers(SECRET, "dlv_1", datetime.now(UTC), body)) == json.loads(body)


@pytest.mark.parametrize(
    ("status", "code", "again"),
    [
        (301, Code.rejected, True), (400, Code.rejected, True), (401, Code.login_failed, True), (403, Code.permission_denied, True), (404, Code.not_found, True),
        (408, Code.unavailable, True), (410, Code.not_found, False), (413, Code.quota, False), (422, Code.rejected, True), (429, Code.unavailable, True),
        (500, Code.unavailable, True), (503, Code.unavailable, True), (507, Code.quota, True),
    ],
)  # fmt: skip
def test_what_an_answer_means(status: int, code: Code, again: bool) -> None:
    problem = problem_of(Answer(status, {}, b"no\x1b[31m way"), "https://hooks.example")
    assert problem is not None
    assert (problem.code, problem.again) == (code, again)
    assert str(status) in problem.message and problem.message.isprintable()
    assert all(problem_of(Answer(good, {}, b""), "x") is None for good in (200, 201, 204, 299))


def test_who_asks_for_a_pause_gets_it() -> None:
    problem = problem_of(Answer(503, {}, b"", retry_after=30.0), "x")
    assert problem is not None and problem.retry_after == 30.0
