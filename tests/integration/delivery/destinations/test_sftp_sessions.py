"""An SFTP session is kept for a moment, for the next files of the same destination, and for nobody else."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from services.delivery.core.addresses import AddressRule
from services.delivery.core.destinations.problems import Code
from services.delivery.destinations import sessions
from services.delivery.destinations.carriers.sftp import SftpCarrier
from services.delivery.guard import Guard
from tests.integration.delivery.destinations.freight import Kept, Source, shipment
from tests.integration.delivery.destinations.test_sftp import at, failing, place
from tests.mail_server import until
from tests.ssh_server import PASSWORD, Faulty, Sshd, faulty, key_pair, sshd


class Counting(Guard):
    """Counts connections, and keeps their sockets. `before` is called before one is made."""

    def __init__(self) -> None:
        super().__init__(AddressRule(loopback=True))
        self.made: list[socket.socket] = []
        self.before: Callable[[], None] = lambda: None

    async def connect(self, host: str, port: int) -> socket.socket:
        self.before()
        self.made.append(await super().connect(host, port))
        return self.made[-1]


@pytest_asyncio.fixture
async def guard() -> Counting:
    return Counting()


@pytest_asyncio.fixture
async def carrier(guard: Counting) -> AsyncIterator[SftpCarrier]:
    made = SftpCarrier(guard, silence_seconds=5)
    yield made
    await made.close()


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncIterator[Sshd]:
    async with sshd(tmp_path) as started:
        yield started


async def bring(carrier: SftpCarrier, server: Sshd, name: str) -> None:
    await carrier.carry(at(server), shipment([Source(b"id\n").parcel(name)]), Kept())


async def test_deliveries_one_after_the_other_log_in_once(server: Sshd, carrier: SftpCarrier, guard: Counting) -> None:
    for name in ("a.csv", "b.csv", "c.csv"):
        await bring(carrier, server, name)
    assert {each.name for each in server.home.iterdir()} == {"a.csv", "b.csv", "c.csv"} and len(guard.made) == 1


async def test_deliveries_side_by_side_have_a_session_each(server: Sshd, carrier: SftpCarrier, guard: Counting) -> None:
    await asyncio.gather(*(bring(carrier, server, f"{n}.csv") for n in range(3)))
    assert len(guard.made) == 3
    await bring(carrier, server, "more.csv")
    assert len(guard.made) == 3 and len(list(server.home.iterdir())) == 4


async def test_a_server_that_ended_it_meanwhile_is_asked_for_another_one(server: Sshd, carrier: SftpCarrier, guard: Counting) -> None:
    await bring(carrier, server, "a.csv")
    server.kill()
    await server.start()
    await bring(carrier, server, "b.csv")
    assert {each.name for each in server.home.iterdir()} == {"a.csv", "b.csv"} and len(guard.made) == 2


async def test_other_secrets_are_not_let_in_by_what_was_kept(server: Sshd, carrier: SftpCarrier, guard: Counting, tmp_path: Path) -> None:
    await bring(carrier, server, "a.csv")
    wrong = replace(at(server), secrets={"private_key": key_pair(tmp_path / "other").read_text()})
    refused = await failing(carrier.carry(wrong, shipment([Source(b"id\n").parcel("b.csv")]), Kept()))
    assert refused.code is Code.login_failed and len(guard.made) == 2


async def test_a_test_logs_in_itself_once_what_was_kept_is_closed(server: Sshd, carrier: SftpCarrier, guard: Counting) -> None:
    """Some servers let a user in once at a time."""
    await bring(carrier, server, "a.csv")
    kept, closed = guard.made[0], list[bool]()
    guard.before = lambda: closed.append(kept.fileno() == -1)
    await carrier.probe(at(server))
    assert closed == [True] and len(guard.made) == 2


async def test_who_is_called_off_while_it_asks_whether_a_session_is_good_leaves_none_open(
    tmp_path: Path, carrier: SftpCarrier, guard: Counting
) -> None:
    key, asked = key_pair(tmp_path / "host"), asyncio.Event()

    class Silent(Faulty):
        """To who asks where it is."""

        room = 1000

        async def realpath(self, path: bytes) -> bytes:
            asked.set()
            await asyncio.Event().wait()
            return path

    async with faulty(tmp_path, key, lambda channel: Silent(channel, chroot=str(tmp_path).encode())) as port:
        where = place(port, key, {"password": PASSWORD})
        await carrier.carry(where, shipment([Source(b"id\n").parcel("a.csv")]), Kept())
        again = asyncio.create_task(carrier.carry(where, shipment([Source(b"id\n").parcel("b.csv")]), Kept()))
        await asyncio.wait_for(asked.wait(), 20)
        again.cancel()
        await asyncio.gather(again, return_exceptions=True)
        await until(lambda: guard.made[0].fileno() == -1)
    assert len(guard.made) == 1 and again.cancelled()


async def test_a_server_that_lets_in_and_says_no_more_is_given_up(tmp_path: Path, guard: Counting) -> None:
    """It answers keepalives, so SSH itself would wait for ever."""
    carrier = SftpCarrier(guard, silence_seconds=0.5)
    async with sshd(tmp_path, subsystem="/bin/sleep 600") as server:
        failed = await asyncio.wait_for(failing(bring(carrier, server, "a.csv")), 20)
        await carrier.close()
    assert (failed.code, failed.again) == (Code.timeout, True) and guard.made[0].fileno() == -1


async def test_a_session_in_which_something_failed_is_not_used_again(server: Sshd, carrier: SftpCarrier, guard: Counting) -> None:
    (server.home / "a.csv").write_text("somebody else's")
    refused = await failing(bring(carrier, server, "a.csv"))
    await bring(carrier, server, "b.csv")
    assert refused.code is Code.rejected and len(guard.made) == 2


@pytest.mark.parametrize("how", ["time", "end"])
async def test_what_nobody_uses_is_closed(
    how: str, server: Sshd, carrier: SftpCarrier, guard: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "KEPT_SECONDS", 0.05 if how == "time" else 60)
    await bring(carrier, server, "a.csv")
    if how == "end":
        await carrier.close()
    await until(lambda: guard.made[0].fileno() == -1)
    assert len(guard.made) == 1 and guard.made[0].fileno() == -1
