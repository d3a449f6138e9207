"""Events and files to HTTP receivers, verified by a library that isn't ours; and what the carrier makes of receivers that fail."""

import asyncio
import hashlib
import json
import secrets
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import web
from standardwebhooks import Webhook

from services.delivery.core.addresses import PUBLIC_ONLY, AddressRule
from services.delivery.core.destinations.problems import Code, Undelivered
from services.delivery.core.webhooks.signing import secret_text
from services.delivery.destinations.carrier import Place
from services.delivery.destinations.carriers.webhook import WebhookCarrier
from services.delivery.guard import Guard
from shared.errors import TransientError
from tests.integration.delivery.destinations.door import Answered, Asked, Cut, Door, Fate, Hang, LostAnswer, door_to, serving
from tests.integration.delivery.destinations.freight import Kept, Source, shipment
from tests.secured.certificates import Authority

MIB = 1 << 20
SECRET = secret_text(b"k" * 32)


@dataclass(frozen=True)
class Got:
    """A request that came whole."""

    path: str
    headers: Mapping[str, str]
    sha256: str
    size: int
    body: bytes


class Desk:
    """A receiver as docs/destinations/webhook.md says that it is to be: it hashes bodies as they come."""

    def __init__(self) -> None:
        self.got: list[Got] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        digest, size, kept = hashlib.sha256(), 0, b""
        async for piece in request.content.iter_chunked(64 << 10):
            digest.update(piece)
            size += len(piece)
            kept = (kept + piece)[:4096]
        self.got.append(Got(request.raw_path, request.headers, digest.hexdigest(), size, kept))
        return web.Response(status=204)


@dataclass
class Yard:
    desk: Desk
    door: Door

    def place(self, send: str = "files", **changed: Any) -> Place:
        secrets_ = {"secret": SECRET, "headers": json.dumps({"Authorization": "Bearer t0ken", "X-Tenant": "7"})}
        return Place("dst_1", "org_acme", {"url": f"{self.door.url}/in?token=hidden", "send": send, **changed}, secrets_)


@asynccontextmanager
async def carrying(rule: AddressRule, silence_seconds: float = 5) -> AsyncIterator[WebhookCarrier]:
    carrier = WebhookCarrier(Guard(rule), silence_seconds)
    try:
        yield carrier
    finally:
        await carrier.close()


@pytest.fixture
async def yard() -> AsyncIterator[Yard]:
    desk = Desk()
    async with serving(desk.handle) as url, door_to(url) as door:
        yield Yard(desk, door)


@pytest.fixture
async def carrier() -> AsyncIterator[WebhookCarrier]:
    async with carrying(AddressRule(loopback=True)) as made:
        yield made


def verified(got: Got) -> Any:
    """What a file's request tells of, if the signature is right. Raises WebhookVerificationError."""
    return Webhook(SECRET).verify(got.headers["waybill-file"], dict(got.headers))


@pytest.mark.parametrize("size", [0, 5, 3 * MIB + 1])
async def test_files_come_one_by_one_signed_and_whole(yard: Yard, carrier: WebhookCarrier, size: int) -> None:
    files, ledger = [Source(secrets.token_bytes(size)), Source(b"second")], Kept()
    await carrier.carry(yard.place(), shipment([files[0].parcel("ü.csv"), files[1].parcel("b.jsonl", "application/jsonl")]), ledger)
    first, second = yard.desk.got
    assert verified(first)["data"] == {
        "export_id": "exp_01", "name": "ü.csv", "number": 1, "count": 2, "bytes": size, "sha256": first.sha256, "media_type": "text/csv",
    }  # fmt: skip
    assert first.size == size and first.sha256 == hashlib.sha256(files[0].content).hexdigest()
    assert verified(second)["data"]["number"] == 2 and second.body == b"second"
    assert first.headers["content-type"] == "text/csv" and first.headers["content-length"] == str(size)
    assert first.headers["content-disposition"] == "attachment; filename=\"_.csv\"; filename*=UTF-8''%C3%BC.csv"
    assert first.headers["authorization"] == "Bearer t0ken" and first.headers["x-tenant"] == "7"
    assert [each.headers["webhook-id"] for each in yard.desk.got] == ["dlv_01_1", "dlv_01_2"]
    assert "transfer-encoding" not in first.headers and first.path == "/in?token=hidden"
    assert ledger.places == {"ü.csv": yard.door.url, "b.jsonl": yard.door.url}


