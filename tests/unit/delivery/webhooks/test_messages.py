"""What is sent: thin payloads, signatures that others verify, secrets that are sealed."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from services.delivery.core.webhooks import signing
from services.delivery.core.webhooks.events import EVENTS, PAYLOAD_BYTES_MAX, event_of, hears, type_of
from services.delivery.webhooks.sender import EXCERPT_CHARACTERS, excerpt_of
from shared.errors import PermanentError
from shared.sealing import WEBHOOK_SECRETS, CannotOpen, Seal

URL = "https://waybill.example"
OLD, NEW = bytes(range(32)), bytes(range(1, 33))


@given(st.text(max_size=300), st.sampled_from([[NEW], [NEW, OLD]]))
def test_the_standard_library_verifies_what_is_signed(text: str, secrets: list[bytes]) -> None:
    body = json.dumps({"text": text}, ensure_ascii=False)
    try:
        payload = body.encode()
    except UnicodeEncodeError:
        return
    headers = signing.headers(secrets, "evt_1", datetime.now(UTC), payload)
    for secret in secrets:
        assert Webhook(signing.secret_text(secret)).verify(payload, headers) == {"text": text}
    with pytest.raises(WebhookVerificationError):
        Webhook(signing.secret_text(bytes(32))).verify(payload, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(signing.secret_text(NEW)).verify(payload + b" ", headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(signing.secret_text(NEW)).verify(payload, headers | {"webhook-id": "evt_2"})


def test_a_signature_is_what_the_standard_library_makes() -> None:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    headers = signing.headers([NEW], "evt_1", at, b'{"a":1}')
    assert headers["webhook-signature"] == Webhook(signing.secret_text(NEW)).sign("evt_1", at, '{"a":1}')
    assert headers["webhook-timestamp"] == str(int(at.timestamp()))


def test_a_secret_is_shown_as_the_standard_has_it() -> None:
    text = signing.secret_text(NEW)
    assert text.startswith("whsec_")
    assert base64.b64decode(text.removeprefix("whsec_")) == NEW
    assert 24 <= signing.SECRET_BYTES <= 64


# ---- payloads

VIEW: dict[str, Any] = {
    "id": "exp_1", "request_id": None, "dataset": "leads", "formats": ["csv"], "format": "csv", "status": "completed",
    "request": {"dataset": "leads", "filter": {"tags": {"any": ["secret plans"]}}}, "progress": {"rows_written": 7}, "created_at": "2026-03-01T00:00:00.000Z",
    "completed_at": "2026-03-01T00:00:01.000Z", "expires_at": "2026-03-31T00:00:00.000Z",
    "files": [{"name": "leads.csv", "url": "https://store.example/signed?X-Amz-Signature=abc"}], "manifest_url": "https://x/manifest", "error": None,
}  # fmt: skip


def made(view: Any, kind: str = "export.completed") -> dict[str, Any]:
    event = event_of(kind, "evt_1", "2026-03-01T00:00:02.000Z", json.dumps(view).encode(), URL)
    document: dict[str, Any] = json.loads(event.payload)
    return document


def test_a_payload_says_what_to_ask_for_and_nothing_more() -> None:
    assert made(VIEW) == {
        "type": "export.completed",
        "timestamp": "2026-03-01T00:00:02.000Z",
        "data": {
            "id": "exp_1", "request_id": None, "dataset": "leads", "formats": ["csv"], "status": "completed", "created_at": "2026-03-01T00:00:00.000Z",
            "completed_at": "2026-03-01T00:00:01.000Z", "expires_at": "2026-03-31T00:00:00.000Z", "rows": 7, "files": 1, "error": None,
            "url": "https://waybill.example/v1/exports/exp_1",
        },
    }  # fmt: skip


@given(st.text(max_size=5000), st.lists(st.text(max_size=3000), max_size=50), st.integers(0, 5000))
def test_a_payload_is_always_small(text: str, formats: list[str], files: int) -> None:
    view = VIEW | {
        "request_id": text,
        "formats": formats,
        "files": [{"url": text}] * min(files, 50),
        "error": {"code": text, "message": text},
    }
    try:
        event = event_of("export.failed", "evt_1", "2026-03-01T00:00:02Z", json.dumps(view).encode(), URL)
    except PermanentError as error:
        assert error.code == "invalid_event"
        return
    assert len(event.payload.encode()) < PAYLOAD_BYTES_MAX


@pytest.mark.parametrize(
    ("ce_id", "ce_time", "value", "field"),
    [
        ("", "2026-03-01T00:00:00Z", b'{"id": "exp_1"}', "ce_id"),
        ("a.b", "2026-03-01T00:00:00Z", b'{"id": "exp_1"}', "ce_id"),
        ("evt_1", "yesterday", b'{"id": "exp_1"}', "ce_time"),
        ("evt_1", "2026-03-01T00:00:00", b'{"id": "exp_1"}', "id"),
        ("evt_1", "2026-03-01T00:00:00Z", b"{", ""),
        ("evt_1", "2026-03-01T00:00:00Z", b"\xff", ""),
        ("evt_1", "2026-03-01T00:00:00Z", b"[]", "id"),
        ("evt_1", "2026-03-01T00:00:00Z", b'{"id": 1}', "id"),
    ],
)
def test_what_cannot_be_told_is_a_dead_letter_that_names_why(ce_id: str, ce_time: str, value: bytes, field: str) -> None:
    with pytest.raises(PermanentError) as refused:
        event_of("export.completed", ce_id, ce_time, value, URL)
    assert (refused.value.code, refused.value.field) == ("invalid_event", field)


def test_only_ends_are_told_of() -> None:
    told = {
        kind
        for kind in ("accepted", "refused", "started", "progress", "completed", "failed", "cancelled", "expired")
        if type_of(f"waybill.export.{kind}")
    }
    assert told == {"completed", "failed", "cancelled", "expired"}
    assert type_of("export.completed") is None
    assert all(type_of(f"waybill.{event}") == event for event in EVENTS)


def test_an_endpoint_hears_of_what_it_asked_for_from_when_it_was_made() -> None:
    event = event_of("export.completed", "evt_1", "2026-03-01T12:00:00Z", b'{"id": "exp_1"}', URL)
    assert hears(["export.completed"], event.at - timedelta(hours=1), event)
    assert not hears(["export.failed"], event.at - timedelta(hours=1), event)
    assert not hears(["export.completed"], event.at + timedelta(minutes=5), event)


# ---- secrets at rest

KEY, OTHER = "k" * 32, "o" * 32


def test_a_sealed_secret_opens_for_its_owner_alone() -> None:
    seal = Seal([KEY], WEBHOOK_SECRETS)
    sealed = seal.seal(NEW, "whe_1")
    assert NEW not in sealed and seal.seal(NEW, "whe_1") != sealed
    assert seal.open(sealed, "whe_1") == NEW
    for changed, owner in ((sealed, "whe_2"), (sealed[:-1] + bytes([sealed[-1] ^ 1]), "whe_1"), (sealed[:10], "whe_1"), (b"", "whe_1")):
        with pytest.raises(CannotOpen):
            seal.open(changed, owner)
    with pytest.raises(CannotOpen):
        Seal([OTHER], WEBHOOK_SECRETS).open(sealed, "whe_1")


def test_keys_can_be_changed() -> None:
    sealed = Seal([KEY], WEBHOOK_SECRETS).seal(NEW, "whe_1")
    after = Seal([OTHER, KEY], WEBHOOK_SECRETS)
    assert after.open(sealed, "whe_1") == NEW
    assert not sealed.startswith(after.prefix)
    assert Seal([OTHER], WEBHOOK_SECRETS).open(after.seal(NEW, "whe_1"), "whe_1") == NEW


# ---- answers


@given(st.binary(max_size=4000))
def test_what_is_kept_of_an_answer_is_short_and_harmless(body: bytes) -> None:
    kept = excerpt_of(body)
    if kept is not None:
        assert len(kept) <= EXCERPT_CHARACTERS
        assert kept.isprintable()
