"""An SSH connection to a destination: over the guarded socket, to the very server that is pinned, with nothing of this machine's own (keys, agents,
configuration). No password and no signature goes out before the server has proved to be who it should be."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncssh

from services.delivery.core.destinations.pins import Pin, handshakes
from services.delivery.core.destinations.problems import Code, Undelivered
from services.delivery.core.mail import quoted
from services.delivery.core.sftp.keys import fingerprint
from services.delivery.destinations.reaching import reach, unreached
from services.delivery.guard import Guard
from services.delivery.sftp.server import CIPHERS, KEX, MACS, SIGNATURES

LOGIN_SECONDS = 20.0  # from the connection to the login
KEEPALIVE_SECONDS, KEEPALIVES_MAX = 15, 4
CLOSE_SECONDS = 2.0


@dataclass(frozen=True)
class Account:
    """Whom we log in as, and where. `secrets`: password, private_key, passphrase."""

    host: str
    port: int
    username: str
    pins: Sequence[Pin]
    secrets: Mapping[str, str] = field(repr=False)

    @property
    def where(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class _Client(asyncssh.SSHClient):
    """Compares the server's key with what is pinned, and gives each secret once."""

    def __init__(self, account: Account, key: asyncssh.SSHKey | None) -> None:
        self._account, self._keys = account, [key] if key else []
        self._passwords = [account.secrets["password"]] if "password" in account.secrets else []
        self._connection: Any = None
        self.shown: asyncssh.SSHKey | None = None
        self.offered: list[str] = []  # ways to log in that the server has

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        self._connection = conn

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        self.shown = key
        return fingerprint(key.public_data) in {pin.fingerprint for pin in self._account.pins}

    def public_key_auth_requested(self) -> asyncssh.SSHKey | None:
        self._look()
        return self._keys.pop() if self._keys else None

    def password_auth_requested(self) -> str | None:
        self._look()
        return self._passwords.pop() if self._passwords else None

    def kbdint_auth_requested(self) -> str | None:
        self._look()
        return "" if self._passwords else None

    def kbdint_challenge_received(self, name: str, instructions: str, lang: str, prompts: Any) -> list[str] | None:
        """Where a server asks for the password in this way. More than one question is for people."""
        if not prompts:
            return []
        return [self._passwords.pop()] if len(prompts) == 1 and self._passwords else None

    def _look(self) -> None:
        self.offered += [each for each in self._connection.get_server_auth_methods() if each not in self.offered]


@asynccontextmanager
async def logged_in(guard: Guard, account: Account) -> AsyncIterator[asyncssh.SSHClientConnection]:
    """Raises Undelivered. However it ends, the connection is closed."""
    connection = await _verified(guard, account, await asyncio.to_thread(_private_key, account))
    try:
        yield connection
    finally:
        connection.close()
        with contextlib.suppress(TimeoutError, OSError, asyncssh.Error):
            async with asyncio.timeout(CLOSE_SECONDS):
                await connection.wait_closed()
        connection.abort()


async def _verified(guard: Guard, account: Account, key: asyncssh.SSHKey | None) -> asyncssh.SSHClientConnection:
    """A server shows one host key only, of the kind that we like best: where it isn't pinned, each other kind is asked for that may be meant."""
    shown: asyncssh.SSHKey | None = None
    for signatures in handshakes(account.pins):
        client = _Client(account, key)
        try:
            return await _connect(guard, account, client, signatures)
        except asyncssh.HostKeyNotVerifiable:
            shown = shown or client.shown
        except asyncssh.PermissionDenied as error:
            raise _refused(account, client) from error
        except (asyncssh.Error, OSError, EOFError) as error:
            if shown is not None and isinstance(error, (asyncssh.DisconnectError, ConnectionError)):
                continue  # it has no key of this kind
            if isinstance(error, asyncssh.KeyExchangeFailed):
                raise Undelivered(
                    Code.rejected, f"{account.where} and we have no algorithm in common: {said(error)}", again=False
                ) from error
            raise broken(error, account.where) from error
        if not account.pins:
            break
    raise _unverified(account, shown)


async def _connect(guard: Guard, account: Account, client: _Client, signatures: Sequence[str]) -> asyncssh.SSHClientConnection:
    logging.getLogger("asyncssh").setLevel(logging.WARNING)  # it would tell of names and paths
    sock = await reach(guard, account.host, account.port)
    try:
        async with asyncio.timeout(LOGIN_SECONDS):
            return await asyncssh.connect(
                account.host, account.port, sock=sock, client_factory=lambda: client, known_hosts=([], [], []), username=account.username, config=None,
                client_keys=None, agent_path=None, server_host_key_algs=signatures, kex_algs=KEX, encryption_algs=CIPHERS, mac_algs=MACS,
                signature_algs=SIGNATURES, compression_algs=None, host_based_auth=False, gss_host=None, gss_auth=False, gss_kex=False,
                client_version="Waybill", login_timeout=LOGIN_SECONDS, keepalive_interval=KEEPALIVE_SECONDS, keepalive_count_max=KEEPALIVES_MAX,
            )  # fmt: skip
    except TimeoutError as error:
        raise Undelivered(Code.timeout, f"{account.where} did not let us in within {LOGIN_SECONDS:g} seconds.") from error
    except BaseException:
        sock.close()
        raise


def _private_key(account: Account) -> asyncssh.SSHKey | None:
    """On a thread: to open one with a passphrase is made to take a while."""
    text = account.secrets.get("private_key")
    if text is None:
        return None
    try:
        return asyncssh.import_private_key(text + "\n", account.secrets.get("passphrase"))
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError, ValueError) as error:
        raise Undelivered(Code.login_failed, "The private key can't be opened: its passphrase is missing or wrong.", again=False) from error


def _unverified(account: Account, shown: asyncssh.SSHKey | None) -> Undelivered:
    key = " ".join(shown.export_public_key("openssh").decode().split()[:2]) if shown else "a certificate"
    print_ = fingerprint(shown.public_data) if shown else "no fingerprint"
    if account.pins:
        return Undelivered(
            Code.host_key_changed,
            f"{account.where} shows another host key than the pinned ones: {key} ({print_}). If its administrator says that this is the new one, pin it"
            " (host_keys); else somebody may be in between. Nothing was sent.", again=False,
        )  # fmt: skip
    return Undelivered(
        Code.host_key_unknown,
        f"No host key is pinned yet. {account.where} shows {key} ({print_}). Compare it with what its administrator says, then pin it (host_keys).", again=False,
    )  # fmt: skip


def _refused(account: Account, client: _Client) -> Undelivered:
    with_ = " and ".join(name for secret, name in (("private_key", "the key"), ("password", "the password")) if secret in account.secrets)
    offers = f" It takes: {', '.join(client.offered)}." if client.offered else ""
    return Undelivered(Code.login_failed, f"{account.where} did not let '{account.username}' in with {with_}.{offers}")


def broken(error: Exception, where: str) -> Undelivered:
    """What an error of the connection, or of a request on it, comes to."""
    if isinstance(error, asyncssh.DisconnectError) and not isinstance(error, asyncssh.ConnectionLost) and error.reason:
        return Undelivered(Code.disconnected, f"{where} ended the connection: {said(error)}")
    if isinstance(error, OSError):
        return unreached(error, where)
    return Undelivered(Code.disconnected, f"The connection to {where} ended.")


def said(error: asyncssh.Error) -> str:
    """In quotes, on one line, cut."""
    return f'"{quoted(error.reason)}".' if error.reason else "it does not say why."
