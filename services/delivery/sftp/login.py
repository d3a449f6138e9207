"""Who may come in. A name that nobody has, a wrong password, an address that isn't allowed and a lock-out are answered alike, after the same work."""

import asyncio
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncssh
import structlog

from services.delivery.core.sftp import access, keys, lockout, passwords
from services.delivery.core.sftp.bodies import USERNAME_CHARACTERS_MAX
from services.delivery.sftp.metrics import LOGINS
from services.delivery.sftp.store import Row, SftpStore
from services.delivery.threads import Threads
from shared import audit
from shared.errors import TransientError
from shared.outbox import Outbox

log = structlog.get_logger()
TRIES_MAX = 12  # of one connection, keys that were only offered included: agents hold many
PASSWORD_CHARACTERS_MAX = 200
NOBODY = "unknown"  # whose name no user has; what was typed isn't kept, it may be a password


@dataclass(frozen=True)
class User:
    """Who is logged in."""

    id: str
    org_id: str
    username: str
    credentials_at: datetime


class Doorkeeper:
    """What all connections share: the users, what is counted against guessing, and the trail."""

    def __init__(self, store: SftpStore, policy: lockout.Policy, threads: Threads, outbox: Outbox, clock: Callable[[], datetime]) -> None:
        self._store, self._policy, self._threads, self._outbox, self._clock = store, policy, threads, outbox, clock
        self._at_once = asyncio.Semaphore(threads.count)

    async def find(self, username: str) -> Row | None:
        if len(username) > USERNAME_CHARACTERS_MAX or not username.isprintable():
            return None
        return await self._store.user_by_name(username)

    async def try_password(self, row: Row | None, username: str, address: str, password: str) -> bool:
        """Whether it lets in. What is found out under the semaphore is counted under it: guesses that come at once are at most a few more than allowed."""
        counted = lockout.counted(username[: USERNAME_CHARACTERS_MAX + 1], address)
        welcome = row if row is not None and access.allows(row["allowed_networks"], address) else None
        async with self._at_once:
            if await self._store.locked_until(counted, self._clock()) is not None:
                LOGINS.labels("locked_out").inc()
                return False
            kept = bytes(welcome["password"]) if welcome is not None else None
            if await self._threads.run(passwords.matches, password[: PASSWORD_CHARACTERS_MAX + 1], kept):
                await self._store.forget_failures(counted)
                return True
            until = await self._store.count_failure(counted, self._policy, self._clock())
        await self.note_refusal(row, address, "password", "network" if row is not None and welcome is None else "password", until)
        return False

    async def note_login(self, row: Row, address: str, method: str) -> None:
        async with self._store.transaction(row["org_id"]) as connection:
            await self._store.logged_in(connection, row["id"], self._clock())
            noted = audit.note(row["org_id"], f"sftp:{row['id']}", "sftp_user.logged_in", row["id"], {"method": method}, address)
            await self._outbox.add(connection, [noted])
        self._outbox.wake()
        LOGINS.labels("let_in").inc()

    async def note_refusal(self, row: Row | None, address: str, method: str, reason: str, locked_until: datetime | None = None) -> None:
        """In the organisation's trail where the name is one of its users', else in the operator's."""
        details: dict[str, Any] = {"method": method, "reason": reason if row is not None else "user"}
        if locked_until is not None:
            details["locked_until"] = locked_until.isoformat(timespec="seconds")
        org_id, subject = (row["org_id"], row["id"]) if row is not None else (None, NOBODY)
        await self._outbox.publish([audit.note(org_id, f"sftp:{subject}", "sftp_user.login_refused", subject, details, address)])
        LOGINS.labels("refused").inc()
        log.warning(
            "sftp_login_refused", user_id=subject, address=address, method=method, reason=details["reason"], locked=locked_until is not None
        )


class Login(asyncssh.SSHServer):
    """One connection until it is let in; then it is the house's."""

    def __init__(self, house: Any, door: Doorkeeper) -> None:
        self._house, self._door = house, door
        self._conn: Any = None
        self.address = ""
        self._row: Row | None = None
        self._username, self._method = "", ""
        self._tries = 0
        self._key_refused: str | None = None
        self._is_let_in = False

    def connection_made(self, conn: Any) -> None:
        self._conn = conn
        peer = conn.get_extra_info("peername")
        self.address = access.plain(peer[0]) if peer else ""
        self._house.arrived(self, conn)

    def connection_lost(self, exc: Exception | None) -> None:
        self._house.left(self)
        if self._key_refused is not None and not self._is_let_in:
            self._house.see_to(self._door.note_refusal(self._row, self.address, "publickey", self._key_refused))

    async def begin_auth(self, username: str) -> bool:
        self._username = username
        try:
            self._row = await self._door.find(username)
        except TransientError as error:
            self._turn_away(error)
        return True

    def password_auth_supported(self) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    async def validate_password(self, username: str, password: str) -> bool:
        self._key_refused = None
        if not self._may_try():
            return False
        try:
            self._method = "password"
            return await self._door.try_password(self._row, username, self.address, password)
        except TransientError as error:
            self._turn_away(error)
            return False

    def validate_public_key(self, username: str, key: Any) -> bool:
        """Asked twice: for the offer, and with the signature, which asyncssh checks."""
        blob: bytes = key.public_data
        lines = self._row["public_keys"] if self._row is not None else ()
        held = [hmac.compare_digest(keys.parse(line).blob, blob) for line in lines]
        if any(held) and self._row is not None and access.allows(self._row["allowed_networks"], self.address):
            self._method = f"publickey {keys.fingerprint(blob)}"
            return True
        self._key_refused = "network" if any(held) else "key"
        self._may_try()
        return False

    async def auth_completed(self) -> None:
        row = self._row
        try:
            if row is None:  # can't be: nothing above lets such a one in
                raise AssertionError
            user = User(row["id"], row["org_id"], row["username"], row["credentials_at"])
            if not self._house.has_room(self, user):
                return
            self._is_let_in = True
            await self._door.note_login(row, self.address, self._method)
            self._house.let_in(self, user)
        except TransientError as error:
            self._turn_away(error)

    def session_requested(self) -> Any:
        return self._house.session(self)

    def _may_try(self) -> bool:
        self._tries += 1
        if self._tries > TRIES_MAX:
            self._conn.disconnect(asyncssh.DISC_NO_MORE_AUTH_METHODS_AVAILABLE, "Too many tries: connect again.")
            return False
        return True

    def _turn_away(self, error: TransientError) -> None:
        log.warning("sftp_login_waits", dependency=error.dependency, reason=str(error))
        self._conn.disconnect(asyncssh.DISC_SERVICE_NOT_AVAILABLE, "Not available at the moment: try again.")
