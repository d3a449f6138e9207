"""Files to SFTP servers that we didn't write."""

import asyncio
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest
import pytest_asyncio

from services.delivery.core.addresses import PUBLIC_ONLY, AddressRule
from services.delivery.core.destinations.problems import Code, Undelivered
from services.delivery.core.destinations.resuming import WINDOW_BYTES
from services.delivery.destinations.carrier import Place
from services.delivery.destinations.carriers.sftp import SftpCarrier
from services.delivery.guard import Guard
from tests.integration.delivery.destinations.freight import Kept, Source, shipment
from tests.mail_server import until
from tests.ssh_server import HOST, PASSWORD, Faulty, Sshd, faulty, fingerprint_of, free_port, key_pair, public_line, rclone, sshd

BIG = os.urandom(9 << 20)
DEFAULTS = {"port": 22, "host_keys": [], "directory": "", "path": "", "overwrite": False}


@pytest_asyncio.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sshd]:
    async with sshd(Path(tmp_path_factory.mktemp("sshd"))) as started:
        yield started


@pytest_asyncio.fixture
async def carrier() -> AsyncIterator[SftpCarrier]:
    made = SftpCarrier(Guard(AddressRule(loopback=True)), silence_seconds=5)
    yield made
    await made.close()


def place(port: int, host_key: Path, secrets: dict[str, str], **config: Any) -> Place:
    given = {**DEFAULTS, "host": HOST, "port": port, "username": "waybill", "host_keys": [fingerprint_of(host_key)], **config}
    return Place("dst_01", "org_acme", given, secrets)


def at(server: Sshd, **config: Any) -> Place:
    return place(server.port, server.host_key("ed25519"), {"private_key": server.key.read_text()}, username=server.user, **config)


async def failing(what: Any) -> Undelivered:
    with pytest.raises(Undelivered) as failed:
        await what
    return failed.value


# ---- bringing


async def test_files_lie_where_the_template_says_whole_and_alone(server: Sshd, carrier: SftpCarrier) -> None:
    first, second, ledger = Source(BIG), Source(b"id\n"), Kept()
    where = at(server, directory="in/acme", path="{dataset}/{year}", file_mode="0640")
    await carrier.carry(where, shipment([first.parcel(), second.parcel("Übersicht März.csv"), Source(b"").parcel("empty.csv")]), ledger)
    folder = server.home / "in/acme/messages/2026"
    assert {path.name for path in folder.iterdir()} == {"messages.csv", "Übersicht März.csv", "empty.csv"}
    assert (folder / "messages.csv").read_bytes() == BIG
    assert (folder / "Übersicht März.csv").read_bytes() == b"id\n"
    assert stat.S_IMODE((folder / "messages.csv").stat().st_mode) == 0o640
    assert ledger.places["messages.csv"] == f"sftp://{HOST}:{server.port}/in/acme/messages/2026/messages.csv"


async def test_what_is_known_to_be_there_opens_no_connection(carrier: SftpCarrier, tmp_path: Path) -> None:
    nowhere = place(free_port(), key_pair(tmp_path / "key"), {})
    file = Source(BIG)
    await carrier.carry(nowhere, shipment([file.parcel()]), Kept(places={"messages.csv": "there"}))
    assert file.reads == []


@pytest.mark.parametrize("dies", ["server", "client"])
async def test_an_upload_that_broke_goes_on_where_it_was(dies: str, carrier: SftpCarrier, tmp_path: Path) -> None:
    reached = asyncio.Event()

    def stop(position: int) -> Any:
        if position < 15 << 20:
            return None
        reached.set()
        return asyncio.Event().wait()

    async with sshd(tmp_path) as server:
        content = BIG + BIG
        source, ledger, where = Source(content, before_piece=stop), Kept(), at(server, directory="x")
        carrying = asyncio.create_task(carrier.carry(where, shipment([source.parcel()]), ledger))
        await reached.wait()
        if dies == "server":
            server.kill()
        carrying.cancel()
        with pytest.raises(asyncio.CancelledError):
            await carrying
        (part,) = (server.home / "x").iterdir()
        assert part.name == ".messages.csv.dlv_01.part"
        if dies == "server":
            await server.start()
        there = part.stat().st_size
        again = Source(content)
        await carrier.carry(where, shipment([again.parcel()]), ledger)
        assert [each.name for each in (server.home / "x").iterdir()] == ["messages.csv"]
        assert (server.home / "x/messages.csv").read_bytes() == content
    assert there >= 11 << 20
    assert again.reads[0] >= there - WINDOW_BYTES
    assert again.taken == len(content) - again.reads[0]


