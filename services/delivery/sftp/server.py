"""The SFTP server of one process: it listens, keeps count of who is there, ends what may go on no longer, and leaves in an orderly way."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import asyncssh
import structlog

from services.delivery.sftp.files import Files, Reader
from services.delivery.sftp.host_keys import HostKeys
from services.delivery.sftp.login import Doorkeeper, Login, User
from services.delivery.sftp.metrics import CONNECTIONS, REFUSED
from services.delivery.sftp.noting import Notes
from services.delivery.sftp.session import Session
from services.delivery.sftp.store import SftpStore
from services.delivery.threads import Threads
from shared.background import Background
from shared.consumer import persist
from shared.errors import TransientError
from shared.storage import ObjectStore

log = structlog.get_logger()
SESSIONS_MAX = 4  # of a connection
WINDOW_BYTES = 64 * 1024  # of what a client may send ahead: requests are short
KEEPALIVE_SECONDS, KEEPALIVES_MAX = 30, 3  # a client that is gone without a word is noticed in two minutes
LOOK_SECONDS = 5.0  # after so long a change of a user's credentials ends sessions
UPKEEP_SECONDS = 60.0
STOP_SECONDS, GOODBYE_SECONDS = 3.0, 1.0
# No SHA-1, no CBC, no RC4, no DSA. AES-GCM first: it is the fastest here by far.
KEX = (
    "curve25519-sha256", "curve25519-sha256@libssh.org", "ecdh-sha2-nistp256", "ecdh-sha2-nistp384", "ecdh-sha2-nistp521",
    "diffie-hellman-group16-sha512", "diffie-hellman-group18-sha512", "diffie-hellman-group14-sha256",
)  # fmt: skip
CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes256-ctr", "aes192-ctr", "aes128-ctr")
MACS = ("hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512")
SIGNATURES = (
    "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "rsa-sha2-512", "rsa-sha2-256",
)  # fmt: skip


@dataclass(frozen=True)
class Limits:
    """Connections of this process: all of them, of one organisation, and such as haven't logged in yet (the half of all)."""

    connections: int
    of_organisation: int
    login_seconds: float
    idle_seconds: float


@dataclass(eq=False)
class _Guest:
    """A connection."""

    conn: Any
    can_send: asyncio.Event
    user: User | None = None
    files: "asyncio.Future[Files]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    sessions: list[Session] = field(default_factory=list)


