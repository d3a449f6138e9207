"""What every store promises."""

import urllib.request
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.errors import PermanentError
from shared.storage import NotThere, ObjectStore

MIB = 1 << 20
slow = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def content(size: int, seed: int = 1) -> bytes:
    """Bytes that show when a piece is missing, doubled or moved."""
    block = b"".join(((i * 2654435761 + seed) & 0xFFFFFFFF).to_bytes(4, "big") for i in range(16_384))
    return (block * (size // len(block) + 1))[:size]


def whole(store: ObjectStore, key: str) -> bytes:
    return b"".join(store.read(key))


@pytest.mark.parametrize("size", [0, 1, 3 * MIB, 16 * MIB, 37 * MIB + 5])
def test_what_is_written_in_pieces_is_read_again(store: ObjectStore, prefix: str, size: int) -> None:
    data = memoryview(content(size))
    sink = store.create(f"{prefix}a/b.csv", "text/csv")
    for start in range(0, size, 700_001):
        sink.write(data[start : start + 700_001])
    with pytest.raises(NotThere):
        store.info(f"{prefix}a/b.csv")
    sink.complete()
    assert whole(store, f"{prefix}a/b.csv") == data
    assert store.info(f"{prefix}a/b.csv").bytes == size
    assert all(len(piece) <= MIB for piece in store.read(f"{prefix}a/b.csv"))


@pytest.mark.parametrize("size", [10, 40 * MIB])
def test_an_abort_leaves_nothing_and_what_was_there_stays(store: ObjectStore, prefix: str, size: int) -> None:
    store.put(f"{prefix}old", b"old")
    for key in ("old", "new"):
        for pending in (store.create(f"{prefix}{key}"), store.assemble(f"{prefix}{key}", "text/csv")):
            (pending.write if hasattr(pending, "write") else pending.append)(content(size))
            pending.abort()
            pending.abort()
    assert [o.key for o in store.list(prefix)] == [f"{prefix}old"]
    assert whole(store, f"{prefix}old") == b"old"
    assert store.abort_stale(datetime.now(UTC) + timedelta(hours=1)) == 0


def test_an_object_is_replaced_whole_and_its_etag_tells(store: ObjectStore, prefix: str) -> None:
    store.put(f"{prefix}x", b"1")
    before = store.info(f"{prefix}x")
    store.put(f"{prefix}x", b"2")
    assert whole(store, f"{prefix}x") == b"2"
    assert store.info(f"{prefix}x").etag != before.etag
    assert store.info(f"{prefix}x").modified >= before.modified >= datetime.now(UTC) - timedelta(minutes=5)
    assert {o.key: o.modified.replace(microsecond=0) for o in store.list(prefix)} == {
        f"{prefix}x": store.info(f"{prefix}x").modified.replace(microsecond=0)
    }


@slow
@given(start=st.integers(0, 3 * MIB + 20), length=st.none() | st.integers(0, 2 * MIB))
def test_a_range_is_a_slice(store: ObjectStore, prefix: str, start: int, length: int | None) -> None:
    data = content(2 * MIB + 7)
    store.put(f"{prefix}r", data)
    end = None if length is None else start + length
    assert b"".join(store.read(f"{prefix}r", start, end)) == data[start:end]


def test_a_reader_keeps_the_version_that_it_began_with_or_is_told(store: ObjectStore, prefix: str) -> None:
    store.put(f"{prefix}v", content(3 * MIB, 1))
    pieces = store.read(f"{prefix}v")
    first = next(pieces)
    store.put(f"{prefix}v", content(3 * MIB, 2))
    assert first + b"".join(pieces) == content(3 * MIB, 1)


def test_a_missing_key_is_not_there(store: ObjectStore, prefix: str) -> None:
    with pytest.raises(NotThere):
        store.info(f"{prefix}nothing")
    with pytest.raises(NotThere):
        next(store.read(f"{prefix}nothing"))
    with pytest.raises(NotThere):
        next(store.read(f"{prefix}nothing", 5, 9))
    store.delete([f"{prefix}nothing"])
    assert list(store.list(f"{prefix}no")) == []
    assert store.delete_prefix(f"{prefix}no") == 0


HOSTILE = [
    "",
    "/etc/passwd",
    "../x",
    "a/../../x",
    "a/./b",
    "a//b",
    "a/",
    "a\x00b",
    "a\nb",
    "a\\b",
    "\ud800",
    "x" * 256,
    "a/" * 600 + "b",
    ".uploads/x",
]


@pytest.mark.parametrize("key", HOSTILE)
def test_hostile_keys_are_refused(store: ObjectStore, key: str) -> None:
    for call in (
        lambda: store.create(key), lambda: store.assemble(key, "text/csv"), lambda: store.put(key, b""), lambda: store.info(key),
        lambda: next(store.read(key)), lambda: store.delete([key]),
    ):  # fmt: skip
        with pytest.raises(PermanentError) as caught:
            call()
        assert caught.value.code == "store_refused"


def test_not_everything_at_once(store: ObjectStore) -> None:
    with pytest.raises(PermanentError):
        store.delete_prefix("")


def test_listing_takes_any_leading_part_of_a_key(store: ObjectStore, prefix: str) -> None:
    names = ["a/1", "a/2", "a-b", "a", "ab/c/d", "b/1", "ä/ü.csv", "a.b"]
    kept = [n for n in names if n != "a"]  # a directory can't hold both `a` and `a/1`
    for name in kept:
        store.put(prefix + name, name.encode())
    in_order = sorted((prefix + n for n in kept), key=str.encode)
    assert {o.key: o.bytes for o in store.list(prefix)} == {k: len(k.removeprefix(prefix).encode()) for k in in_order}
    assert sorted((o.key for o in store.list(f"{prefix}a")), key=str.encode) == [k for k in in_order if k.startswith(f"{prefix}a")]
    assert store.delete_prefix(f"{prefix}a/") == 2
    store.delete([f"{prefix}ab/c/d", f"{prefix}gone"])
    assert {o.key.removeprefix(prefix) for o in store.list(prefix)} == {"a-b", "a.b", "b/1", "ä/ü.csv"}


def test_more_objects_than_one_page_go_at_once(store: ObjectStore, prefix: str) -> None:
    for number in range(1_050):
        store.put(f"{prefix}n/{number:05d}", b"x")
    assert store.delete_prefix(f"{prefix}n/") == 1_050
    assert list(store.list(prefix)) == []


# Around the limits of a multipart upload (5 MiB a part): what is smaller is merged, what is larger is copied.
sizes = st.lists(st.sampled_from([1, 100, MIB, 4 * MIB, 5 * MIB - 1, 5 * MIB, 5 * MIB + 1, 9 * MIB, 10 * MIB + 3, 12 * MIB]), max_size=5)


@slow
@given(sizes=sizes, head=st.binary(max_size=3), separator=st.binary(max_size=2), tail=st.binary(max_size=3))
def test_any_mix_of_objects_and_bytes_gives_their_concatenation(
    store: ObjectStore, prefix: str, sizes: list[int], head: bytes, separator: bytes, tail: bytes
) -> None:
    bodies = [content(size, seed) for seed, size in enumerate(sizes)]
    for number, body in enumerate(bodies):
        store.put(f"{prefix}p/{number}", body)
    writer = store.assemble(f"{prefix}file", "text/csv")
    writer.append(head)
    for number, body in enumerate(bodies):
        if number:
            writer.append(separator)
        writer.append_object(f"{prefix}p/{number}", len(body), store.read(f"{prefix}p/{number}"))
    writer.append(tail)
    writer.complete()
    assert whole(store, f"{prefix}file") == head + separator.join(bodies) + tail


def test_an_iterator_that_raises_keeps_the_bytes_out(store: ObjectStore, prefix: str) -> None:
    store.put(f"{prefix}bad", content(11 * MIB))

    def checked():  # type: ignore[no-untyped-def]
        yield from store.read(f"{prefix}bad")
        raise PermanentError("part_corrupt", "not what was written")

    writer = store.assemble(f"{prefix}file", "text/csv")
    writer.append(b"head")
    with pytest.raises(PermanentError, match="not what was written"):
        writer.append_object(f"{prefix}bad", 11 * MIB, checked())
    writer.abort()
    assert [o.key for o in store.list(prefix)] == [f"{prefix}bad"]


def test_abandoned_uploads_are_aborted_once_they_are_old(store: ObjectStore, prefix: str) -> None:
    began = datetime.now(UTC)
    abandoned = store.create(f"{prefix}never")
    abandoned.write(content(20 * MIB))
    later = datetime.now(UTC) + timedelta(hours=1)
    assert [store.count_stale(began - timedelta(hours=1)), store.abort_stale(began - timedelta(hours=1))] == [0, 0]
    assert [store.count_stale(later), store.abort_stale(later), store.count_stale(later)] == [1, 1, 0]
    assert list(store.list(prefix)) == []


def test_a_signed_link_needs_no_key_where_the_store_has_such_links(store: ObjectStore, prefix: str) -> None:
    store.put(f"{prefix}s", b"hello", "text/csv")
    url = store.signed_url(f"{prefix}s", 300, "größe 1.csv", "text/csv; charset=utf-8")
    if url is None:
        assert type(store).__name__ == "DirectoryStore"
        return
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"hello"
        assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
        assert answer.headers["Content-Disposition"] == "attachment; filename=\"gr__e 1.csv\"; filename*=UTF-8''gr%C3%B6%C3%9Fe%201.csv"


def test_the_store_can_be_used(store: ObjectStore) -> None:
    before = [each.key for each in store.list("")]
    store.check()
    assert [each.key for each in store.list("")] == before, "asking leaves nothing in it"
