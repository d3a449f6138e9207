"""A real server of each type of destination, with its carrier: what arrived there, and what is half there. A type that is added has to be added here."""

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.delivery.core.addresses import AddressRule
from services.delivery.core.destinations.registry import all_kinds
from services.delivery.destinations.carrier import Carrier, Place
from services.delivery.destinations.carriers.email import EmailCarrier
from services.delivery.destinations.carriers.s3 import S3Carrier
from services.delivery.destinations.carriers.sftp import SftpCarrier
from services.delivery.destinations.carriers.webhook import TEST_TEXT, WebhookCarrier
from services.delivery.guard import Guard
from services.delivery.mail import Mailer
from shared.storage.s3 import s3_client
from tests.conftest import Stack
from tests.contract.storage.conftest import s3_settings
from tests.integration.delivery.destinations.door import serving as serving_http
from tests.integration.delivery.destinations.test_webhook import SECRET, Desk
from tests.mail_server import serving as serving_mail
from tests.mail_server import settings_of
from tests.ssh_server import fingerprint_of, sshd


@dataclass(frozen=True)
class House:
    """`arrived`: the checksums of the files that somebody there would take for whole. `half`: what is there of others. `size`: bytes of a file that is brought
    in steps, where it can be."""

    make: Callable[[AddressRule], Carrier]
    place: Place
    arrived: Callable[[], Awaitable[list[str]]]
    half: Callable[[], Awaitable[int]]
    size: int
    guarded: bool = True  # the operator's own mail server may be inside


Open = Callable[[Stack, Path], AbstractAsyncContextManager[House]]


def sha256_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def place_of(kind: str, secrets_: dict[str, str], **given: Any) -> Place:
    defaults = {field.name: field.default for field in all_kinds()[kind].fields if not field.secret and field.default is not None}
    return Place("dst_01", "org_acme", {**defaults, **given}, secrets_)


async def nothing() -> int:
    return 0


@asynccontextmanager
async def sftp(stack: Stack, folder: Path) -> AsyncIterator[House]:
    async with sshd(folder) as server:
        home = server.home

        def files() -> list[Path]:
            return [path for path in home.rglob("*") if path.is_file()]

        async def arrived() -> list[str]:
            return [sha256_of(path.read_bytes()) for path in files() if not path.name.startswith(".")]

        async def half() -> int:
            return len([path for path in files() if path.name.startswith(".")])

        place = place_of(
            "sftp", {"private_key": server.key.read_text()}, host="127.0.0.1", port=server.port, username=server.user,
            host_keys=[fingerprint_of(server.host_key("ed25519"))], path="{dataset}",
        )  # fmt: skip
        yield House(lambda rule: SftpCarrier(Guard(rule), silence_seconds=10), place, arrived, half, 9 << 20)


@asynccontextmanager
async def s3(stack: Stack, folder: Path) -> AsyncIterator[House]:
    settings, bucket = s3_settings(stack), f"contract-{secrets.token_hex(4)}"
    client = s3_client(settings)
    await asyncio.to_thread(client.create_bucket, Bucket=bucket)

    def keys() -> list[str]:
        return [each["Key"] for each in client.list_objects_v2(Bucket=bucket).get("Contents", [])]

    async def arrived() -> list[str]:
        return [sha256_of(client.get_object(Bucket=bucket, Key=key)["Body"].read()) for key in await asyncio.to_thread(keys)]

    async def half() -> int:
        return len((await asyncio.to_thread(client.list_multipart_uploads, Bucket=bucket)).get("Uploads", []))

    place = place_of(
        "s3", {"secret_access_key": str(settings.s3_secret_key)}, bucket=bucket, endpoint=str(settings.s3_endpoint), region=settings.s3_region,
        access_key_id=settings.s3_access_key, prefix="{dataset}",
    )  # fmt: skip
    try:
        yield House(lambda rule: S3Carrier(Guard(rule), silence_seconds=10), place, arrived, half, 33 << 20)
    finally:
        for key in keys():
            client.delete_object(Bucket=bucket, Key=key)
        client.delete_bucket(Bucket=bucket)


@asynccontextmanager
async def webhook(stack: Stack, folder: Path) -> AsyncIterator[House]:
    desk = Desk()

    async def arrived() -> list[str]:
        return [got.sha256 for got in desk.got if got.sha256 != sha256_of(TEST_TEXT)]

    async with serving_http(desk.handle) as url:
        place = place_of("webhook", {"secret": SECRET}, url=f"{url}/in", send="files")
        yield House(lambda rule: WebhookCarrier(Guard(rule), silence_seconds=10), place, arrived, nothing, 3 << 20)


@asynccontextmanager
async def email(stack: Stack, folder: Path) -> AsyncIterator[House]:
    async with serving_mail() as post:

        async def arrived() -> list[str]:
            return [sha256_of(each.get_payload(decode=True)) for mail in post.mails for each in mail.message.iter_attachments()]  # type: ignore[arg-type]

        place = place_of("email", {}, to=["ada@b.example"], send="file", attach_bytes_max=20 << 20)
        yield House(lambda rule: EmailCarrier(Mailer(settings_of(post))), place, arrived, nothing, 3 << 20, guarded=False)


HOUSES: dict[str, Open] = {"email": email, "s3": s3, "sftp": sftp, "webhook": webhook}
