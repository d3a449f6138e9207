"""Mail by the installation's own mail server (WAYBILL_SMTP_*). One message and one transaction for each recipient: nobody sees who else got it, each
is refused, and tried again, by itself.

The server is the operator's choice, so the guard of destinations has no say in it.
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime

import aiosmtplib

from services.delivery.core.destinations.problems import Code, Undelivered
from services.delivery.core.mail import Letter, compose, masked, meaning, parted, quoted
from services.delivery.destinations.reaching import unreached
from shared.clock import utc_now

CONNECTIONS = 8  # at once, of this process
TAKES = 5  # a server may take so many times the time for an answer to say that it has the whole message: it looks for viruses
LAST_WORD_SECONDS = 3.0  # who is stopped while the server says whether it has the message hears it out for so long
CLOSING = 421  # "closing transmission channel": it may answer so to anything
NO_SERVER = "This installation has no mail server (WAYBILL_SMTP_HOST)."


@dataclass(frozen=True)
class MailServer:
    """Where mail is handed in. `security`: tls (from the first byte), starttls, none. `bounces`: where what comes back goes; empty: to the sender."""

    host: str
    port: int
    security: str
    sender: str
    user: str = ""
    password: str = field(default="", repr=False)
    tls: ssl.SSLContext | None = None
    bounces: str = ""
    timeout_seconds: float = 30.0

    @property
    def where(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def title(self) -> str:
        return f"The mail server {self.where}"


class Mailer:
    """`server` None: there is none, and whatever is sent is refused by name. Must be used in one event loop."""

    def __init__(self, server: MailServer | None, clock: Callable[[], datetime] = utc_now) -> None:
        self._server, self._clock = server, clock
        self._turns = asyncio.Semaphore(CONNECTIONS)

    @property
    def is_set_up(self) -> bool:
        return self._server is not None

    async def send(self, to: Sequence[str], subject: str, text: str, message_id: str) -> None:
        """A plain mail, to each of them. `message_id`: letters, digits, `_-.`, the same whenever the same is sent again. Raises Undelivered once all were
        tried, where one of them didn't get it."""
        failed: list[Undelivered] = []
        async with self.open() as post:
            for number, address in enumerate(to, 1):
                try:
                    await post.send(Letter(f"{message_id}.{number}", subject, text), address)
                except Undelivered as error:
                    failed.append(error)
                    if post.is_lost:
                        break
        if failed:
            raise Undelivered(failed[0].code, " ".join(dict.fromkeys(each.message for each in failed)), any(each.again for each in failed))

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Post"]:
        """A connection, logged in. Raises Undelivered."""
        server = self._server
        if server is None:
            raise Undelivered(Code.rejected, NO_SERVER, again=False)
        async with self._turns:
            client = aiosmtplib.SMTP(
                hostname=server.host, port=server.port, timeout=server.timeout_seconds, use_tls=server.security == "tls",
                start_tls=server.security == "starttls", tls_context=server.tls, local_hostname=parted(server.sender)[1].rpartition("@")[2],
            )  # fmt: skip
            post = Post(client, server, self._clock)
            try:
                await post.begin()
                yield post
                await post.leave()
            finally:
                client.close()  # also where it is cancelled: nothing is left open


