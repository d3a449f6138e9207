"""SFTP sessions at destinations. One that ended well is kept for a moment: a login costs more than a small file, and the next one is often due at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import asyncssh

from services.delivery.core.destinations.problems import Code, Undelivered
from services.delivery.destinations.remote import Remote
from services.delivery.destinations.ssh import Account, broken, logged_in, said
from services.delivery.guard import Guard
from shared.background import Background

KEPT_SECONDS, KEPT_MAX = 10.0, 32


@dataclass(frozen=True)
class _Session:
    """`open_` closes it."""

    account: Account
    remote: Remote
    open_: AsyncExitStack


@dataclass(frozen=True)
class _Kept:
    session: _Session
    end: asyncio.TimerHandle


class Sessions:
    """Made and used in one event loop. `silence_seconds`: so long a server may say nothing to a request."""

    def __init__(self, guard: Guard, silence_seconds: float) -> None:
        self._guard, self._silence_seconds = guard, silence_seconds
        self._kept: dict[str, _Kept] = {}
        self._background = Background()

    @asynccontextmanager
    async def at(self, destination_id: str, account: Account) -> AsyncIterator[Remote]:
        """Raises Undelivered, also for what goes wrong while it is used: then it is closed. Nobody else has the session meanwhile."""
        session = await self._again(destination_id, account) or await self._open(account)
        try:
            yield session.remote
        except BaseException:
            await session.open_.aclose()
            raise
        self._keep(destination_id, session)

    @asynccontextmanager
    async def anew(self, destination_id: str, account: Account) -> AsyncIterator[Remote]:
        """The same with a login of its own, and closed behind it. What was kept is closed before: some servers let a user in once at a time."""
        if (kept := self._taken(destination_id)) is not None:
            await kept.open_.aclose()
        session = await self._open(account)
        async with session.open_:
            yield session.remote

    async def close(self) -> None:
        for destination_id in list(self._kept):
            self._let_go(destination_id)
        await self._background.finished()

    async def _open(self, account: Account) -> _Session:
        async with AsyncExitStack() as stack:
            connection = await stack.enter_async_context(logged_in(self._guard, account))
            try:
                async with asyncio.timeout(self._silence_seconds):
                    client = await connection.start_sftp_client()
            except TimeoutError as error:  # such a server may answer keepalives for ever
                raise Undelivered(
                    Code.timeout, f"{account.where} let us in, and did not start SFTP within {self._silence_seconds:g} seconds."
                ) from error
            except (asyncssh.ChannelOpenError, asyncssh.SFTPError) as error:
                raise Undelivered(Code.rejected, f"{account.where} lets us in, but offers no SFTP: {said(error)}") from error
            except (asyncssh.Error, OSError) as error:
                raise broken(error, account.where) from error
            return _Session(account, Remote(client, account.where, self._silence_seconds), stack.pop_all())

    async def _again(self, destination_id: str, account: Account) -> _Session | None:
        """One that was kept, unless its server has ended it, or who we are there, or whom we trust, is not the same any more."""
        if (session := self._taken(destination_id)) is None:
            return None
        usable = False
        try:
            usable = session.account == account and await session.remote.answers()
        finally:
            if not usable:  # also where we are cancelled meanwhile
                self._close(session)
        return session if usable else None

    def _keep(self, destination_id: str, session: _Session) -> None:
        self._let_go(destination_id)
        end = asyncio.get_running_loop().call_later(KEPT_SECONDS, self._let_go, destination_id)
        self._kept[destination_id] = _Kept(session, end)
        while len(self._kept) > KEPT_MAX:
            self._let_go(next(iter(self._kept)))

    def _let_go(self, destination_id: str) -> None:
        if (session := self._taken(destination_id)) is not None:
            self._close(session)

    def _taken(self, destination_id: str) -> _Session | None:
        """What was kept, for who asks: it is not kept any more."""
        kept = self._kept.pop(destination_id, None)
        if kept is None:
            return None
        kept.end.cancel()
        return kept.session

    def _close(self, session: _Session) -> None:
        self._background.start("close an SFTP session", session.open_.aclose())
