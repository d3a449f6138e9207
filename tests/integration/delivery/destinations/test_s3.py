"""Files into a real S3 store (SeaweedFS), by the carrier that deliveries use; and what it makes of stores that fail."""

import asyncio
import secrets
import ssl
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from services.delivery.core.addresses import PUBLIC_ONLY, AddressRule
from services.delivery.core.destinations.problems import Code, Undelivered
from services.delivery.destinations.carrier import Place
from services.delivery.destinations.carriers.s3 import S3Carrier
from services.delivery.guard import Guard
from shared.errors import TransientError
from shared.storage.s3 import s3_client
from tests.conftest import Stack
from tests.contract.storage.conftest import s3_settings
from tests.integration.delivery.destinations.door import Answered, Asked, Cut, Door, Fate, Hang, LostAnswer, door_to, serving
from tests.integration.delivery.destinations.freight import Kept, Source, shipment
from tests.secured.certificates import Authority

MIB = 1 << 20
LARGE = 33 * MIB + 7  # five parts
PART = "partNumber={}&"


@dataclass
class Shop:
    """A bucket of the test's own. `place`: as a destination leads there through `door`."""

    client: Any
    bucket: str
    config: dict[str, Any]
    secret: str
    door: Door

    def place(self, **changed: Any) -> Place:
        secret = changed.pop("secret_access_key", self.secret)
        return Place("dst_1", "org_acme", {**self.config, "endpoint": self.door.url, **changed}, {"secret_access_key": secret})

    def content(self, key: str) -> bytes:
        return bytes(self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read())

    def keys(self) -> list[str]:
        return [each["Key"] for each in self.client.list_objects_v2(Bucket=self.bucket).get("Contents", [])]

    def uploads(self) -> list[str]:
        return [each["UploadId"] for each in self.client.list_multipart_uploads(Bucket=self.bucket).get("Uploads", [])]


@pytest.fixture(scope="module")
def bucket(stack: Stack) -> Iterator[tuple[Any, str]]:
    name = f"destination-{secrets.token_hex(4)}"
    client = s3_client(s3_settings(stack))
    client.create_bucket(Bucket=name)
    yield client, name
    for each in client.list_objects_v2(Bucket=name).get("Contents", []):
        client.delete_object(Bucket=name, Key=each["Key"])
    client.delete_bucket(Bucket=name)


@pytest.fixture
async def shop(stack: Stack, bucket: tuple[Any, str]) -> AsyncIterator[Shop]:
    settings, (client, name) = s3_settings(stack), bucket
    for each in client.list_objects_v2(Bucket=name).get("Contents", []):
        client.delete_object(Bucket=name, Key=each["Key"])
    config = {
        "bucket": name, "region": settings.s3_region, "addressing": "auto", "prefix": "out/{dataset}", "access_key_id": settings.s3_access_key,
    }  # fmt: skip
    async with door_to(str(settings.s3_endpoint)) as door:
        yield Shop(client, name, config, str(settings.s3_secret_key), door)
        assert not (left := [each["Key"] for each in client.list_multipart_uploads(Bucket=name).get("Uploads", [])]), (
            f"uploads are left over: {left}"
        )


@pytest.fixture
async def carrier() -> AsyncIterator[S3Carrier]:
    made = S3Carrier(Guard(AddressRule(loopback=True)), silence_seconds=5)
    yield made
    await made.close()


def once(fate: Fate, method: str, part: str = "") -> Any:
    """To the first such request."""
    left = [fate]

    def decide(asked: Asked) -> Fate:
        return left.pop() if left and asked.method == method and part in asked.url else None

    return decide


def always(fate: Fate, method: str, part: str = "") -> Any:
    return lambda asked: fate if asked.method == method and part in asked.url else None


# ---- what arrives


