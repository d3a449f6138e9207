"""Keys that last, files that come and go, crowds, and the way out."""

import asyncio
import contextlib
import secrets
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import asyncssh
import pytest
from asyncssh.sftp import SFTPNoSuchFile

from services.delivery.sftp import files
from services.delivery.sftp.host_keys import HostKeys
from services.delivery.sftp.server import Limits
from services.delivery.sftp.store import SftpStore
from services.delivery.threads import Threads
from shared.clock import utc_now
from shared.errors import TransientError
from shared.sealing import SFTP_HOST_KEYS, Seal
from shared.storage import ObjectStore
from tests.integration.delivery.room import SECRET_KEY, Export, NoRelay, Room, message, until
from tests.integration.delivery.sftp.house import HOST, Account, House, open_house

CONTENT = secrets.token_bytes(5_000_000)


# ---- host keys


async def host_key(house: House) -> str:
    """Of the kind that clients like best."""
    key = await asyncssh.get_server_host_key(HOST, house.port, server_host_key_algs=["ssh-ed25519"], config=None)
    assert key
    return key.get_fingerprint()


async def test_host_keys_are_the_same_in_every_process_and_after_a_restart(room: Room, tmp_path: Path) -> None:
    async with open_house(room, tmp_path) as first, open_house(room, tmp_path) as second:
        keys = [await host_key(house) for house in (first, second)]
    async with open_house(room, tmp_path) as third:
        keys.append(await host_key(third))
        shown = await third.host_keys.show()
    assert set(keys) == {shown[0]["fingerprint"]}


async def test_a_new_host_key_is_learnt_by_openssh_before_it_is_used(room: Room, tmp_path: Path) -> None:
    async with open_house(room, tmp_path, announced=timedelta(days=1)) as house:
        account = await house.account()
        code, said = await house.sftp(account, "pwd", options=["-o", "UpdateHostKeys=yes"])
        assert code == 0, said
        await house.host_keys.rotate()
        await house.server.take_over_host_keys()
        code, said = await house.sftp(account, "pwd", options=["-o", "UpdateHostKeys=yes"])
        assert code == 0, said
        await room.pool.execute("UPDATE delivery.sftp_host_keys SET used_from = used_from - interval '1 day'")
        await house.server.take_over_host_keys()
        assert await host_key(house) == (await house.host_keys.show())[0]["fingerprint"]
        code, said = await house.sftp(account, "pwd", options=["-o", "StrictHostKeyChecking=yes"])  # it knows the new ones
        assert code == 0, said


async def test_host_keys_outlive_a_change_of_the_secret_key(room: Room, house: House) -> None:
    threads = Threads(1, "hash")

    def with_keys(*keys: str) -> HostKeys:
        return HostKeys(SftpStore(room.pool), Seal(keys, SFTP_HOST_KEYS), threads, NoRelay(room.pool), timedelta(0), utc_now)

    before, new = list(await house.host_keys.load()), "another secret of the tests, long enough too"
    await with_keys(new, SECRET_KEY).seal_again()
    assert list(await with_keys(new).load()) == before
    with pytest.raises(TransientError, match="SECRET_KEY"):
        await house.host_keys.load()
    await with_keys(SECRET_KEY, new).seal_again()
    assert list(await house.host_keys.load()) == before
    await threads.close()


# ---- files


async def test_a_file_is_there_when_its_export_is_completed_and_goes_with_it(house: House) -> None:
    account = await house.account()
    waits = await house.file(CONTENT, name="waits.csv", status="publishing")
    async with house.asyncssh(account) as connection, connection.start_sftp_client() as client:

        async def is_there(name: str) -> bool:
            listed = name in await client.listdir("/export/message")
            assert listed == await client.exists(f"/export/message/{name}")
            return listed

        assert not await is_there("waits.csv")
        await waits.keep("completed")
        assert await is_there("waits.csv")
        for number, change in enumerate(({"status": "failed"}, {"expires_in": timedelta(0)}, {"deleted": True}, {"status": "expired"})):
            name = f"goes-{number}.csv"
            export = await house.file(CONTENT, name=name)
            assert await is_there(name)
            await export.keep(**change)  # type: ignore[arg-type]
            assert not await is_there(name)


@pytest.mark.parametrize("express", [True, False])
async def test_a_command_that_names_a_folder_puts_the_file_there(house: House, express: bool) -> None:
    account = await house.account()
    export = Export(house.room, org_id=house.org_id, express=express)
    await export.keep()
    async with house.room.process() as process:
        command = replace(export.command(export.put_parts([b"rows\n"]), last=True), sftp_folder="team", name=f"{export.id}_team.csv")
        await process.handler.handle(message(command))
        await house.room.event(export.id)
    async with house.asyncssh(account) as connection, connection.start_sftp_client() as client:
        opened = await client.open(f"/export/team/{export.id}_team.csv", "rb")
        assert await opened.read() == export.expected([b"rows\n"])


