"""What nobody's client does: paths that lead out, changes, floods, guesses, old algorithms, shells and tunnels."""

import asyncio
import contextlib
import struct
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from asyncssh.sftp import SFTPFailure, SFTPNoSuchFile, SFTPPermissionDenied

from services.delivery.core.sftp import wire
from services.delivery.core.sftp.lockout import Policy
from services.delivery.sftp.server import Limits
from services.delivery.sftp.session import HANDLES_MAX
from tests.integration.delivery.room import Room, until
from tests.integration.delivery.sftp.house import HOST, Account, House, open_house, principal, run

SECRET = b"another organisation's\n" * 100
MINE = b"mine\n" * 1000


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "/../../etc/passwd", "/export/../../etc/passwd", "/export/message/../../../etc/shadow", "~root", "/export/message/" + "x" * 300, "/" + "a/" * 5000, "/proc/self/environ"],
)  # fmt: skip
async def test_no_path_leads_anywhere_else(house: House, path: str) -> None:
    account = await house.account()
    async with house.asyncssh(account) as connection, connection.start_sftp_client() as client:
        for attempt in (client.stat, client.lstat, client.open, client.readdir):
            with pytest.raises(SFTPNoSuchFile):
                await attempt(path)


async def test_another_organisations_file_is_not_there(house: House) -> None:
    account, stranger = await house.account(), await house.account(org_id="org_strangers")
    await house.file(SECRET, name="theirs.csv", org_id="org_strangers")
    await house.file(MINE, name="mine.csv")
    async with house.asyncssh(account) as connection, connection.start_sftp_client() as client:
        assert "theirs.csv" not in await client.listdir("/export/message")
        with pytest.raises(SFTPNoSuchFile):
            await client.open("/export/message/theirs.csv")
    async with house.asyncssh(stranger) as connection, connection.start_sftp_client() as client:
        async with client.open("/export/message/theirs.csv", "rb") as theirs:
            assert await theirs.read() == SECRET
        assert "mine.csv" not in await client.listdir("/export/message")


async def test_nothing_can_be_changed(house: House) -> None:
    account = await house.account()
    await house.file(MINE, name="fixed.csv")
    name = "/export/message/fixed.csv"
    async with house.asyncssh(account) as connection, connection.start_sftp_client() as client:
        attempts: list[Any] = [
            client.remove(name), client.rename(name, "/export/message/x"), client.posix_rename(name, "/x"), client.mkdir("/export/x"), client.rmdir("/export/message"),
            client.symlink("/etc/passwd", "/export/message/link"), client.setstat(name, asyncssh.SFTPAttrs(permissions=0o777)), client.truncate(name, 0),
            client.open(name, "w"), client.open(name, "a"), client.open(name, "r+"), client.open("/export/message/new", "x"), client.link(name, "/export/message/hard"),
        ]  # fmt: skip
        for attempt in attempts:
            with pytest.raises((SFTPPermissionDenied, asyncssh.SFTPOpUnsupported)):
                await attempt
        with pytest.raises(asyncssh.SFTPError):
            await client.readlink(name)
        async with client.open(name, "rb") as untouched:
            assert await untouched.read() == MINE


async def test_shells_commands_and_tunnels_are_refused(house: House) -> None:
    account = await house.account()
    async with house.asyncssh(account) as connection:
        for asked in ({"command": "id"}, {"command": None}, {"subsystem": "netconf"}, {"command": "scp -f /export"}):
            with pytest.raises((asyncssh.ChannelOpenError, asyncssh.ProcessError)):
                await connection.create_process(**asked)
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.open_connection(HOST, house.port)
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.open_unix_connection("/tmp/x")
        with pytest.raises(asyncssh.ChannelListenError):
            await connection.forward_remote_port("", 0, HOST, house.port)
    code, said = await run(
        ["ssh", "-F", "none", "-A", "-tt", "-i", str(account.key), "-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={house.scratch}/k", "-p", str(house.port),
         f"{account.username}@{HOST}", "id"],
    )  # fmt: skip
    assert code != 0 and "uid=" not in said