@pytest.mark.parametrize("size", [0, 5, MIB, 3 * MIB + 1, LARGE])
async def test_a_file_is_there_whole_under_its_key(shop: Shop, carrier: S3Carrier, size: int) -> None:
    source, ledger = Source(secrets.token_bytes(size)), Kept()
    await carrier.carry(shop.place(), shipment([source.parcel("messages ü+=&.csv")]), ledger)
    key = "out/messages/messages ü+=&.csv"
    assert shop.keys() == [key] and shop.content(key) == source.content
    found = shop.client.head_object(Bucket=shop.bucket, Key=key)
    assert found["ContentType"] == "text/csv"
    assert found["Metadata"] == {"sha256": source.parcel().sha256, "export-id": "exp_01", "delivery-id": "dlv_01"}
    assert ledger.places == {"messages ü+=&.csv": f"s3://{shop.bucket}/{key}"}


async def test_what_is_known_to_be_there_is_not_brought_again(shop: Shop, carrier: S3Carrier) -> None:
    first, second = Source(b"first"), Source(b"second")
    await carrier.carry(shop.place(), shipment([first.parcel("a"), second.parcel("b")]), Kept(places={"a": "there"}))
    assert shop.keys() == ["out/messages/b"] and first.reads == []


@pytest.mark.parametrize("size", [5, LARGE], ids=["whole", "in-parts"])
async def test_what_is_there_and_not_known_to_be_is_not_brought_again(shop: Shop, carrier: S3Carrier, size: int) -> None:
    """Killed between the store's answer and its note."""
    source, ledger = Source(secrets.token_bytes(size)), Kept()

    def killed() -> None:
        raise KeyboardInterrupt

    ledger.before_sent = killed
    with pytest.raises(KeyboardInterrupt):
        await carrier.carry(shop.place(), shipment([source.parcel()]), ledger)
    read, ledger.before_sent = len(source.reads), lambda: None
    await carrier.carry(shop.place(), shipment([source.parcel()]), ledger)
    assert len(source.reads) == read and list(ledger.places) == ["messages.csv"]
    assert shop.content("out/messages/messages.csv") == source.content


async def test_another_file_under_the_name_is_replaced(shop: Shop, carrier: S3Carrier) -> None:
    for content in (b"old", b"new"):
        await carrier.carry(shop.place(), shipment([Source(content).parcel()]), Kept())
    assert shop.content("out/messages/messages.csv") == b"new"


async def test_who_may_not_read_still_delivers(shop: Shop, carrier: S3Carrier) -> None:
    shop.door.fate = always(Answered(403), "HEAD")
    for _ in range(2):
        await carrier.carry(shop.place(), shipment([Source(b"x").parcel()]), Kept())
    assert shop.content("out/messages/messages.csv") == b"x"


async def test_a_store_checks_what_it_gets(shop: Shop, carrier: S3Carrier) -> None:
    """A file that isn't what its checksum says is not taken, whatever changed it."""
    parcel = Source(b"what was signed").parcel()
    with pytest.raises(Undelivered) as caught:
        await carrier.carry(
            shop.place(), shipment([parcel.__class__(**{**vars(parcel), "read": Source(b"what was changed"[:15]).read})]), Kept()
        )
    assert caught.value.code is Code.rejected
    assert shop.keys() == []


# ---- going on


async def test_another_attempt_goes_on_with_the_parts_that_are_there(shop: Shop, carrier: S3Carrier) -> None:
    source, ledger = Source(secrets.token_bytes(LARGE)), Kept()
    shop.door.fate = always(Cut(MIB), "PUT", PART.format(4))
    with pytest.raises(Undelivered) as caught:
        await carrier.carry(shop.place(), shipment([source.parcel()]), ledger)
    assert caught.value.code is Code.disconnected and shop.keys() == [] and len(shop.uploads()) == 1
    shop.door.fate, before = lambda asked: None, [each for each in shop.door.asked if each.is_part()]
    await carrier.carry(shop.place(), shipment([source.parcel()]), ledger)
    again = [each.url.partition("partNumber=")[2][0] for each in shop.door.asked if each.is_part()][len(before) :]
    assert "1" not in again and "2" not in again and "4" in again
    assert source.reads[-1] > 0
    assert shop.content("out/messages/messages.csv") == source.content


