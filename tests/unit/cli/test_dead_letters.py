"""What a replay remembers, what a dead letter says, and where a key goes."""

from types import SimpleNamespace

import pytest
from aiokafka.partitioner import murmur2 as reference
from hypothesis import given
from hypothesis import strategies as st

from cli.core.letters import letter_of, shown
from cli.core.memory import METADATA_CHARS_MAX, Memory, parse
from cli.core.murmur import murmur2, partition_of
from tests.unit.cli.conftest import Waybill


@given(st.lists(st.integers(0, 40)), st.integers(0, 10))
def test_memory_is_a_set_of_offsets(offsets: list[int], before: int) -> None:
    memory = Memory(before)
    for offset in offsets:
        memory = memory.with_sent(offset)
    wanted = set(range(before)) | set(offsets)
    assert {n for n in range(60) if n in memory} == wanted
    assert memory.before not in wanted
    assert parse(memory.before, memory.metadata) == memory
    assert memory.count_within(5, 30) == len(wanted & set(range(5, 30)))
    later = memory.from_start(20)
    assert {n for n in range(60) if n in later} == wanted | set(range(20))


def test_memory_that_is_not_ours_counts_as_none() -> None:
    assert parse(-1, None) == Memory(0)
    assert parse(7, "something else, 9-x, 12") == Memory(7, ())
    assert parse(3, "9-11,3-5,x") == Memory(6, ((9, 11),))


def test_memory_says_when_it_is_full() -> None:
    memory = Memory(0)
    for offset in range(10**9, 10**9 + 2000, 2):
        memory = memory.with_sent(offset)
        if memory.is_full:
            break
    assert memory.is_full
    assert len(memory.metadata) < METADATA_CHARS_MAX - 1900


def _record(headers: list[tuple[str, bytes]], key: bytes | None = b"k") -> SimpleNamespace:
    return SimpleNamespace(topic="records-dlq", partition=1, offset=5, timestamp=0, key=key, value=b"v", headers=headers)


def test_only_the_letters_own_error_headers_are_taken_off() -> None:
    mine = [("content-type", b"application/json"), ("error-code", b"the sender's"), ("original-topic", b"the sender's too")]
    ours = [("error-code", b"bad"), ("error-message", b"m"), ("error-field", b"data.x"), ("original-topic", b"records"), ("original-partition", b"3"),
            ("original-offset", b"9")]  # fmt: skip
    letter = letter_of(_record(mine + ours))
    assert letter.headers == tuple(mine)
    assert (letter.target, letter.reason["error-code"], letter.target_partition) == ("records", "bad", None)
    assert letter_of(_record(ours, key=None)).target_partition == 3
    assert letter_of(_record([])).target == "records"


@pytest.mark.parametrize(
    ("data", "limit", "text"),
    [
        (None, None, None), (b"", None, ""), ("é日".encode(), None, "é日"), (b"\xc3\x01\x00", None, "hex:c30100"), (b"a\x00", None, "hex:6100"),
        ("日本".encode(), 4, "日… (6 bytes)"), (b"\xff" * 9, 2, "hex:ffff… (9 bytes)"),
    ],
)  # fmt: skip
def test_bytes_are_shown_as_text_or_hex(data: bytes | None, limit: int | None, text: str | None) -> None:
    assert shown(data, limit) == text


@given(st.binary(max_size=70))
def test_keys_go_where_every_kafka_client_puts_them(key: bytes) -> None:
    assert murmur2(key) == reference(key)
    assert partition_of(key, list(range(6))) == (reference(key) & 0x7FFFFFFF) % 6


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["show", "records-dlq", "--offset", "3"], "--offset"),
        (["replay", "records-dlq", "--offset", "3"], "--offset"),
        (["replay", "x", "--limit", "0"], "--limit"),
    ],
)
def test_wrong_use(waybill: Waybill, arguments: list[str], names: str) -> None:
    result = waybill("dlq", *arguments, "--kafka", "127.0.0.1:1")
    assert result.exit_code == 2
    assert names in result.stderr


def test_kafka_that_is_not_set_or_away(waybill: Waybill) -> None:
    assert waybill("dlq", "list", env={"WAYBILL_KAFKA": None}).exit_code == 2
    for arguments in (["list"], ["show", "records-dlq"], ["replay", "records-dlq"]):
        result = waybill("dlq", *arguments, "--kafka", "127.0.0.1:1")
        assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
        assert "no broker answers" in result.stderr