async def test_a_server_that_is_killed_is_disconnected(carrier: SftpCarrier, tmp_path: Path) -> None:
    async with sshd(tmp_path) as server:

        def kill(position: int) -> None:
            if position == 6 << 20:
                server.kill()

        failed = await failing(carrier.carry(at(server), shipment([Source(BIG, before_piece=kill).parcel()]), Kept()))
        assert (failed.code, failed.again) == (Code.disconnected, True)
        assert (await failing(carrier.carry(at(server), shipment([Source(BIG).parcel()]), Kept()))).code is Code.refused


async def test_a_file_that_got_its_name_before_we_could_note_it_is_not_sent_again(server: Sshd, carrier: SftpCarrier) -> None:
    def die() -> None:
        raise KeyError("killed")

    ledger, where = Kept(before_sent=die), at(server, directory="noted")
    with pytest.raises(KeyError):
        await carrier.carry(where, shipment([Source(BIG).parcel()]), ledger)
    again, ledger.before_sent = Source(BIG), lambda: None
    inode = (server.home / "noted/messages.csv").stat().st_ino
    await carrier.carry(where, shipment([again.parcel()]), ledger)
    assert again.reads == []
    assert (server.home / "noted/messages.csv").stat().st_ino == inode
    assert set(ledger.places) == {"messages.csv"}


async def test_a_file_that_was_taken_away_before_we_could_note_it_is_not_sent_again(server: Sshd, carrier: SftpCarrier) -> None:
    def picked_up() -> None:
        (server.home / "picked/messages.csv").rename(server.home / "picked up")
        raise KeyError("killed")

    ledger, where = Kept(before_sent=picked_up), at(server, directory="picked")
    with pytest.raises(KeyError):
        await carrier.carry(where, shipment([Source(BIG).parcel()]), ledger)
    again, ledger.before_sent = Source(BIG), lambda: None
    await carrier.carry(where, shipment([again.parcel()]), ledger)
    assert again.reads == [] and list((server.home / "picked").iterdir()) == []
    assert set(ledger.places) == {"messages.csv"}


@pytest.mark.parametrize("content", [b"other", BIG[:-1] + b"!"], ids=["length", "bytes"])
async def test_another_file_is_never_replaced_unasked(content: bytes, server: Sshd, carrier: SftpCarrier) -> None:
    folder = server.home / "taken"
    folder.mkdir(exist_ok=True)
    (folder / "messages.csv").write_bytes(content)
    failed = await failing(carrier.carry(at(server, directory="taken"), shipment([Source(BIG).parcel()]), Kept()))
    assert (failed.code, failed.again) == (Code.rejected, False)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"messages.csv": content}
    await carrier.carry(at(server, directory="taken", overwrite=True), shipment([Source(BIG).parcel()]), Kept())
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"messages.csv": BIG}


async def test_a_file_that_appears_meanwhile_is_not_replaced(server: Sshd, carrier: SftpCarrier) -> None:
    folder = server.home / "race"

    def appear(position: int) -> None:
        (folder / "messages.csv").write_bytes(b"theirs")

    failed = await failing(carrier.carry(at(server, directory="race"), shipment([Source(b"ours", before_piece=appear).parcel()]), Kept()))
    assert failed.code is Code.rejected
    assert (folder / "messages.csv").read_bytes() == b"theirs"


async def test_a_temporary_file_that_goes_while_it_is_gone_on_with_is_begun_anew(server: Sshd, carrier: SftpCarrier) -> None:
    """As where it is taken away as given up in the moment in which it is asked for again: no file is to begin with a hole."""
    folder = server.home / "swept"
    folder.mkdir()
    part = folder / ".messages.csv.dlv_01.part"
    part.write_bytes(BIG[: 6 << 20])

    class Sweeping(Kept):
        async def keep(self, name: str, note: str) -> None:
            if '"placing": true' not in note:
                part.unlink()
            await super().keep(name, note)

    source, ledger = Source(BIG), Sweeping(notes={"messages.csv": '{"part": "swept/.messages.csv.dlv_01.part"}'})
    await carrier.carry(at(server, directory="swept"), shipment([source.parcel()]), ledger)
    assert [path.name for path in folder.iterdir()] == ["messages.csv"]
    assert (folder / "messages.csv").read_bytes() == BIG and source.reads == [0]


