"""What is particular to one store."""

import os
import socket
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import PermanentError, TransientError
from shared.settings import StoreSettings
from shared.storage import open_store
from shared.storage.compose import COPY_BYTES_MAX, PART_BYTES_MIN, PARTS_MAX, compose, least_bytes
from shared.storage.directory import DirectoryStore
from tests.conftest import Stack
from tests.contract.storage.conftest import s3_settings


def test_a_directory_is_left_empty_once_all_is_deleted(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "made" / "later")
    store.put("files/org/exp/a.csv", b"1")
    store.create("parts/exp/1").abort()
    store.delete_prefix("files/")
    assert sorted(p.name for p in (tmp_path / "made" / "later").rglob("*")) == [".uploads"]


def test_a_directory_tells_full_from_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    store = DirectoryStore(tmp_path)
    with pytest.raises(PermanentError) as caught:
        store.put("file/below", b"x")
    assert caught.value.code == "store_refused"
    if os.path.exists("/dev/full"):
        sink = store.create("parts/x")
        os.dup2(os.open("/dev/full", os.O_WRONLY), sink._open_file())
        with pytest.raises(PermanentError) as caught:
            sink.write(b"x")
        assert caught.value.code == "store_full"
        sink.abort()


def test_links_that_lead_out_of_the_directory_are_not_listed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"x")
    root = tmp_path / "store"
    root.mkdir()
    (root / "link").symlink_to(tmp_path / "secret")
    (root / "folder").symlink_to(tmp_path)
    assert list(DirectoryStore(root).list("")) == []


def test_a_store_that_is_away_passes() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refused
        away = open_store(
            StoreSettings(store="s3", s3_endpoint=f"http://127.0.0.1:{taken.getsockname()[1]}", s3_access_key="a", s3_secret_key="b")
        )
        for call in (away.check, lambda: away.put("a", b"x"), lambda: next(away.read("a")), lambda: list(away.list("a"))):
            with pytest.raises(TransientError):
                call()


def test_a_wrong_key_or_bucket_is_refused(stack: Stack) -> None:
    good = s3_settings(stack)
    for wrong in ({"s3_secret_key": "wrong"}, {"s3_bucket": "no-such-bucket"}):
        store = open_store(good.model_copy(update=wrong))
        with pytest.raises(PermanentError) as caught:
            store.check()
        assert caught.value.code == "store_refused"


def test_links_are_signed_for_the_address_that_callers_reach(stack: Stack) -> None:
    settings = s3_settings(stack)
    public = settings.s3_endpoint.replace("127.0.0.1", "localhost")
    assert public != settings.s3_endpoint
    store = open_store(settings.model_copy(update={"s3_public_endpoint": public}))
    store.put("links/a.csv", b"1,2\r\n")
    try:
        url = store.signed_url("links/a.csv", 60, "a.csv", "text/csv")
        assert url and url.startswith(f"{public}/")
        assert httpx.get(url).raise_for_status().content == b"1,2\r\n"
    finally:
        store.delete(["links/a.csv"])


@pytest.mark.parametrize("name", ["", "s4", "file://host/x", "file:relative", "/tmp/x", "http://x"])
def test_settings_that_name_no_store_are_refused(name: str) -> None:
    with pytest.raises(PermanentError, match="WAYBILL_STORE"):
        open_store(StoreSettings(store=name))


@given(st.integers(0, 3 * PART_BYTES_MIN), st.integers(1, 40 * PART_BYTES_MIN), st.integers(0, PARTS_MAX - 100))
def test_a_composition_keeps_the_limits(buffered: int, size: int, used: int) -> None:
    plan = compose(buffered, size, used)
    least = least_bytes(used)
    ends = [plan.lead, *(end for _, end in plan.ranges)]
    assert [start for start, _ in plan.ranges] == ends[:-1]
    assert ends[-1] == size
    assert all(least <= end - start <= COPY_BYTES_MAX for start, end in plan.ranges)
    if plan.ranges and buffered:
        assert buffered + plan.lead >= least
    assert plan.lead < 2 * least or plan.lead == size


def test_ten_thousand_parts_hold_the_largest_object() -> None:
    assert sum(least_bytes(used) for used in range(PARTS_MAX)) >= 5 * 10**12


def test_a_huge_object_is_copied_in_ranges() -> None:
    plan = compose(0, 3 * COPY_BYTES_MAX + 7, 0)
    assert len(plan.ranges) == 4
    assert all(end - start <= COPY_BYTES_MAX for start, end in plan.ranges)
