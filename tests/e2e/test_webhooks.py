"""Webhooks on the whole stack: exports run to their ends, a receiver on loopback hears of them, a library that is not ours verifies."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import WebhookVerificationError

from tests.conftest import Stack
from tests.e2e.conftest import WAIT_SECONDS, Organisation, new_organisation
from tests.receiver import Answer, Received, Receiver, receiving

LEADS: dict[str, Any] = {"dataset": "leads", "format": "csv"}
ATTEMPTS_MAX = 10
FILES_MAX = 2000
TOO_MANY_FILES: dict[str, Any] = {"dataset": "leads", "formats": ["csv", "json", "jsonl"], "max_rows_per_file": 1}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as opened:
        yield opened


@pytest.fixture
def subscriber(stack: Stack) -> Iterator[Organisation]:
    """An organisation of the test's own: it hears of its own exports alone."""
    made = new_organisation(stack)
    yield made
    for endpoint in made.http.get("/v1/webhook-endpoints").json()["data"]:
        made.http.delete(f"/v1/webhook-endpoints/{endpoint['id']}")
    made.http.close()


def subscribe(organisation: Organisation, url: str, **body: Any) -> dict[str, Any]:
    answer = organisation.http.post("/v1/webhook-endpoints", json={"url": url, **body})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def until(look: Callable[[], Any]) -> Any:
    """What `look` answers as soon as it is true."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
    return found


def deliveries(organisation: Organisation, endpoint: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (
        organisation.http.get(f"/v1/webhook-endpoints/{endpoint['id']}/deliveries").raise_for_status().json()["data"]
    )
    return found


def delivered(organisation: Organisation, endpoint: dict[str, Any], status: str = "delivered") -> dict[str, Any]:
    """The endpoint's newest delivery, once it has this status."""
    return until(lambda: next((d for d in deliveries(organisation, endpoint)[:1] if d["status"] == status), None))  # type: ignore[no-any-return]