class SftpServer:
    """`address` is host:port."""

    def __init__(
        self, address: str, store: SftpStore, objects: ObjectStore, threads: Threads, notes: Notes, door: Doorkeeper, host_keys: HostKeys,
        limits: Limits, upkeep: Callable[[], Coroutine[Any, Any, None]], clock: Callable[[], datetime],
    ) -> None:  # fmt: skip
        self._address, self._store, self._objects, self._threads, self._notes = address, store, objects, threads, notes
        self._door, self._host_keys, self._limits, self._upkeep, self._clock = door, host_keys, limits, upkeep, clock
        self._guests: dict[Login, _Guest] = {}
        self._by_org: Counter[str] = Counter()
        self._background = Background()
        self._acceptor: Any = None
        self._offered: list[str] = []
        self._leaving = False
        self.port = 0

    # ---- life

    async def start(self) -> None:
        """Listen. Raises OSError where the address can't be had, TransientError where the host keys can't."""
        logging.getLogger("asyncssh").setLevel(logging.WARNING)  # it would tell of names that were typed
        host, _, port = self._address.rpartition(":")
        await self._host_keys.ensure()
        await self._host_keys.seal_again()
        offered = await self._host_keys.load()
        self._acceptor = await asyncssh.listen(
            host.strip("[]"), int(port), server_factory=lambda: Login(self, self._door), server_host_keys=list(offered.values()), send_server_host_keys=True,
            server_version="Waybill", kex_algs=KEX, encryption_algs=CIPHERS, mac_algs=MACS, signature_algs=SIGNATURES, compression_algs=None,
            password_auth=True, public_key_auth=True, kbdint_auth=False, host_based_auth=False, gss_host=None, gss_auth=False, gss_kex=False,
            allow_pty=False, x11_forwarding=False, agent_forwarding=False, line_editor=False, encoding=None, allow_scp=False,
            login_timeout=self._limits.login_seconds, keepalive_interval=KEEPALIVE_SECONDS, keepalive_count_max=KEEPALIVES_MAX,
            window=WINDOW_BYTES, backlog=512, reuse_address=True, config=None,
        )  # fmt: skip
        self._offered = list(offered)
        self.port = self._acceptor.get_port()
        log.info("sftp_listens", address=self._address, host_keys=self._offered)

    async def run(self) -> None:
        """Listen, for as long as the process lives. Sessions of users that were deleted or changed end; host keys that others made are taken over."""
        await persist(self.start)
        looks = 0
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.look()
                if (looks := looks + 1) * LOOK_SECONDS >= UPKEEP_SECONDS:
                    looks = 0
                    await self._upkeep()
                    await self.take_over_host_keys()
            except TransientError as error:
                log.warning("sftp_upkeep_waits", dependency=error.dependency, reason=str(error))

    async def look(self) -> None:
        there = {guest.user.id for guest in self._guests.values() if guest.user is not None}
        if not there:
            return
        changed = await self._store.credentials(sorted(there))
        for guest in list(self._guests.values()):
            if guest.user is not None and changed.get(guest.user.id) != guest.user.credentials_at:
                guest.conn.disconnect(asyncssh.DISC_BY_APPLICATION, "The user was changed or deleted: log in again.")

    async def take_over_host_keys(self) -> None:
        offered = await self._host_keys.load()
        if list(offered) != self._offered and self._acceptor is not None:
            self._acceptor.update(server_host_keys=list(offered.values()))
            self._offered = list(offered)
            log.info("sftp_host_keys_taken_over", host_keys=self._offered)

    async def check(self) -> None:
        """Raises TransientError where nobody could connect."""
        if self._acceptor is None:
            raise TransientError("The SFTP server doesn't listen yet", "The SFTP server")

    async def leave(self) -> None:
        """No more connections; those with nothing in hand end at once."""
        self._leaving = True
        if self._acceptor is not None:
            self._acceptor.close()
        for guest in list(self._guests.values()):
            if not any(session.is_busy for session in guest.sessions):
                _say_goodbye(guest)

    async def close(self) -> None:
        """What is in hand may end for a few seconds; clients go on from where they were with the next connection."""
        await _until(lambda: not any(session.is_busy for guest in self._guests.values() for session in guest.sessions), STOP_SECONDS)
        for guest in list(self._guests.values()):
            _say_goodbye(guest)
        await _until(lambda: not self._guests, GOODBYE_SECONDS)
        await self._background.finished()

    # ---- what connections tell (see Login)

    def arrived(self, login: Login, conn: Any) -> None:
        can_send = asyncio.Event()
        can_send.set()
        # asyncssh ignores that the socket's buffer is full: what a client doesn't take would pile up in memory.
        conn.pause_writing, conn.resume_writing = can_send.clear, can_send.set
        self._guests[login] = _Guest(conn, can_send)
        CONNECTIONS.set(len(self._guests))
        strangers = sum(guest.user is None for guest in self._guests.values())
        if len(self._guests) > self._limits.connections or strangers > max(1, self._limits.connections // 2):
            self._refuse(conn, "all")

    def left(self, login: Login) -> None:
        guest = self._guests.pop(login, None)
        if guest is None:
            return
        CONNECTIONS.set(len(self._guests))
        if guest.user is not None:
            self._by_org[guest.user.org_id] -= 1
        if guest.files.done():
            guest.files.result().close_all()
        else:
            guest.files.cancel()

    def has_room(self, login: Login, user: User) -> bool:
        """Whether the user's organisation may have one more; if so, it is counted."""
        guest = self._guests.get(login)
        if guest is None:
            return False
        if self._by_org[user.org_id] >= self._limits.of_organisation:
            self._refuse(guest.conn, "organisation")
            return False
        guest.user = user
        self._by_org[user.org_id] += 1
        return True

    def let_in(self, login: Login, user: User) -> None:
        guest = self._guests.get(login)
        if guest is not None and not guest.files.done():
            reader = Reader(user.org_id, user.id, login.address)
            guest.files.set_result(Files(reader, self._store, self._objects, self._threads, self._notes))

    def session(self, login: Login) -> Session | bool:
        guest = self._guests.get(login)
        if guest is None or self._leaving:
            return False
        guest.sessions = [each for each in guest.sessions if not each.is_over]
        if len(guest.sessions) >= SESSIONS_MAX:
            return False

        def end(why: str) -> None:
            guest.conn.disconnect(asyncssh.DISC_BY_APPLICATION, why)

        session = Session(lambda: asyncio.shield(guest.files), guest.can_send, self._limits.idle_seconds, end)
        guest.sessions.append(session)
        return session

    def see_to(self, work: Coroutine[Any, Any, None]) -> None:
        """Have it done; nobody waits for it."""
        self._background.start("see to an SFTP connection", work)

    def _refuse(self, conn: Any, limit: str) -> None:
        REFUSED.labels(limit).inc()
        conn.disconnect(asyncssh.DISC_TOO_MANY_CONNECTIONS, "Too many connections: try again in a while.")


async def _until(holds: Callable[[], bool], seconds: float) -> None:
    for _ in range(round(seconds / 0.05)):
        if holds():
            return
        await asyncio.sleep(0.05)


def _say_goodbye(guest: _Guest) -> None:
    guest.conn.disconnect(asyncssh.DISC_SERVICE_NOT_AVAILABLE, "The server is being stopped: connect again.")