@pytest.mark.parametrize(
    "old",
    [{"encryption_algs": ["aes256-cbc"]}, {"encryption_algs": ["3des-cbc"]}, {"kex_algs": ["diffie-hellman-group14-sha1"]}, {"kex_algs": ["diffie-hellman-group1-sha1"]},
     {"encryption_algs": ["aes256-ctr"], "mac_algs": ["hmac-sha1"]}, {"server_host_key_algs": ["ssh-rsa"]}],
)  # fmt: skip
async def test_weak_algorithms_are_not_spoken(house: House, old: dict[str, Any]) -> None:
    account = await house.account()
    with pytest.raises(asyncssh.KeyExchangeFailed):
        async with house.asyncssh(account, **old):
            pass


async def test_thousands_of_handles_are_refused_and_those_there_work(house: House) -> None:
    account = await house.account()
    await house.file(MINE, name="handles.csv")
    async with house.asyncssh(account) as connection, connection.start_sftp_client() as client:
        held = [await client.open("/export/message/handles.csv", "rb") for _ in range(HANDLES_MAX)]
        with pytest.raises(SFTPFailure, match="open at once"):
            await client.open("/export/message/handles.csv", "rb")
        for each in held:
            assert await each.read(5) == b"mine\n"
        await held[0].close()
        async with client.open("/export/message/handles.csv", "rb") as again:
            assert await again.read() == MINE


async def test_sessions_of_a_connection_are_bounded(house: House) -> None:
    account = await house.account()
    async with house.asyncssh(account) as connection:
        clients = [await connection.start_sftp_client() for _ in range(4)]
        with pytest.raises((asyncssh.ChannelOpenError, asyncssh.SFTPError)):
            await connection.start_sftp_client()
        clients[0].exit()
        await clients[0].wait_closed()


# ---- raw requests


class Raw:
    """A session that sends what it likes and takes what it likes."""

    def __init__(self, writer: Any, reader: Any) -> None:
        self.writer, self.reader = writer, reader

    def send(self, kind: int, body: bytes) -> None:
        self.writer.write(struct.pack(">IB", 1 + len(body), kind) + body)

    async def take(self) -> tuple[int, bytes]:
        length = int.from_bytes(await self.reader.readexactly(4), "big")
        message = await self.reader.readexactly(length)
        return message[0], message[1:]

    async def open(self, path: str) -> bytes:
        self.send(3, struct.pack(">I", 1) + text(path.encode()) + struct.pack(">II", 1, 0))
        kind, body = await self.take()
        assert kind == 102, body
        return body[8:]


def text(value: bytes) -> bytes:
    return struct.pack(">I", len(value)) + value


@contextlib.asynccontextmanager
async def raw(house: House, account: Account, **options: Any) -> Any:
    async with house.asyncssh(account) as connection:
        writer, reader, _ = await connection.open_session(subsystem="sftp", encoding=None, **options)
        session = Raw(writer, reader)
        session.send(1, struct.pack(">I", 6))
        kind, body = await session.take()
        assert (kind, body[:4]) == (2, struct.pack(">I", 3))  # we speak version 3, whatever a client offers
        yield session


async def test_a_read_of_four_gigabytes_gets_what_fits(house: House) -> None:
    account = await house.account()
    content = bytes(range(256)) * 4096
    await house.file(content, name="large.csv")
    async with raw(house, account) as session:
        handle = await session.open("/export/message/large.csv")
        for offset, length in ((0, 2**32 - 1), (len(content), 1), (2**64 - 1, 2**32 - 1), (len(content) - 1, 100)):
            session.send(5, struct.pack(">I", 2) + text(handle) + struct.pack(">QI", offset, length))
            kind, body = await session.take()
            if offset >= len(content):
                assert (kind, body[4:8]) == (101, struct.pack(">I", wire.Code.EOF))
            else:
                assert kind == 103 and body[8:] == content[offset : offset + min(length, wire.READ_BYTES_MAX)]


