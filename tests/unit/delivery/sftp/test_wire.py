"""SFTP on the wire: whatever comes is a request, waits for more, or is refused; nothing else."""

import struct
from datetime import UTC, datetime

import pytest
from asyncssh.packet import SSHPacket
from asyncssh.sftp import SFTPAttrs, SFTPName
from hypothesis import given
from hypothesis import strategies as st

from services.delivery.core.sftp import wire
from services.delivery.core.sftp.wire import BadMessage, Changing, Entry, Frames, Limits, Open, Read, Stat, Unknown

AT = datetime(2026, 3, 15, 9, 22, 41, tzinfo=UTC)


def framed(kind: int, body: bytes) -> bytes:
    return struct.pack(">IB", 1 + len(body), kind) + body


def text(value: bytes) -> bytes:
    return struct.pack(">I", len(value)) + value


def all_of(frames: Frames) -> list[wire.Request]:
    found = []
    while (request := frames.next()) is not None:
        found.append(request)
    return found


@given(
    st.lists(st.tuples(st.integers(0, 2**32 - 1), st.binary(max_size=300), st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1))),
    st.integers(1, 50),
)
def test_requests_come_out_however_they_come_in(wanted: list[tuple[int, bytes, int, int]], step: int) -> None:
    sent = b"".join(
        framed(5, struct.pack(">I", number) + text(handle) + struct.pack(">QI", at, length)) for number, handle, at, length in wanted
    )
    frames, found = Frames(), []
    for first in range(0, len(sent), step):
        frames.feed(sent[first : first + step])
        found += all_of(frames)
    assert found == [Read(*each) for each in wanted]
    assert frames.waiting == 0


@given(st.binary(max_size=2000))
def test_any_bytes_are_taken_or_refused(data: bytes) -> None:
    frames = Frames()
    frames.feed(data)
    try:
        all_of(frames)
    except BadMessage:
        return
    assert frames.waiting <= len(data)


def test_a_message_that_is_too_long_is_refused_before_it_comes() -> None:
    frames = Frames()
    frames.feed(struct.pack(">I", wire.MESSAGE_BYTES_MAX + 1))
    with pytest.raises(BadMessage):
        frames.next()


@pytest.mark.parametrize("kind", [6, 9, 10, 13, 14, 15, 18, 20])
def test_what_changes_things_is_recognised(kind: int) -> None:
    frames = Frames()
    frames.feed(framed(kind, struct.pack(">I", 7) + text(b"/export")))
    assert frames.next() == Changing(7)


def test_extensions() -> None:
    frames = Frames()
    for name in (b"limits@openssh.com", b"posix-rename@openssh.com", b"statvfs@openssh.com"):
        frames.feed(framed(200, struct.pack(">I", 1) + text(name)))
    assert all_of(frames) == [Limits(1), Changing(1), Unknown(1)]


@pytest.mark.parametrize(
    ("flags", "reads"), [(1, True), (2, False), (3, False), (1 | 8, False), (1 | 0x10, False), (0, False), (0x1A, False)]
)
def test_only_reading_is_only_reading(flags: int, reads: bool) -> None:
    assert Open(1, b"x", flags).only_reads is reads


def test_stat_and_lstat_are_one() -> None:
    frames = Frames()
    for kind in (7, 17):
        frames.feed(framed(kind, struct.pack(">I", 1) + text(b"/a")))
    assert all_of(frames) == [Stat(1, b"/a")] * 2


@given(st.lists(st.tuples(st.text(max_size=40), st.integers(0, 2**63), st.booleans()), max_size=5))
def test_names_read_as_another_implementation_reads_them(entries: list[tuple[str, int, bool]]) -> None:
    entries = [(name.encode("utf-8", "ignore").decode(), size, folder) for name, size, folder in entries]
    packet = SSHPacket(wire.names(9, [Entry(name, size, AT, folder) for name, size, folder in entries])[5:])
    assert (packet.get_uint32(), packet.get_uint32()) == (9, len(entries))
    for name, size, folder in entries:
        found = SFTPName.decode(packet, 3)
        assert (found.filename, found.attrs.size, found.attrs.mtime) == (name.encode(), size, int(AT.timestamp()))
        assert found.attrs.permissions == (wire.DIRECTORY if folder else wire.FILE)
    packet.check_end()


def test_attributes_and_data() -> None:
    packet = SSHPacket(wire.attributes(3, Entry("x", 12, AT))[5:])
    assert packet.get_uint32() == 3
    assert SFTPAttrs.decode(packet, 3).size == 12
    answer = wire.data(4, [memoryview(b"abc"), b"de"])
    assert answer == framed(103, struct.pack(">I", 4) + text(b"abcde"))
    assert len(wire.data(1, [bytes(wire.READ_BYTES_MAX)])) <= 256 * 1024
