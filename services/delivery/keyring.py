"""The keys that sign manifests: made here, sealed in PostgreSQL, published for whoever verifies."""

import secrets
from dataclasses import dataclass, field

import asyncpg
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.delivery.core.sealing import NONCE_BYTES, CannotOpen, open_sealed, seal
from services.delivery.queries import load, rows
from shared import audit
from shared.clock import instant
from shared.database import Connection, sorted_errors
from shared.errors import TransientError, conflict, not_found
from shared.outbox import Outbox
from shared.signing import PublicKey, key_id

log = structlog.get_logger()
ACTOR = "service:delivery"


@dataclass(frozen=True)
class Signer:
    """The key that signs now."""

    key_id: str
    private: bytes = field(repr=False)


class Keyring:
    """`secret` seals the private keys; it is the same in every process. A private key is decrypted once a process and never leaves it."""

    def __init__(self, pool: asyncpg.Pool, secret: str, outbox: Outbox) -> None:
        self._pool, self._secret, self._outbox, self._queries = pool, secret, outbox, load()
        self._signer: Signer | None = None

    async def ensure(self) -> None:
        """Make the first key where there is none."""
        with sorted_errors():
            async with self._pool.acquire(timeout=5) as connection, connection.transaction():
                if await self._queries.current_signing_key(connection) is not None:
                    return
                await self._queries.lock_signing_keys(connection)
                if await self._queries.current_signing_key(connection) is None:
                    made = await self._add(connection)
                    await self._outbox.add(connection, [audit.note(None, ACTOR, "signing_key.created", made)])
        self._outbox.wake()

    async def signer(self, current: str | None) -> Signer:
        """The key with the id `current`, which the caller has just read, or the one that has taken its place since.

        Raises TransientError where it can't be opened: exports wait until the secret is right again, or the operator rotates the key.
        """
        known = self._signer
        if known is not None and known.key_id == current:
            return known
        if current is None:
            await self.ensure()
        with sorted_errors():
            async with self._pool.acquire(timeout=5) as connection:
                row = await self._queries.current_signing_key(connection)
        self._signer = Signer(row["id"], self._opened(row["id"], row["sealed"]))
        return self._signer

    async def check(self) -> None:
        """Raises TransientError where nothing could be signed."""
        with sorted_errors():
            row = await self._queries.current_signing_key(self._pool)
        if row is not None:
            self._opened(row["id"], row["sealed"])

    async def public(self) -> list[PublicKey]:
        """Every key that ever signed, newest first."""
        with sorted_errors():
            found = await rows(self._queries.signing_keys(self._pool))
        return [PublicKey(r["public_key"], instant(r["created_at"]), instant(r["retired_at"]), instant(r["revoked_at"])) for r in found]

    async def rotate(self, address: str = "") -> tuple[str, str | None]:
        """A new key signs from now on: (its id, the id of the one that has retired)."""
        with sorted_errors():
            async with self._pool.acquire(timeout=5) as connection, connection.transaction():
                await self._queries.lock_signing_keys(connection)
                retired = await self._queries.retire_signing_key(connection)
                made = await self._add(connection)
                await self._outbox.add(connection, [audit.by_operator("signing_key.rotated", made, {"retired": retired}, address)])
        self._outbox.wake()
        log.info("signing_key_rotated", key_id=made, retired=retired)
        return made, retired

    async def revoke(self, key_id_: str, address: str = "") -> None:
        """Nothing that this key has signed counts any more. Raises ApiError: 404, and 409 for the key that signs now."""
        with sorted_errors():
            async with self._pool.acquire(timeout=5) as connection, connection.transaction():
                await self._queries.lock_signing_keys(connection)
                current = await self._queries.current_signing_key(connection)
                if current is not None and current["id"] == key_id_:
                    raise conflict("This is the key that signs now: rotate first, then revoke it.")
                if await self._queries.revoke_signing_key(connection, id=key_id_) is None:
                    raise not_found("The signing key")
                await self._outbox.add(connection, [audit.by_operator("signing_key.revoked", key_id_, address=address)])
        self._outbox.wake()
        log.warning("signing_key_revoked", key_id=key_id_)

    async def _add(self, connection: Connection) -> str:
        key = Ed25519PrivateKey.generate()
        public = key.public_key().public_bytes_raw()
        made = key_id(public)
        sealed = seal(self._secret, made, key.private_bytes_raw(), secrets.token_bytes(NONCE_BYTES))
        await self._queries.add_signing_key(connection, id=made, public_key=public, sealed=sealed)
        log.info("signing_key_made", key_id=made)
        return made

    def _opened(self, key_id_: str, sealed: bytes) -> bytes:
        try:
            return open_sealed(self._secret, key_id_, sealed)
        except CannotOpen:
            what = (
                f"The signing key {key_id_} can't be opened with this WAYBILL_SIGNING_SECRET; `waybill signing-keys rotate` makes another"
            )
            raise TransientError(what, "The signing key") from None