def shown(organisation: Organisation, endpoint: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = organisation.http.get(f"/v1/webhook-endpoints/{endpoint['id']}").json()
    return found


def of_export(received: list[Received], export: dict[str, Any]) -> list[Received]:
    return [each for each in received if json.loads(each.body)["data"]["id"] == export["id"]]


def cancelled_export(organisation: Organisation) -> dict[str, Any]:
    """One that was cancelled before it had ended by itself."""
    while True:
        export = organisation.ask(LEADS)
        organisation.http.delete(f"/v1/exports/{export['id']}")
        answer = organisation.http.get(f"/v1/exports/{export['id']}")
        if answer.status_code == 200 and answer.json()["status"] == "cancelled":
            return export


def test_every_end_of_an_export_is_told_and_signed(subscriber: Organisation, receiver: Receiver) -> None:
    lead = {"type": "lead", "data": {"email": "a@b.example", "created_at": "2026-03-01T00:00:00Z"}}
    sent = subscriber.send("".join(json.dumps({**lead, "id": f"lead_{n}"}) + "\n" for n in range(FILES_MAX // 3 + 1)).encode())
    assert sent["refused_count"] == 0, sent
    endpoint = subscribe(subscriber, receiver.url("/ends"))
    ends = {
        "export.completed": subscriber.completed(LEADS),
        "export.failed": subscriber.ended(subscriber.ask(TOO_MANY_FILES)["id"]),
        "export.cancelled": cancelled_export(subscriber),
        "export.expired": subscriber.completed(LEADS | {"expires_in_seconds": 1}),
    }

    def all_told() -> bool:
        told = receiver.at("/ends")
        return all(any(json.loads(r.body)["type"] == kind for r in of_export(told, export)) for kind, export in ends.items())

    until(all_told)
    for kind, export in ends.items():
        (request,) = [r for r in of_export(receiver.at("/ends"), export) if json.loads(r.body)["type"] == kind]
        payload = request.verified(endpoint["secret"])
        assert payload["data"]["status"] == kind.removeprefix("export.")
        assert subscriber.http.get(payload["data"]["url"]).json()["id"] == export["id"], "its url is where to look"
        assert len(request.body) < 20_000
        assert b"X-Amz" not in request.body and b"/files/" not in request.body
    assert json.loads(of_export(receiver.at("/ends"), ends["export.failed"])[0].body)["data"]["error"]["code"] == "too_many_files"
    ids = [r.webhook_id for r in receiver.at("/ends")]
    assert len(ids) == len(set(ids)), "each event has an id of its own, and came once"


def test_an_endpoint_hears_of_what_it_asked_for_alone(subscriber: Organisation, receiver: Receiver) -> None:
    every, few = subscribe(subscriber, receiver.url("/all")), subscribe(subscriber, receiver.url("/few"), events=["export.failed"])
    subscriber.completed(LEADS)
    delivered(subscriber, every)
    assert deliveries(subscriber, few) == []
    assert receiver.at("/few") == []


def test_a_failing_endpoint_is_tried_again_under_the_same_id(subscriber: Organisation, receiver: Receiver) -> None:
    receiver.decide = lambda path, before: Answer(500, body=b"broken") if before < 2 else Answer()
    endpoint = subscribe(subscriber, receiver.url("/retry"))
    subscriber.completed(LEADS)
    done = delivered(subscriber, endpoint)
    requests = receiver.at("/retry")
    assert len(requests) == done["attempt_count"] == 3
    assert {r.webhook_id for r in requests} == {done["webhook_id"]}
    assert {r.body for r in requests} == {requests[0].body}
    assert all(r.verified(endpoint["secret"]) for r in requests)
    assert [a["response_code"] for a in done["attempts"]] == [204, 500, 500]
    assert done["attempts"][1]["response_excerpt"] == "broken"


def test_what_was_given_up_is_recovered_under_the_same_id(subscriber: Organisation, receiver: Receiver) -> None:
    receiver.decide = lambda path, before: Answer(500) if before < ATTEMPTS_MAX else Answer()
    endpoint = subscribe(subscriber, receiver.url("/recover"))
    subscriber.completed(LEADS)
    failed = delivered(subscriber, endpoint, "failed")
    assert failed["attempt_count"] == ATTEMPTS_MAX
    # the five days of auto-disabling are four seconds here, which a busy machine may take over ten attempts
    subscriber.http.patch(f"/v1/webhook-endpoints/{endpoint['id']}", json={"enabled": True}).raise_for_status()
    answer = subscriber.http.post(f"/v1/webhook-endpoints/{endpoint['id']}/recover", json={"since": endpoint["created_at"]})
    assert (answer.status_code, answer.json()["recovered"]) == (202, 1)
    done = delivered(subscriber, endpoint)
    assert (done["id"], done["webhook_id"], done["attempt_count"]) == (failed["id"], failed["webhook_id"], ATTEMPTS_MAX + 1)
    assert len({r.webhook_id for r in receiver.at("/recover")}) == 1


def test_retry_after_is_waited_for(subscriber: Organisation, receiver: Receiver) -> None:
    receiver.decide = lambda path, before: Answer(503, {"Retry-After": "2"}) if before == 0 else Answer()
    endpoint = subscribe(subscriber, receiver.url("/later"))
    subscriber.completed(LEADS)
    delivered(subscriber, endpoint)
    first, second = receiver.at("/later")
    assert second.at - first.at >= 2


def test_gone_disables_and_enabling_is_the_way_back(subscriber: Organisation, receiver: Receiver) -> None:
    receiver.decide = lambda path, before: Answer(410) if before == 0 else Answer()
    endpoint = subscribe(subscriber, receiver.url("/gone"))
    subscriber.completed(LEADS)
    until(lambda: not shown(subscriber, endpoint)["enabled"])
    assert shown(subscriber, endpoint)["disabled"]["reason"] == "gone"
    subscriber.completed(LEADS)
    until(lambda: [d["status"] for d in deliveries(subscriber, endpoint)] == ["skipped", "skipped"])
    assert len(receiver.at("/gone")) == 1
    one = f"/v1/webhook-endpoints/{endpoint['id']}"
    assert subscriber.http.post(f"{one}/recover", json={"since": "2026-01-01"}).status_code == 409
    assert subscriber.http.patch(one, json={"enabled": True}).json()["disabled"] is None
    assert subscriber.http.post(f"{one}/recover", json={"since": "2026-01-01"}).json()["recovered"] == 2
    until(lambda: {d["status"] for d in deliveries(subscriber, endpoint)} == {"delivered"})


def test_an_endpoint_that_only_fails_is_disabled_in_the_end(subscriber: Organisation, receiver: Receiver) -> None:
    """The five days are a few seconds here."""
    receiver.decide = lambda path, before: Answer(500)
    endpoint = subscribe(subscriber, receiver.url("/dead"))

    def disabled() -> bool:
        subscriber.completed(LEADS)
        return not shown(subscriber, endpoint)["enabled"]

    until(disabled)
    found = shown(subscriber, endpoint)
    assert found["disabled"]["reason"] == "failing"
    assert found["failing_since"] < found["disabled"]["at"]


def test_while_a_secret_rotates_both_verify(subscriber: Organisation, receiver: Receiver) -> None:
    endpoint = subscribe(subscriber, receiver.url("/rotate"))
    rotated = subscriber.http.post(f"/v1/webhook-endpoints/{endpoint['id']}/rotate-secret").json()
    subscriber.completed(LEADS)
    (request,) = receiver.until("/rotate", 1)
    assert len(request.headers["webhook-signature"].split()) == 2
    assert request.verified(endpoint["secret"]) == request.verified(rotated["secret"])
    with pytest.raises(WebhookVerificationError):
        request.verified("whsec_" + "A" * 44)


def test_a_delivery_can_be_asked_for_again(subscriber: Organisation, receiver: Receiver) -> None:
    endpoint = subscribe(subscriber, receiver.url("/again"))
    subscriber.completed(LEADS)
    done = delivered(subscriber, endpoint)
    answer = subscriber.http.post(f"/v1/webhook-endpoints/{endpoint['id']}/deliveries/{done['id']}/redeliver")
    assert answer.status_code == 202
    one, two = receiver.until("/again", 2)
    assert one.webhook_id == two.webhook_id
    assert one.body == two.body


def test_a_slow_endpoint_holds_up_nobody_else(stack: Stack, subscriber: Organisation, receiver: Receiver) -> None:
    held = threading.Event()
    receiver.decide = lambda path, before: Answer(wait=held) if path == "/slow" else Answer()
    other = new_organisation(stack)
    try:
        subscribe(subscriber, receiver.url("/slow"))
        quick, elsewhere = subscribe(subscriber, receiver.url("/quick")), subscribe(other, receiver.url("/elsewhere"))
        for _ in range(5):
            subscriber.completed(LEADS)
            other.completed(LEADS)
        receiver.until("/quick", 5)
        receiver.until("/elsewhere", 5)
        for organisation, endpoint in ((subscriber, quick), (other, elsewhere)):
            until(lambda o=organisation, e=endpoint: [d["attempt_count"] for d in deliveries(o, e)] == [1] * 5)  # type: ignore[misc]
        assert receiver.at("/slow")
    finally:
        held.set()
        other.http.close()


def test_killing_delivery_in_mid_send_loses_nothing(stack: Stack, subscriber: Organisation, receiver: Receiver) -> None:
    held = threading.Event()
    receiver.decide = lambda path, before: Answer(wait=held) if before == 0 else Answer()
    endpoint = subscribe(subscriber, receiver.url("/killed"))
    try:
        subscriber.completed(LEADS)
        receiver.until("/killed", 1)  # claimed, sent, not recorded
        os.kill(int(Path(stack.env["WAYBILL_PIDS"], "delivery").read_text()), signal.SIGKILL)
        first, second = receiver.until("/killed", 2)
    finally:
        held.set()
    assert first.webhook_id == second.webhook_id
    assert second.verified(endpoint["secret"])["type"] == "export.completed"
    until(lambda: _answers(subscriber))
    assert delivered(subscriber, endpoint)["attempt_count"] == 1, "what died with the process is not counted"


def _answers(organisation: Organisation) -> bool:
    return organisation.http.get("/v1/webhook-endpoints").status_code == 200