async def test_an_event_is_that_of_any_webhook(yard: Yard, carrier: WebhookCarrier) -> None:
    sent = shipment([Source(b"x").parcel()])
    ledger = Kept()
    for _ in range(2):
        await carrier.carry(yard.place("event"), sent, ledger)
    (got,) = yard.desk.got
    assert Webhook(SECRET).verify(got.body, dict(got.headers)) == json.loads(sent.event)
    assert (got.headers["webhook-id"], got.headers["content-type"]) == ("dlv_01", "application/json")
    assert ledger.places == {"event": yard.door.url}


@pytest.mark.parametrize("send", ["event", "files"])
async def test_a_probe_says_that_it_is_a_test(yard: Yard, carrier: WebhookCarrier, send: str) -> None:
    assert await carrier.probe(yard.place(send)) == yard.door.url
    (got,) = yard.desk.got
    told = verified(got) if send == "files" else Webhook(SECRET).verify(got.body, dict(got.headers))
    assert told["type"] == "webhook.test"
    assert b"This is a test" in got.body


async def test_another_attempt_brings_what_is_left_under_the_same_ids(yard: Yard, carrier: WebhookCarrier) -> None:
    files, ledger = [Source(b"first"), Source(secrets.token_bytes(2 * MIB)), Source(b"third")], Kept()
    sent = shipment([source.parcel(f"{i}.csv") for i, source in enumerate(files)])
    yard.door.fate = lambda asked: LostAnswer() if asked.headers["webhook-id"].endswith("_2") else None
    with pytest.raises(Undelivered) as caught:
        await carrier.carry(yard.place(), sent, ledger)
    assert caught.value.code is Code.disconnected and list(ledger.places) == ["0.csv"]
    yard.door.fate = lambda asked: None
    await carrier.carry(yard.place(), sent, ledger)
    ids = [each.headers["webhook-id"] for each in yard.desk.got]
    assert ids == ["dlv_01_1", "dlv_01_2", "dlv_01_2", "dlv_01_3"]
    assert len({each.sha256 for each in yard.desk.got if each.headers["webhook-id"] == "dlv_01_2"}) == 1
    assert len({each.headers["waybill-file"] for each in yard.desk.got}) == 3


