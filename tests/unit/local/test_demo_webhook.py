"""The demo's subscriber, with its receiver as a process of this machine."""

import sys
from datetime import UTC, datetime

import httpx
import pytest
from standardwebhooks import Webhook

from deploy.local.demo_webhook import subscriber
from deploy.local.errors import StackError

SECRET = "whsec_" + "c2VjcmV0" * 4
BODY = '{"type": "export.completed", "data": {"id": "exp_1"}}'


def send(url: str, webhook_id: str, secret: str = SECRET, body: str = BODY) -> None:
    now = datetime.now(UTC)
    signed = {"webhook-id": webhook_id, "webhook-timestamp": str(int(now.timestamp()))}
    signed["webhook-signature"] = Webhook(secret).sign(webhook_id, now, body)
    assert httpx.post(url, content=body, headers=signed).status_code == 204


def test_the_webhook_about_an_export_is_found_among_others_and_verified() -> None:
    with subscriber() as listener:
        send(listener.url, "evt_1", body=BODY.replace("exp_1", "exp_0"))
        send(listener.url, "evt_2")
        webhook_id, payload = listener.verified(SECRET, "exp_1", 30)
    assert (webhook_id, payload["type"]) == ("evt_2", "export.completed")


def test_a_wrong_signature_is_refused() -> None:
    with pytest.raises(StackError, match="signature is wrong"), subscriber() as listener:
        send(listener.url, "evt_1", secret="whsec_" + "b3RoZXIh" * 4)
        listener.verified(SECRET, "exp_1", 30)


def test_a_receiver_that_does_not_start_says_why() -> None:
    with (
        pytest.raises(StackError, match="does not start") as raised,
        subscriber([sys.executable, "-c", "raise SystemExit('no such network')"]),
    ):
        pass
    assert raised.value.log == "no such network"