async def test_who_asks_and_takes_nothing_fills_no_memory(house: House) -> None:
    """Ten gigabytes are asked for by a client with a window for all of it, which then reads nothing: answers stop, and so does taking requests."""
    account = await house.account()
    await house.file(bytes(1 << 20), name="flood.csv")
    async with raw(house, account, window=2**31 - 1) as session:
        handle = await session.open("/export/message/flood.csv")
        session.reader.channel.get_connection()._transport.pause_reading()
        for number in range(40_000):
            session.send(5, struct.pack(">I", number) + text(handle) + struct.pack(">QI", 0, wire.READ_BYTES_MAX))
        [guest] = [guest for guest in house.server._guests.values() if guest.user is not None and guest.user.id == account.id]

        async def stopped() -> bool:
            return not guest.can_send.is_set() or not guest.sessions[0]._can_send.is_set()

        await until(stopped)
        held = guest.sessions[0]._chan.get_write_buffer_size() + guest.conn._transport.get_write_buffer_size()
        assert held < 2 * 1024 * 1024
        assert guest.sessions[0]._frames.waiting < 256 * 1024


@pytest.mark.parametrize(
    "message",
    [
        struct.pack(">I", 2**31) + b"x",
        struct.pack(">I", 0),
        struct.pack(">IB", 5, 5) + b"\0\0\0\1",
        struct.pack(">IBI", 9, 3, 1) + struct.pack(">I", 99),
    ],
)
async def test_what_is_no_sftp_ends_the_connection(house: House, message: bytes) -> None:
    account = await house.account()
    async with raw(house, account) as session:
        session.writer.write(message)
        with contextlib.suppress(asyncssh.Error):
            assert await session.reader.read() == b""


async def test_a_folder_is_read_page_by_page_and_again(house: House) -> None:
    account = await house.account()
    async with raw(house, account) as session:
        for number in range(2000):  # each is answered; none is kept
            session.send(11, struct.pack(">I", number) + text(b"/export"))
            kind, body = await session.take()
            assert kind == 102
            session.send(4, struct.pack(">I", number) + body[4:])
            assert (await session.take())[0] == 101


# ---- guessing


async def fails(house: House, account: Account, password: str, **options: Any) -> bool:
    try:
        async with house.asyncssh(account, client_keys=None, password=password, **options):
            return False
    except asyncssh.PermissionDenied:
        return True


async def test_guessing_ends_for_this_name_from_this_address(room: Room, tmp_path: Path) -> None:
    async with (
        open_house(room, tmp_path, policy=Policy(3, 1000, 900)) as house,
        open_house(room, tmp_path, policy=Policy(3, 1000, 900)) as second,
    ):
        account, other = await house.account(), await house.account()
        assert all([await fails(house, account, f"guess {n}") for n in range(3)])
        assert await fails(house, account, account.password)  # though it is right
        assert await fails(second, account, account.password)  # in every process
        assert not await fails(house, other, other.password)  # and nobody else's
        async with house.asyncssh(account):  # nor a key, which nobody guesses
            pass
        refusals = [e for e in await house.entries("sftp_user.login_refused") if e.subject == account.id]
        assert len(refusals) == 3 and "locked_until" in refusals[-1].details


async def test_guesses_that_come_at_once_are_few(room: Room, tmp_path: Path) -> None:
    async with open_house(room, tmp_path, policy=Policy(3, 1000, 900)) as house:
        account = await house.account()
        assert all(await asyncio.gather(*(fails(house, account, f"guess {n}") for n in range(30))))
        refusals = [e for e in await house.entries("sftp_user.login_refused") if e.subject == account.id]
        assert 3 <= len(refusals) <= 3 + house.server._door._threads.count


async def test_a_right_password_makes_failures_forgotten(room: Room, tmp_path: Path) -> None:
    async with open_house(room, tmp_path, policy=Policy(3, 1000, 900)) as house:
        account = await house.account()
        for _ in range(3):
            assert await fails(house, account, "wrong") and await fails(house, account, "wrong")
            assert not await fails(house, account, account.password)


