"""What is done with the files of somebody's SFTP server, and what its answers mean. Every method raises Undelivered for what the server does."""

import asyncio
import posixpath
import stat
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import asyncssh

from services.delivery.core.destinations.problems import Code, Undelivered
from services.delivery.destinations.ssh import broken, said

READ_BYTES = 1 << 20
PROBE = b"Waybill was here.\n"
_WRITE, _ANEW = asyncssh.FXF_WRITE, asyncssh.FXF_CREAT | asyncssh.FXF_TRUNC
_MISSING = (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath)
T = TypeVar("T")


class Remote:
    """`where`: host:port, for people. `silence_seconds`: so long it may say nothing to a request."""

    def __init__(self, client: asyncssh.SFTPClient, where: str, silence_seconds: float) -> None:
        self._client, self.where, self._silence_seconds = client, where, silence_seconds

    @property
    def write_bytes_max(self) -> int:
        """As the server says; 0: it doesn't."""
        limit: int = self._client.limits.max_write_len
        return limit

    async def answers(self) -> bool:
        """Whether it is still there."""
        try:
            await self._ask(self._client.realpath("."))
        except (asyncssh.SFTPError, Undelivered):
            return False
        return True

    # ---- files

    async def size(self, path: str) -> int | None:
        """None: there is no such file. A directory in its place is an error."""
        try:
            found = await self._ask(self._client.stat(path))
        except _MISSING:
            return None
        except asyncssh.SFTPError as error:
            raise self._meant(error, "look at", path) from error
        if found.permissions is not None and stat.S_ISDIR(found.permissions):
            raise Undelivered(Code.rejected, f"{path} at {self.where} is a directory.", again=False)
        return found.size or 0

    async def make_directory(self, path: str) -> None:
        """With all that leads there."""
        if path in ("", "/", "."):
            return
        try:
            await self._ask(self._client.stat(path))
            return
        except _MISSING:
            pass
        except asyncssh.SFTPError as error:
            raise self._meant(error, "look at", path) from error
        await self.make_directory(posixpath.dirname(path))
        try:
            await self._ask(self._client.mkdir(path))
        except asyncssh.SFTPError as error:
            if not await self._is_there(path):  # somebody else made it meanwhile
                raise self._meant(error, "make the directory", path) from error

    @asynccontextmanager
    async def writing(self, path: str, start: int | None, mode: int | None) -> AsyncIterator[tuple[asyncssh.SFTPClientFile, int]]:
        """The file, and from which byte on to write: from `start`, or from the beginning, cut off, where that is None, the server takes no writing in the
        middle, or the file is not there any more: one that is made anew would have a hole before `start`."""
        attributes = asyncssh.SFTPAttrs() if mode is None else asyncssh.SFTPAttrs(permissions=mode)

        async def opened(flags: int) -> asyncssh.SFTPClientFile:
            return await self._ask(self._client.open(path, _WRITE | flags, attributes, encoding=None, block_size=0))

        try:
            target = await opened(_ANEW if start is None else 0)
        except asyncssh.SFTPError as error:
            if start is None:
                raise self._meant(error, "write", path) from error
            start = None
            try:
                target = await opened(_ANEW)
            except asyncssh.SFTPError as again:
                raise self._meant(again, "write", path) from again
        try:
            yield target, start or 0
        except BaseException:
            # Not waited for: the connection may be what is broken, and it is closed in a moment.
            closing = asyncio.ensure_future(target.close())
            closing.add_done_callback(lambda done: done.cancelled() or done.exception())
            raise
        else:
            await self._do(target.close(), "write", path)

    async def settle(self, target: asyncssh.SFTPClientFile, path: str) -> None:
        """On its disk, where it can do that."""
        try:
            await self._ask(target.fsync())
        except asyncssh.SFTPOpUnsupported:
            pass
        except asyncssh.SFTPError as error:
            raise await self.unwritten(error, path, 0) from error

    async def read(self, path: str, size: int) -> AsyncIterator[bytes]:
        """`size`: what it has by its own account. No more is read, whatever it gives."""
        try:
            source: Any = await self._ask(self._client.open(path, asyncssh.FXF_READ, encoding=None))
            at = 0
            while at < size and (piece := await self._ask(source.read(min(READ_BYTES, size - at), at))):
                yield piece
                at += len(piece)
            await self._ask(source.close())
        except asyncssh.SFTPError as error:
            raise self._meant(error, "read", path) from error

    async def rename(self, path: str, to: str, replacing: bool) -> None:
        """SFTP's own way refuses to replace what is there, so nobody's file is lost, whatever happened since we looked."""
        if not replacing:
            await self._do(self._client.rename(path, to), "rename a file to", to)
            return
        try:
            await self._ask(self._client.posix_rename(path, to))
        except asyncssh.SFTPOpUnsupported:
            await self.remove(to)
            await self._do(self._client.rename(path, to), "rename a file to", to)
        except asyncssh.SFTPError as error:
            raise self._meant(error, "replace", to) from error

    async def remove(self, path: str) -> None:
        await self._do(self._client.remove(path), "remove", path)

    async def remove_if_there(self, path: str) -> None:
        try:
            await self._ask(self._client.remove(path))
        except asyncssh.SFTPError:  # it was not, or has to stay: nothing of ours depends on it
            return

    async def try_out(self, directory: str, name: str, makes_directories: bool) -> None:
        """Write, rename and remove a small file."""
        await self.make_directory(directory)
        folder = posixpath.join(directory, name) if makes_directories else directory
        if makes_directories:
            await self.make_directory(folder)
        part, whole = posixpath.join(folder, f"{name}.part"), posixpath.join(folder, f"{name}.txt")
        try:
            async with self.writing(part, None, None) as (target, _):
                try:
                    await self._ask(target.write(PROBE, 0))
                except asyncssh.SFTPError as error:
                    raise await self.unwritten(error, part, len(PROBE)) from error
            await self.rename(part, whole, replacing=False)
            await self.remove(whole)
        except Undelivered:
            await self.remove_if_there(part)
            await self.remove_if_there(whole)
            if makes_directories:
                await self._quietly(self._client.rmdir(folder))
            raise
        if makes_directories:
            await self._do(self._client.rmdir(folder), "remove the directory", folder)

    # ---- answers

    async def unwritten(self, error: Exception, path: str, left: int) -> Undelivered:
        """A write or what concludes it has failed. The protocol's version 3 has no word for a full disk, so the file system is asked. `left`: bytes to come."""
        if isinstance(error, asyncssh.SFTPFailure):
            try:
                room = await self._ask(self._client.statvfs(posixpath.dirname(path) or "."))
                if room.bavail * room.frsize < max(left, 1):
                    return Undelivered(Code.quota, f"{self.where} has no room for {path}.")
            except (asyncssh.SFTPError, Undelivered):
                pass
        if isinstance(error, TimeoutError):
            return self._silent()
        if isinstance(error, asyncssh.SFTPError):
            return self._meant(error, "write", path)
        return broken(error, self.where)

    async def _ask(self, request: Awaitable[T]) -> T:
        """Raises SFTPError for what the server says, Undelivered where it says nothing (more)."""
        try:
            async with asyncio.timeout(self._silence_seconds):
                return await request
        except TimeoutError as error:
            raise self._silent() from error
        except (asyncssh.SFTPConnectionLost, asyncssh.SFTPNoConnection, asyncssh.SFTPBadMessage) as error:
            raise Undelivered(Code.disconnected, f"The connection to {self.where} ended.") from error
        except asyncssh.SFTPError:
            raise
        except (asyncssh.Error, OSError) as error:
            raise broken(error, self.where) from error

    async def _do(self, request: Awaitable[Any], what: str, path: str) -> None:
        try:
            await self._ask(request)
        except asyncssh.SFTPError as error:
            raise self._meant(error, what, path) from error

    async def _quietly(self, request: Awaitable[Any]) -> None:
        try:
            await self._ask(request)
        except (asyncssh.SFTPError, Undelivered):
            return

    async def _is_there(self, path: str) -> bool:
        try:
            await self._ask(self._client.stat(path))
        except asyncssh.SFTPError:
            return False
        return True

    def _silent(self) -> Undelivered:
        return Undelivered(Code.timeout, f"{self.where} did not answer for {self._silence_seconds:g} seconds.")

    def _meant(self, error: asyncssh.SFTPError, what: str, path: str) -> Undelivered:
        match error:
            case asyncssh.SFTPPermissionDenied() | asyncssh.SFTPWriteProtect():
                return Undelivered(Code.permission_denied, f"We may not {what} {path} at {self.where}.")
            case asyncssh.SFTPNoSuchFile() | asyncssh.SFTPNoSuchPath() | asyncssh.SFTPNotADirectory():
                return Undelivered(Code.not_found, f"We can't {what} {path} at {self.where}: there is no such file or directory.")
            case asyncssh.SFTPNoSpaceOnFilesystem() | asyncssh.SFTPQuotaExceeded():
                return Undelivered(Code.quota, f"{self.where} has no room for {path}.")
            case asyncssh.SFTPConnectionLost() | asyncssh.SFTPNoConnection() | asyncssh.SFTPBadMessage():
                return Undelivered(Code.disconnected, f"The connection to {self.where} ended.")
        return Undelivered(
            Code.rejected,
            f"{self.where} refused to {what} {path}, and gives no reason that can be understood (a quota, often): {said(error)}",
        )
