"""A mail server of somebody else's making (aiosmtpd), over the wire, and what it can be told to do wrong."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from services.delivery.mail import MailServer
from shared.tls import client_context
from tests.secured.certificates import Authority

HOST = "127.0.0.1"
USER, PASSWORD = "waybill", "correct horse"
SENDER = "Waybill <exports@waybill.example>"


@dataclass(frozen=True)
class Taken:
    """A mail that the server has."""

    to: str
    return_path: str
    raw: bytes

    @property
    def message(self) -> EmailMessage:
        read = message_from_bytes(self.raw, policy=policy.default)
        assert isinstance(read, EmailMessage)
        return read


@dataclass
class Post:
    """`refuse`: recipient → the answer to RCPT; `refuse_once`: the next one. `answer`: what it says to a message in place of yes. `drop`: it takes the next messages, and ends the
    connection before it says so. `hang`: it doesn't answer to messages until this is set."""

    port: int = 0
    mails: list[Taken] = field(default_factory=list)
    refuse: dict[str, str] = field(default_factory=dict)
    refuse_once: dict[str, str] = field(default_factory=dict)
    answer: str = ""
    drop: int = 0
    hang: asyncio.Event | None = None
    got_data: asyncio.Event = field(default_factory=asyncio.Event)
    logins: list[str] = field(default_factory=list)
    open: int = 0

    def to(self, address: str) -> list[Taken]:
        return [mail for mail in self.mails if mail.to == address]

    # ---- aiosmtpd's hooks

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        if address in self.refuse:
            return self.refuse[address]
        if address in self.refuse_once:
            return self.refuse_once.pop(address)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.answer:
            return self.answer
        assert isinstance(envelope.content, bytes)
        self.mails += [Taken(to, envelope.mail_from or "", envelope.content) for to in envelope.rcpt_tos]
        self.got_data.set()
        if self.hang is not None:
            await self.hang.wait()
        if self.drop:
            self.drop -= 1
            assert server.transport is not None
            server.transport.abort()
        return "250 OK"

    def authenticate(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        self.logins.append(data.login.decode())
        return AuthResult(success=(data.login, data.password) == (USER.encode(), PASSWORD.encode()), handled=False)


class _Counted(SMTP):
    """Knows how many connections are open."""

    def connection_made(self, transport: Any) -> None:
        if self._original_transport is None:
            self.event_handler.open += 1
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self.event_handler.open -= 1
        super().connection_lost(error)


@dataclass(frozen=True)
class Certified:
    """A server's side of TLS, and what a client trusts."""

    server: ssl.SSLContext
    client: ssl.SSLContext
    ca_file: Path


def certified(folder: Path) -> Certified:
    authority = Authority(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.certify("mail"))
    return Certified(context, client_context(str(authority.file)), authority.file)


@asynccontextmanager
async def serving(
    security: str = "none", tls: ssl.SSLContext | None = None, logs_in: bool = False, size_max: int = 64 << 20
) -> AsyncIterator[Post]:
    post = Post()
    loop = asyncio.get_running_loop()
    tasks: list[SMTP] = []

    def protocol() -> SMTP:
        made = _Counted(
            post, loop=loop, hostname="mail.example", tls_context=tls if security == "starttls" else None, require_starttls=security == "starttls",
            auth_required=logs_in and security == "starttls", auth_require_tls=security == "starttls", authenticator=post.authenticate if logs_in else None, data_size_limit=size_max,
        )  # fmt: skip
        tasks.append(made)
        return made

    server = await loop.create_server(protocol, HOST, 0, ssl=tls if security == "tls" else None)
    post.port = server.sockets[0].getsockname()[1]
    try:
        yield post
    finally:
        server.close()
        for each in tasks:
            if each.transport is not None:
                each.transport.abort()
        await server.wait_closed()


def settings_of(post: Post, **other: Any) -> MailServer:
    """Our side of a plain server."""
    return replace(MailServer(HOST, post.port, "none", SENDER, timeout_seconds=5), **other)


async def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)
