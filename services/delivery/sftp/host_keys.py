"""The keys by which clients know the server: made once, sealed in PostgreSQL, the same in every delivery process and after every restart."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncssh
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from services.delivery.core.sftp.keys import parse
from services.delivery.core.sftp.view import host_key_view
from services.delivery.sftp.store import Row, SftpStore, load, rows
from services.delivery.threads import Threads
from shared import audit
from shared.database import Connection
from shared.errors import TransientError
from shared.outbox import Outbox
from shared.sealing import CannotOpen, Seal

log = structlog.get_logger()
KINDS = ("ssh-ed25519", "ssh-rsa")  # the second for clients that are too old for the first
ALGORITHMS = (b"ssh-ed25519", b"rsa-sha2-512", b"rsa-sha2-256")  # an RSA key could sign with SHA-1 too
RSA_BITS = 3072
ACTOR = "service:delivery"


@dataclass(frozen=True)
class Made:
    id: str
    kind: str
    public_key: str
    private: bytes


class HostKeys:
    """`announced` is for how long a new key is told to clients before it is used."""

    def __init__(
        self, store: SftpStore, seal: Seal, threads: Threads, outbox: Outbox, announced: timedelta, clock: Callable[[], datetime]
    ) -> None:
        self._store, self._seal, self._threads, self._outbox = store, seal, threads, outbox
        self._announced, self._clock, self._queries = announced, clock, load()

    async def ensure(self) -> None:
        """Make the first ones where there are none."""
        async with self._store.own() as connection:
            if await rows(self._queries.host_keys(connection)):
                return
            await self._queries.lock_host_keys(connection)
            if not await rows(self._queries.host_keys(connection)):
                made = await self._add(connection, self._clock())
                await self._outbox.add(connection, [audit.note(None, ACTOR, "sftp_host_key.created", each) for each in made])
        self._outbox.wake()

    async def load(self) -> dict[str, asyncssh.SSHKeyPair]:
        """By fingerprint: those that are used, then those that are announced. Raises TransientError where one can't be opened with the secret keys that are set."""
        return {row["id"]: self._opened(row) for row in await self.rows()}

    async def rows(self) -> list[Row]:
        """Of each kind the one that is used, then all that are announced, the soonest first."""
        async with self._store.own() as connection:
            found = await rows(self._queries.host_keys(connection))
        return _offered(found, self._clock())

    async def show(self) -> list[dict[str, Any]]:
        now = self._clock()
        return [host_key_view(row, now) for row in await self.rows()]

    async def rotate(self, address: str = "") -> list[dict[str, Any]]:
        """New keys are announced from now on and used after a while. All host keys as they are then."""
        now = self._clock()
        async with self._store.own() as connection:
            await self._queries.lock_host_keys(connection)
            found = await rows(self._queries.host_keys(connection))
            kept = {row["id"] for row in _offered(found, now)}
            await self._queries.forget_host_keys(connection, ids=[row["id"] for row in found if row["id"] not in kept])
            made = await self._add(connection, now + self._announced)
            await self._outbox.add(connection, [audit.by_operator("sftp_host_key.rotated", each, address=address) for each in made])
        self._outbox.wake()
        log.info("sftp_host_keys_rotated", made=made)
        return await self.show()

    async def seal_again(self) -> None:
        """With the present secret key what was sealed with an earlier one."""
        async with self._store.own() as connection:
            for row in await rows(self._queries.host_keys(connection)):
                if not row["sealed"].startswith(self._seal.prefix):
                    sealed = self._seal.seal(self._open(row), row["id"])
                    await self._queries.seal_host_key(connection, id=row["id"], sealed=sealed)

    async def _add(self, connection: Connection, used_from: datetime) -> list[str]:
        """One of each kind; their fingerprints."""
        made = [await self._threads.run(_make, kind) for kind in KINDS]
        for key in made:
            sealed = self._seal.seal(key.private, key.id)
            await self._queries.add_host_key(
                connection, id=key.id, kind=key.kind, public_key=key.public_key, sealed=sealed, now=self._clock(), used_from=used_from
            )
        return [key.id for key in made]

    def _opened(self, row: Row) -> asyncssh.SSHKeyPair:
        [pair] = asyncssh.load_keypairs([asyncssh.import_private_key(self._open(row))])
        pair.host_key_algorithms = [each for each in pair.host_key_algorithms if each in ALGORITHMS]
        return pair

    def _open(self, row: Row) -> bytes:
        try:
            return self._seal.open(row["sealed"], row["id"])
        except CannotOpen as error:
            raise TransientError(f"The SFTP host key {row['id']} can't be opened: {error}", "The SFTP host keys") from None


def _offered(found: list[Row], now: datetime) -> list[Row]:
    """`found` is newest first."""
    used: dict[str, Row] = {}
    for row in found:
        if row["used_from"] <= now:
            used.setdefault(row["kind"], row)
    announced = [row for row in reversed(found) if row["used_from"] > now]
    return [used[kind] for kind in KINDS if kind in used] + announced


def _make(kind: str) -> Made:
    key = Ed25519PrivateKey.generate() if kind == "ssh-ed25519" else generate_private_key(65537, RSA_BITS)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    public = parse(key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode())
    return Made(public.fingerprint, kind, public.line, private)