async def test_a_temporary_file_that_is_not_known_is_begun_anew(server: Sshd, carrier: SftpCarrier) -> None:
    folder = server.home / "unknown"
    folder.mkdir()
    (folder / ".messages.csv.dlv_01.part").write_bytes(os.urandom(len(BIG) + 5))
    source = Source(BIG)
    await carrier.carry(at(server, directory="unknown"), shipment([source.parcel()]), Kept())
    assert (source.reads, (folder / "messages.csv").read_bytes() == BIG) == ([0], True)


async def test_what_is_half_there_is_taken_away(server: Sshd, carrier: SftpCarrier) -> None:
    folder = server.home / "given-up"
    folder.mkdir()
    (folder / ".messages.csv.dlv_01.part").write_bytes(b"half")
    notes = {"messages.csv": '{"part": "given-up/.messages.csv.dlv_01.part"}', "gone.csv": '{"part": "given-up/.gone.csv.dlv_01.part"}'}
    await carrier.abandon(at(server), notes)
    assert list(folder.iterdir()) == []


async def test_a_server_that_writes_in_any_order(carrier: SftpCarrier, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    key = key_pair(tmp_path / "host")
    async with rclone(tmp_path / "home", key) as port:
        where = place(port, key, {"password": PASSWORD}, path="{dataset}")
        await carrier.probe(where)
        await carrier.carry(where, shipment([Source(BIG).parcel()]), Kept())
        again, home = Source(BIG), tmp_path / "home/messages"
        await carrier.carry(where, shipment([again.parcel()]), Kept())
        await until(lambda: [path.name for path in home.iterdir()] == ["messages.csv"] and (home / "messages.csv").read_bytes() == BIG)
    assert again.reads == []


# ---- host keys


async def test_a_key_is_shown_before_one_is_pinned_and_nothing_is_given_away(server: Sshd, carrier: SftpCarrier) -> None:
    failed = await failing(carrier.probe(at(server, host_keys=[])))
    assert (failed.code, failed.again) == (Code.host_key_unknown, False)
    assert fingerprint_of(server.host_key("ed25519")) in failed.message
    assert " ".join(public_line(server.host_key("ed25519")).split()[:2]) in failed.message


async def test_a_host_key_that_changed(carrier: SftpCarrier, tmp_path: Path) -> None:
    async with sshd(tmp_path) as server:
        where = at(server)
        await carrier.probe(where)
        server.kill()
        server.host_key("ed25519").unlink()
        await server.start()
        failed = await failing(carrier.probe(where))
    assert (failed.code, failed.again) == (Code.host_key_changed, False)
    assert fingerprint_of(server.host_key("ed25519")) in failed.message


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
@pytest.mark.parametrize("as_line", [True, False], ids=["line", "fingerprint"])
async def test_any_key_of_a_server_with_several_may_be_the_pinned_one(
    kind: str, as_line: bool, carrier: SftpCarrier, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp() / "sshd-several"
    folder.mkdir(exist_ok=True)
    async with sshd(folder, host_keys=("ed25519", "ecdsa", "rsa")) as server:
        key = server.host_key(kind)
        pinned = " ".join(public_line(key).split()[:2]) if as_line else fingerprint_of(key)
        assert (await carrier.probe(at(server, host_keys=[pinned], directory=kind))).startswith(f"sftp://{HOST}:{server.port}/")
        assert list((server.home / kind).iterdir()) == []


# ---- logging in


async def test_a_key_with_a_passphrase(server: Sshd, carrier: SftpCarrier, tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.write_bytes(server.key.read_bytes())
    locked.chmod(0o600)
    process = await asyncio.create_subprocess_exec("ssh-keygen", "-q", "-p", "-P", "", "-N", "open sesame", "-f", str(locked))
    assert await process.wait() == 0
    where = at(server)
    good = Place(where.id, where.org_id, where.config, {"private_key": locked.read_text(), "passphrase": "open sesame"})
    await carrier.probe(good)
    for secrets in ({"private_key": locked.read_text()}, {"private_key": locked.read_text(), "passphrase": "x"}):
        failed = await failing(carrier.probe(Place(where.id, where.org_id, where.config, secrets)))
        assert (failed.code, failed.again) == (Code.login_failed, False)


async def test_a_key_that_the_server_does_not_know(server: Sshd, carrier: SftpCarrier, tmp_path: Path) -> None:
    where = at(server)
    failed = await failing(
        carrier.probe(Place(where.id, where.org_id, where.config, {"private_key": key_pair(tmp_path / "other").read_text()}))
    )
    assert failed.code is Code.login_failed
    assert "with the key. It takes: publickey." in failed.message


@pytest.mark.parametrize("kbdint", [False, True], ids=["password", "keyboard-interactive"])
async def test_passwords(kbdint: bool, carrier: SftpCarrier, tmp_path: Path) -> None:
    key = key_pair(tmp_path / "host")

    def make(channel: Any) -> Faulty:
        served = Faulty(channel, chroot=str(tmp_path).encode())
        served.room = 1000
        return served

    async with faulty(tmp_path, key, make, kbdint) as port:
        await carrier.probe(place(port, key, {"password": PASSWORD}))
        failed = await failing(carrier.probe(place(port, key, {"password": "wrong"})))
    assert failed.code is Code.login_failed
    assert "with the password" in failed.message
    assert "wrong" not in failed.message


# ---- what goes wrong


async def test_a_probe_leaves_nothing_behind(server: Sshd, carrier: SftpCarrier) -> None:
    assert await carrier.probe(at(server, directory="probed", path="{dataset}")) == f"sftp://{HOST}:{server.port}/probed"
    assert list((server.home / "probed").iterdir()) == []


async def test_a_directory_that_may_not_be_written(carrier: SftpCarrier, tmp_path: Path) -> None:
    key = key_pair(tmp_path / "host")

    class ReadOnly(asyncssh.SFTPServer):
        def open(self, *_: Any) -> Any:
            raise asyncssh.SFTPPermissionDenied("no")

        def mkdir(self, *_: Any) -> Any:
            raise asyncssh.SFTPPermissionDenied("no")

    async with faulty(tmp_path, key, lambda channel: ReadOnly(channel, chroot=str(tmp_path).encode())) as port:
        for config in ({}, {"directory": "new"}):
            failed = await failing(carrier.probe(place(port, key, {"password": PASSWORD}, **config)))
            assert failed.code is Code.permission_denied


@pytest.mark.parametrize(
    ("answer", "free", "code"),
    [
        (asyncssh.SFTPFailure("Failure"), 0, Code.quota),
        (asyncssh.SFTPFailure("Failure"), 10_000, Code.rejected),
    ],
    ids=["full", "unknown"],
)
async def test_a_server_that_fills_up(answer: asyncssh.SFTPError, free: int, code: Code, carrier: SftpCarrier, tmp_path: Path) -> None:
    home, key, room = tmp_path / "home", key_pair(tmp_path / "host"), 5 << 20
    home.mkdir()

    def make(channel: Any) -> Faulty:
        served = Faulty(channel, chroot=str(home).encode())
        served.room, served.full, served.free = room, answer, free
        return served

    async with faulty(home, key, make) as port:
        where, ledger = place(port, key, {"password": PASSWORD}), Kept()
        failed = await failing(carrier.carry(where, shipment([Source(BIG).parcel()]), ledger))
        assert (failed.code, failed.again) == (code, True)
        assert not (home / "messages.csv").exists()
        room = len(BIG)
        again = Source(BIG)
        await carrier.carry(where, shipment([again.parcel()]), ledger)
    assert (home / "messages.csv").read_bytes() == BIG
    assert again.reads[0] > 0


@pytest.mark.parametrize(("silence_seconds", "file_seconds"), [(0.2, 60), (60, 0.2)], ids=["silent", "slow"])
async def test_a_server_that_hangs_is_left_after_a_while(silence_seconds: float, file_seconds: float, tmp_path: Path) -> None:
    key, never = key_pair(tmp_path / "host"), asyncio.Event()
    carrier = SftpCarrier(Guard(AddressRule(loopback=True)), silence_seconds, file_seconds)

    def make(channel: Any) -> Faulty:
        served = Faulty(channel, chroot=str(tmp_path).encode())
        served.hang = never
        return served

    async with faulty(tmp_path, key, make) as port:
        failed = await failing(carrier.carry(place(port, key, {"password": PASSWORD}), shipment([Source(b"few").parcel()]), Kept()))
        never.set()
    await carrier.close()
    assert (failed.code, failed.again) == (Code.timeout, True)


async def test_nobody_there(carrier: SftpCarrier, tmp_path: Path) -> None:
    failed = await failing(carrier.probe(place(free_port(), key_pair(tmp_path / "key"), {"password": PASSWORD})))
    assert failed.code is Code.refused


async def test_an_address_inside_is_refused_before_there_is_a_socket(server: Sshd) -> None:
    guarded = SftpCarrier(Guard(PUBLIC_ONLY))
    failed = await failing(guarded.probe(at(server)))
    await guarded.close()
    assert (failed.code, failed.again) == (Code.address_refused, False)