async def test_names_that_nobody_has_are_locked_out_too_and_a_source_is(room: Room, tmp_path: Path) -> None:
    async with open_house(room, tmp_path, policy=Policy(2, 4, 900)) as house:
        account = await house.account()
        for number in range(4):
            assert await fails(house, account, "x", username=f"nobody-{number}")
        assert await fails(house, account, account.password)
        await house.room.pool.execute("DELETE FROM delivery.sftp_failures")
        assert not await fails(house, account, account.password)
        noted = [e for e in await house.entries("sftp_user.login_refused") if e.org_id is None]
        assert {e.subject for e in noted} == {"unknown"} and not any("nobody-" in e.details for e in noted)


async def test_only_allowed_networks_let_in_and_it_looks_the_same(house: House) -> None:
    away = await house.account(allowed_networks=["203.0.113.0/24"])
    here = await house.account(allowed_networks=["127.0.0.0/8"])
    assert await fails(house, away, away.password)
    with pytest.raises(asyncssh.PermissionDenied):
        async with house.asyncssh(away):
            pass
    async with house.asyncssh(here):
        pass

    async def noted() -> bool:
        return len([e for e in await house.entries("sftp_user.login_refused") if e.subject == away.id and '"network"' in e.details]) == 2

    await until(noted)
    await house.room.pool.execute("DELETE FROM delivery.sftp_failures")


async def test_tries_on_one_connection_are_counted(house: House) -> None:
    account = await house.account()
    wrong = [asyncssh.generate_private_key("ssh-ed25519") for _ in range(20)]
    with pytest.raises((asyncssh.DisconnectError, asyncssh.PermissionDenied)) as ended:
        async with house.asyncssh(account, client_keys=wrong):
            pass
    assert "Too many tries" in str(ended.value)


# ---- crowds and silence


async def test_more_connections_than_allowed_hear_why(room: Room, tmp_path: Path) -> None:
    async with open_house(room, tmp_path, limits=Limits(6, 2, 30, 300)) as house:
        account = await house.account()
        async with house.asyncssh(account), house.asyncssh(account):
            with pytest.raises((asyncssh.DisconnectError, asyncssh.ConnectionLost, asyncssh.ChannelOpenError)):
                async with house.asyncssh(account) as third:
                    await third.start_sftp_client()
            code, said = await house.sftp(account, "ls")
            assert code != 0 and "Too many connections" in said


async def test_strangers_take_half_at_most_and_are_sent_away(room: Room, tmp_path: Path) -> None:
    async with open_house(room, tmp_path, limits=Limits(8, 8, 1, 300)) as house:
        account = await house.account()
        silent = [await asyncio.open_connection(HOST, house.port) for _ in range(4)]
        with pytest.raises((asyncssh.DisconnectError, asyncssh.ConnectionLost, ConnectionResetError)):
            async with house.asyncssh(account):
                pass
        for reader, _ in silent:
            await asyncio.wait_for(reader.read(), 20)  # up to the end: who says nothing is sent away
        async with house.asyncssh(account):
            pass
        for _, writer in silent:
            writer.close()


async def test_a_session_that_asks_for_nothing_ends(room: Room, tmp_path: Path) -> None:
    async with open_house(room, tmp_path, limits=Limits(8, 8, 30, 1)) as house:
        account = await house.account()
        async with raw(house, account) as session:
            with contextlib.suppress(asyncssh.Error):
                assert await asyncio.wait_for(session.reader.read(), 20) == b""


async def test_a_deleted_or_changed_user_is_sent_away(house: House) -> None:
    gone, reset, kept = await house.account(), await house.account(), await house.account()
    async with house.asyncssh(gone) as first, house.asyncssh(reset) as second, house.asyncssh(kept) as third:
        await house.users.delete(principal(house.org_id), gone.id)
        await house.users.reset_password(principal(house.org_id), reset.id)
        await house.server.look()
        await asyncio.wait_for(asyncio.gather(first.wait_closed(), second.wait_closed()), 20)
        async with third.start_sftp_client() as client:
            assert await client.listdir("/") == [".", "..", "export"]
    with pytest.raises(asyncssh.PermissionDenied):
        async with house.asyncssh(gone):
            pass