async def test_an_upload_that_is_gone_is_begun_anew(shop: Shop, carrier: S3Carrier) -> None:
    source, ledger = Source(secrets.token_bytes(LARGE)), Kept()
    shop.door.fate = always(Cut(), "PUT", PART.format(2))
    with pytest.raises(Undelivered):
        await carrier.carry(shop.place(), shipment([source.parcel()]), ledger)
    shop.door.fate = lambda asked: None
    await carrier.abandon(shop.place(), ledger.notes)
    assert shop.uploads() == []
    await carrier.abandon(shop.place(), ledger.notes)
    await carrier.carry(shop.place(), shipment([source.parcel()]), ledger)
    assert shop.content("out/messages/messages.csv") == source.content


async def test_an_upload_whose_id_was_lost_is_taken_away(shop: Shop, carrier: S3Carrier) -> None:
    """Killed between the store's answer and the note of the id. Other keys' uploads are nobody's business of ours."""
    source, ledger = Source(secrets.token_bytes(LARGE)), Kept()
    shop.door.fate = once(LostAnswer(), "POST", "?uploads")
    other = shop.client.create_multipart_upload(Bucket=shop.bucket, Key="out/messages/messages.csv.other")["UploadId"]
    with pytest.raises(Undelivered):
        await carrier.carry(shop.place(), shipment([source.parcel()]), ledger)
    assert len(shop.uploads()) == 2
    await carrier.carry(shop.place(), shipment([source.parcel()]), ledger)
    assert shop.uploads() == [other]
    shop.client.abort_multipart_upload(Bucket=shop.bucket, Key="out/messages/messages.csv.other", UploadId=other)
    assert shop.content("out/messages/messages.csv") == source.content


async def test_an_answer_that_was_lost_at_the_very_end(shop: Shop, carrier: S3Carrier) -> None:
    source, ledger = Source(secrets.token_bytes(LARGE)), Kept()
    shop.door.fate = once(LostAnswer(), "POST", "?uploadId=")
    with pytest.raises(Undelivered) as caught:
        await carrier.carry(shop.place(), shipment([source.parcel()]), ledger)
    assert caught.value.code is Code.disconnected
    read = len(source.reads)
    await carrier.carry(shop.place(), shipment([source.parcel()]), ledger)
    assert len(source.reads) == read and shop.content("out/messages/messages.csv") == source.content


async def test_a_prefix_that_was_changed_in_between_leaves_nothing(shop: Shop, carrier: S3Carrier) -> None:
    source, ledger = Source(secrets.token_bytes(LARGE)), Kept()
    shop.door.fate = always(Cut(), "PUT", PART.format(3))
    with pytest.raises(Undelivered):
        await carrier.carry(shop.place(), shipment([source.parcel()]), ledger)
    shop.door.fate = lambda asked: None
    await carrier.carry(shop.place(prefix="elsewhere"), shipment([source.parcel()]), ledger)
    assert shop.keys() == ["elsewhere/messages.csv"] and shop.uploads() == []


async def test_a_completion_that_fails_behind_its_200(shop: Shop, carrier: S3Carrier) -> None:
    source, ledger = Source(secrets.token_bytes(LARGE)), Kept()
    shop.door.fate = once(Answered(200, body=b"<?xml version='1.0'?>\n<Error><Code>InternalError</Code></Error>"), "POST", "?uploadId=")
    with pytest.raises(Undelivered) as caught:
        await carrier.carry(shop.place(), shipment([source.parcel()]), ledger)
    assert caught.value.code is Code.unavailable and ledger.places == {}
    await carrier.carry(shop.place(), shipment([source.parcel()]), ledger)
    assert shop.content("out/messages/messages.csv") == source.content


# ---- faults