@pytest.mark.parametrize("send", ["event", "files"])
@pytest.mark.parametrize(
    ("fate", "code"),
    [
        (Answered(500), Code.unavailable), (Answered(429, {"Retry-After": "90"}), Code.unavailable), (Answered(401, reading=False), Code.login_failed),
        (Answered(403), Code.permission_denied), (Answered(404), Code.not_found), (Answered(413, reading=False), Code.quota), (Answered(507), Code.quota),
        (Answered(400, body=b"We want\x1b[31m XML\r\n"), Code.rejected), (Answered(302, {"Location": "http://127.0.0.1:1/"}), Code.rejected),
        (Cut(), Code.disconnected), (Cut(2), Code.disconnected), (Hang(), Code.timeout), (Hang(2), Code.timeout), (LostAnswer(), Code.disconnected),
    ],
    ids=["500", "429", "401", "403", "404", "413", "507", "400", "redirect", "cut", "cut-later", "hangs", "hangs-later", "lost"],
)  # fmt: skip
async def test_what_goes_wrong_has_a_word(yard: Yard, send: str, fate: Fate, code: Code, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.delivery.destinations.carriers.webhook.ANSWER_SECONDS", 0.3)
    yard.door.fate = lambda asked: fate
    ledger = Kept()
    async with carrying(AddressRule(loopback=True), 0.3) as carrier:
        with pytest.raises(Undelivered) as caught:
            await carrier.carry(yard.place(send), shipment([Source(secrets.token_bytes(8 * MIB)).parcel()]), ledger)
        assert caught.value.code is code
        assert caught.value.retry_after == (90 if isinstance(fate, Answered) and fate.headers.get("Retry-After") else None)
        assert "hidden" not in caught.value.message and "t0ken" not in caught.value.message and caught.value.message.isprintable()
        with pytest.raises(Undelivered) as caught:
            await carrier.probe(yard.place(send))
        assert caught.value.code is code
    assert ledger.places == {}


async def test_who_says_yes_without_the_file_is_not_believed(yard: Yard, carrier: WebhookCarrier) -> None:
    yard.door.fate = lambda asked: Answered(200, reading=False)
    with pytest.raises(Undelivered) as caught:
        await carrier.carry(yard.place(), shipment([Source(secrets.token_bytes(32 * MIB)).parcel()]), Kept())
    assert caught.value.code is Code.disconnected


async def test_answers_without_an_end_are_cut_off(yard: Yard) -> None:
    """Whatever they hold: two hundred is the word, and no more than 16 KiB are read."""
    written, closed = 0, asyncio.Event()

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal written
        await request.content.read()
        answer = web.StreamResponse()
        await answer.prepare(request)
        try:
            while True:
                await answer.write(b"x" * 4096)
                written += 4096
        except ConnectionError:
            closed.set()
        return answer

    async with serving(endless) as url, carrying(AddressRule(loopback=True)) as carrier:
        place = yard.place("event", url=url)
        await carrier.carry(place, shipment([Source(b"x").parcel()]), Kept())
        await closed.wait()
    assert written < 64 * MIB


async def test_inside_addresses_are_refused_unseen(yard: Yard) -> None:
    async with carrying(PUBLIC_ONLY) as carrier:
        with pytest.raises(Undelivered) as caught:
            await carrier.probe(yard.place())
    assert (caught.value.code, caught.value.again) == (Code.address_refused, False)
    assert yard.door.asked == []


async def test_certificates_are_checked(yard: Yard, carrier: WebhookCarrier, tmp_path: Any) -> None:
    authority = Authority(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*authority.certify("hooks"))
    async with serving(yard.desk.handle, context) as url:
        with pytest.raises(Undelivered) as caught:
            await carrier.probe(yard.place(url=url))
        assert caught.value.code is Code.tls_failed and yard.desk.got == []
        assert await carrier.probe(yard.place(url=url, ca_certificate=authority.file.read_text("ascii"))) == url


async def test_our_own_store_being_away_is_not_theirs(yard: Yard, carrier: WebhookCarrier) -> None:
    source = Source(secrets.token_bytes(5 * MIB))

    async def away() -> None:
        raise TransientError("The store is away", "store")

    source.before_piece = lambda at: away() if at >= 3 * MIB else None
    with pytest.raises(TransientError, match="away"):
        await carrier.carry(yard.place(), shipment([source.parcel()]), Kept())
    assert [each for each in yard.desk.got if each.size == 5 * MIB] == []


async def test_a_cancelled_call_leaves_nothing_open(yard: Yard, carrier: WebhookCarrier) -> None:
    held = asyncio.Event()

    def fate(asked: Asked) -> Fate:
        held.set()
        return Hang(1)

    yard.door.fate = fate
    task = asyncio.create_task(carrier.carry(yard.place(), shipment([Source(secrets.token_bytes(8 * MIB)).parcel()]), Kept()))
    await held.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    while yard.door.open:
        yard.door.closed.clear()
        await yard.door.closed.wait()
    assert yard.desk.got == []