class Post:
    """One connection to the mail server."""

    def __init__(self, client: aiosmtplib.SMTP, server: MailServer, clock: Callable[[], datetime]) -> None:
        self._client, self._server, self._clock = client, server, clock
        self.is_lost = False  # nothing more can be sent by it

    async def begin(self) -> None:
        try:
            await self._client.connect()
            if self._server.user:
                await self._client.login(self._server.user, self._server.password)
        except aiosmtplib.SMTPAuthenticationError as error:
            code = Code.login_failed if error.code >= 500 else Code.unavailable
            raise Undelivered(code, f"{self._server.title} refused the login: {said(error)}") from error
        except aiosmtplib.SMTPResponseException as error:
            raise self._refused(error, "the connection") from error
        except (aiosmtplib.SMTPServerDisconnected, aiosmtplib.SMTPConnectError, aiosmtplib.SMTPTimeoutError, OSError) as error:
            raise self._lost(error) from error
        except aiosmtplib.SMTPException as error:  # it has no such extension
            if self._server.security == "starttls" and "STARTTLS extension" in str(error):
                raise Undelivered(Code.tls_failed, f"{self._server.title} does not offer STARTTLS.") from error
            raise Undelivered(Code.login_failed, f"{self._server.title} offers no way to log in that is known here.") from error

    async def send(
        self, letter: Letter, to: str, name: str = "", return_path: str = "", taken: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """`name`: what the recipient is called in what is said of a failure. `return_path`: where the mail goes if it comes back. `taken` is called as soon as
        the server has taken the mail over, also where we are stopped meanwhile. Raises Undelivered.

        A connection that is lost before the server's last word leaves open whether it has the mail: then it is sent again, with the same Message-ID.
        """
        name = name or masked(to)
        message = await asyncio.to_thread(compose, letter, self._server.sender, to, self._clock())
        await self._envelope(to, return_path, name, len(message))
        handing = asyncio.ensure_future(self._hand_over(message, name, taken))
        try:
            await asyncio.shield(handing)
        except asyncio.CancelledError:
            await asyncio.wait([handing], timeout=LAST_WORD_SECONDS)
            raise
        finally:
            handing.cancel()
            await asyncio.gather(handing, return_exceptions=True)

    async def ask(self, to: str, name: str) -> None:
        """Whether the server would take a mail to this address: none is sent. Raises Undelivered."""
        await self._envelope(to, "", name, 1024)
        await self._speak(self._client.rset(), name)

    async def leave(self) -> None:
        with contextlib.suppress(aiosmtplib.SMTPException, OSError):  # it has what it was given
            await self._client.quit()

    async def _hand_over(self, message: bytes, name: str, taken: Callable[[], Awaitable[None]] | None) -> None:
        await self._speak(self._client.data(message, timeout=TAKES * self._server.timeout_seconds), name)
        if taken is not None:
            await taken()

    async def _envelope(self, to: str, return_path: str, name: str, size: int) -> None:
        options = [f"size={size}"] if self._client.supports_extension("size") else []
        sender = return_path or self._server.bounces or parted(self._server.sender)[1]
        try:
            await self._speak(self._client.mail(sender, options=options), name)
            await self._speak(self._client.rcpt(to), name)
        except Undelivered:
            if not self.is_lost:
                with contextlib.suppress(Undelivered):
                    await self._speak(self._client.rset(), name)
            raise

    async def _speak(self, command: Awaitable[object], name: str) -> None:
        """One command and its answer. Raises Undelivered."""
        try:
            await command
        except aiosmtplib.SMTPSenderRefused as error:
            if error.code == 552:  # RFC 1870 6.1: we say how large it will be
                raise Undelivered(Code.quota, f"The mail is larger than {self._server.where} takes: {said(error)}", again=False) from error
            raise self._refused(error, "our sender address (WAYBILL_SMTP_FROM)") from error
        except aiosmtplib.SMTPResponseException as error:
            self.is_lost |= error.code == CLOSING
            raise self._refused(error, f"the mail to {name}") from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise self._lost(error) from error

    def _refused(self, error: aiosmtplib.SMTPResponseException, what: str) -> Undelivered:
        code, again = meaning(error.code, error.message)
        return Undelivered(code, f"{self._server.title} refused {what}: {said(error)}", again)

    def _lost(self, error: Exception) -> Undelivered:
        self.is_lost = True
        return unreached(error, self._server.where, self._server.timeout_seconds)


def said(error: aiosmtplib.SMTPResponseException) -> str:
    """What the server said, in quotes."""
    return f'"{error.code} {quoted(error.message)}".'