@pytest.mark.parametrize("size", [5, LARGE], ids=["whole", "in-parts"])
@pytest.mark.parametrize(
    "fate",
    [Answered(500), Answered(503, body=b"<Error><Code>SlowDown</Code></Error>"), Cut(2), LostAnswer()],
    ids=["500", "slow-down", "cut", "lost"],
)
async def test_what_fails_once_is_tried_again_at_once(shop: Shop, carrier: S3Carrier, size: int, fate: Fate) -> None:
    source = Source(secrets.token_bytes(size))
    shop.door.fate = once(fate, "PUT")
    await carrier.carry(shop.place(), shipment([source.parcel()]), Kept())
    assert shop.content("out/messages/messages.csv") == source.content


@pytest.mark.parametrize(
    ("fate", "code"),
    [
        (Answered(503, {"Retry-After": "120"}), Code.unavailable), (Cut(3), Code.disconnected), (Hang(3), Code.timeout), (Hang(0), Code.timeout),
        (Answered(507), Code.quota), (Answered(400, body=b"<Error><Code>EntityTooLarge</Code></Error>", reading=False), Code.quota),
        (Answered(307, {"Location": "http://127.0.0.1:1/"}), Code.rejected), (Answered(403, body=b"<Error><Code>AccessDenied</Code></Error>"), Code.permission_denied),
        (Answered(200, body=b"<html>Welcome!</html>"), Code.rejected),
    ],
    ids=["busy", "cut", "hangs", "hangs-at-once", "full", "too-large", "redirect", "denied", "no-store"],
)  # fmt: skip
async def test_what_goes_wrong_has_a_word(shop: Shop, fate: Fate, code: Code) -> None:
    carrier = S3Carrier(Guard(AddressRule(loopback=True)), silence_seconds=0.3)
    shop.door.fate = always(fate, "PUT")
    try:
        with pytest.raises(Undelivered) as caught:
            await carrier.carry(shop.place(), shipment([Source(secrets.token_bytes(4 * MIB)).parcel()]), Kept())
        assert caught.value.code is code
        assert shop.secret not in caught.value.message
        assert caught.value.retry_after == (120 if code is Code.unavailable else None)
        with pytest.raises(Undelivered) as caught:
            await carrier.probe(shop.place())
        assert caught.value.code is code
    finally:
        await carrier.close()
    assert shop.keys() == []


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"access_key_id": "nobody"}, Code.login_failed), ({"secret_access_key": "wrong"}, Code.login_failed), ({"bucket": "no-such-bucket-here"}, Code.not_found),
        ({"endpoint": "https://no-such-host.invalid"}, Code.name_not_found),
    ],
    ids=["key", "secret", "bucket", "name"],
)  # fmt: skip
async def test_wrong_settings_are_told_apart(shop: Shop, carrier: S3Carrier, changed: dict[str, Any], code: Code) -> None:
    with pytest.raises(Undelivered) as caught:
        await carrier.probe(shop.place(**changed))
    assert caught.value.code is code
    with pytest.raises(Undelivered) as caught:
        await carrier.carry(shop.place(**changed), shipment([Source(b"x" * 20 * MIB).parcel()]), Kept())
    assert caught.value.code is code


async def test_a_probe_leaves_nothing(shop: Shop, carrier: S3Carrier) -> None:
    assert await carrier.probe(shop.place()) == f"s3://{shop.bucket}/out/waybill-test-dst_1.txt"
    assert shop.keys() == [] and shop.door.count("PUT") == 1


async def test_a_probe_of_who_may_only_write_says_so(shop: Shop, carrier: S3Carrier) -> None:
    shop.door.fate = lambda asked: Answered(403) if asked.method in ("HEAD", "DELETE") else None
    assert "s3:DeleteObject" in await carrier.probe(shop.place())
    assert shop.keys() == ["out/waybill-test-dst_1.txt"]