async def test_a_file_whose_export_is_recalled_ends_in_the_middle(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    account = await house.account()
    export = await house.file(CONTENT, name="recalled.csv")
    monkeypatch.setattr(files, "LOOK_SECONDS", 0.0)
    async with house.asyncssh(account) as connection, connection.start_sftp_client() as client:
        async with client.open("/export/message/recalled.csv", "rb") as opened:
            assert await opened.read(1000) == CONTENT[:1000]
            async with house.room.process() as process:
                await process.handler.handle(message(export.discard(files=True)))
            with pytest.raises(SFTPNoSuchFile):
                await opened.read(1000, 2_000_000)
        assert "recalled.csv" not in await client.listdir("/export/message")
    assert await house.room.count("sftp_files", export.id) == 0


async def test_a_folder_of_many_files_is_listed_whole(house: House) -> None:
    account = await house.account()
    export = await house.file(b"x", folder="topic", name="0000.csv")
    async with house.room.pool.acquire() as connection:
        await connection.execute("SET ROLE none")
        await connection.execute(
            "INSERT INTO delivery.sftp_files (org_id, path, name, export_id, format, file_number) "
            "SELECT $1, 'topic', to_char(n, 'FM0000') || '.csv', $2, 'csv', 1 FROM generate_series(1, 1499) n",
            house.org_id, export.id,
        )  # fmt: skip
        await connection.execute("RESET ROLE")
    async with house.asyncssh(account) as client_connection, client_connection.start_sftp_client() as client:
        names = [name for name in await client.listdir("/export/topic") if not str(name).startswith(".")]
    assert names == [f"{n:04}.csv" for n in range(1500)]


async def test_random_reads_give_what_is_there(any_house: House) -> None:
    account = await any_house.account()
    await any_house.file(CONTENT, folder="tag", name="random.csv")
    async with any_house.asyncssh(account) as connection, connection.start_sftp_client() as client:
        opened = [await client.open("/export/tag/random.csv", "rb") for _ in range(7)]  # more than are read ahead at once
        for _ in range(60):
            at, length = secrets.randbelow(len(CONTENT) + 100), secrets.randbelow(700_000)
            assert await secrets.choice(opened).read(length, at) == CONTENT[at : at + length]


async def test_downloads_of_parts_note_where_they_begin(house: House) -> None:
    account = await house.account()
    await house.file(b"", name="empty.csv")
    async with house.asyncssh(account) as connection, connection.start_sftp_client() as client:
        opened = await client.open("/export/message/empty.csv", "rb")
        assert await opened.read() == b""
    assert [e for e in await house.entries("file.downloaded") if "empty.csv" in e.details]


class Broken:
    """A store that fails once in the middle of a file."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects, self.fails = objects, 1

    def __getattr__(self, name: str) -> object:
        return getattr(self._objects, name)

    def read(self, key: str, start: int = 0, end: int | None = None, piece_bytes: int = 1 << 20) -> Iterator[bytes]:
        for piece in self._objects.read(key, start, end, piece_bytes):
            if start > 1_000_000 and self.fails:
                self.fails -= 1
                raise TransientError("The store: away", "store")
            yield piece


async def test_a_store_that_is_away_is_a_failure_and_the_next_read_goes_on(room: Room, tmp_path: Path) -> None:
    async with open_house(room, tmp_path, objects=Broken(room.objects)) as house:  # type: ignore[arg-type]
        account = await house.account()
        await house.file(CONTENT, name="broken.csv")
        async with house.asyncssh(account) as connection, connection.start_sftp_client() as client:
            opened = await client.open("/export/message/broken.csv", "rb", block_size=0)
            with pytest.raises(asyncssh.SFTPFailure, match="try again"):
                await opened.read(1000, 2_000_000)
            assert await opened.read(1000, 2_000_000) == CONTENT[2_000_000:2_001_000]


# ---- crowds, and the way out


async def test_two_hundred_clients_at_once_get_their_files(room: Room, tmp_path: Path) -> None:
    content = CONTENT[:200_000]
    async with open_house(room, tmp_path, limits=Limits(400, 300, 300, 300)) as house:
        accounts = [await house.account() for _ in range(4)]
        await house.file(content, folder="user", name="crowd.csv")
        greeted, inside, all_in = asyncio.Semaphore(20), 0, asyncio.Event()

        async def fetch(account: Account) -> bool:
            nonlocal inside
            async with contextlib.AsyncExitStack() as stack:
                async with greeted:
                    connection = await stack.enter_async_context(house.asyncssh(account, login_timeout=300))
                    client = await stack.enter_async_context(connection.start_sftp_client())
                inside += 1
                if inside == 200:
                    all_in.set()
                await all_in.wait()
                opened = await client.open("/export/user/crowd.csv", "rb", block_size=100_000)
                return bool(await opened.read() == content)

        async with asyncio.TaskGroup() as group:
            fetches = [group.create_task(fetch(accounts[n % 4])) for n in range(200)]
        assert all(each.result() for each in fetches)


async def test_leaving_ends_idle_sessions_at_once_and_lets_reads_end(room: Room, tmp_path: Path) -> None:
    async with open_house(room, tmp_path) as house:
        account = await house.account()
        await house.file(CONTENT, name="leaving.csv")
        async with house.asyncssh(account) as idle, house.asyncssh(account) as busy, busy.start_sftp_client() as client:
            opened = await client.open("/export/message/leaving.csv", "rb")
            assert await opened.read(1000) == CONTENT[:1000]
            await house.server.leave()
            await asyncio.wait_for(idle.wait_closed(), 10)
            assert await opened.read(1000, 1000) == CONTENT[1000:2000]
            with pytest.raises(OSError):
                await asyncssh.connect(HOST, house.port, known_hosts=None)
            await house.server.close()
            await asyncio.wait_for(busy.wait_closed(), 10)

    async def let_go() -> bool:
        return not house.server._guests

    await until(let_go)