async def test_an_inside_address_is_refused_unseen(shop: Shop) -> None:
    carrier = S3Carrier(Guard(PUBLIC_ONLY))
    try:
        with pytest.raises(Undelivered) as caught:
            await carrier.probe(shop.place())
    finally:
        await carrier.close()
    assert (caught.value.code, caught.value.again) == (Code.address_refused, False)
    assert shop.door.asked == []


async def test_a_store_of_ones_own_authority(shop: Shop, carrier: S3Carrier, tmp_path: Any) -> None:
    authority = Authority(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*authority.certify("store"))
    async with serving(shop.door.handle, context) as url:
        trusted = shop.place(endpoint=url, ca_certificate=authority.file.read_text("ascii"))
        assert await carrier.probe(trusted)
        other = Authority(tmp_path, "other")
        for place in (shop.place(endpoint=url), shop.place(endpoint=url, ca_certificate=other.file.read_text("ascii"))):
            with pytest.raises(Undelivered) as caught:
                await carrier.probe(place)
            assert caught.value.code is Code.tls_failed
            assert "certificate" in caught.value.message


# ---- our own side


@pytest.mark.parametrize("size", [5 * MIB, LARGE], ids=["whole", "in-parts"])
async def test_our_own_store_being_away_is_not_theirs(shop: Shop, carrier: S3Carrier, size: int) -> None:
    source, ledger = Source(secrets.token_bytes(size)), Kept()

    async def away() -> None:
        raise TransientError("The store is away", "store")

    source.before_piece = lambda at: away() if at >= 3 * MIB else None
    with pytest.raises(TransientError, match="away"):
        await carrier.carry(shop.place(), shipment([source.parcel()]), ledger)
    assert shop.keys() == []
    await carrier.abandon(shop.place(), ledger.notes)


@pytest.mark.parametrize("size", [5 * MIB, LARGE], ids=["whole", "in-parts"])
async def test_a_cancelled_call_leaves_nothing_open(shop: Shop, carrier: S3Carrier, size: int) -> None:
    source, ledger, held = Source(secrets.token_bytes(size)), Kept(), asyncio.Event()

    def fate(asked: Asked) -> Fate:
        if asked.method == "PUT":
            held.set()
            return Hang(1)
        return None

    shop.door.fate = fate
    task = asyncio.create_task(carrier.carry(shop.place(), shipment([source.parcel()]), ledger))
    await held.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    while shop.door.open:
        shop.door.closed.clear()
        await shop.door.closed.wait()
    assert shop.keys() == [] and ledger.places == {}
    shop.door.fate = lambda asked: None
    await carrier.carry(shop.place(), shipment([source.parcel()]), ledger)
    assert shop.content("out/messages/messages.csv") == source.content


async def test_memory_for_parts_is_bounded_over_all_deliveries(shop: Shop, carrier: S3Carrier) -> None:
    """Ten at once: never more is read ahead of what the store has taken than there is room for."""
    sources = [Source(secrets.token_bytes(33 * MIB)) for _ in range(4)]
    budget, least = carrier._means.budget, [1 << 60]
    take = budget.take

    async def watched(size: int) -> None:
        await take(size)
        least[0] = min(least[0], budget._left)

    budget.take = watched  # type: ignore[method-assign]
    await asyncio.gather(*(carrier.carry(shop.place(), shipment([s.parcel(f"{i}.csv")]), Kept()) for i, s in enumerate(sources)))
    assert 0 <= least[0] < budget._all
    assert budget._left == budget._all
    assert all(shop.content(f"out/messages/{i}.csv") == s.content for i, s in enumerate(sources))


async def test_a_key_that_is_too_long_is_refused_before_anything_is_sent(shop: Shop, carrier: S3Carrier) -> None:
    prefix = "/".join(["a" * 200] * 5)
    with pytest.raises(Undelivered) as caught:
        await carrier.carry(shop.place(prefix=prefix), shipment([Source(b"x").parcel("x" * 100)]), Kept())
    assert (caught.value.code, caught.value.again) == (Code.rejected, False)
    assert shop.door.asked == []
