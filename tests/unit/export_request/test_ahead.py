"""Pages made ahead: for a walker who comes back, a few at once, thrown away where nobody asks."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from services.export_request import ahead
from services.export_request.ahead import AHEAD_MAX, Ahead, Asked, Page
from services.export_request.core.walk import Walk
from shared.errors import TransientError

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def asked_for(org_id: str = "org_1", limit: int = 10) -> Asked:
    return Asked(org_id, "messages", Walk.begin("1:1:", None, None, NOW), limit)


def at(asked: Asked, number: int) -> Asked:
    return replace(asked, walk=asked.walk.behind(NOW, f"msg_{number}"))


class Reader:
    """Pages 1, 2, 3 …; each page's cursor is for the number after its own."""

    def __init__(self) -> None:
        self.read: list[Asked] = []
        self.error: Exception | None = None

    async def __call__(self, asked: Asked) -> Page:
        self.read.append(asked)
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        number = int(asked.walk.after_id.removeprefix("msg_") or 0) + 1
        return Page(b"%d" % number, asked.walk.behind(NOW, f"msg_{number}"))


async def give(pages: Ahead, reader: Reader, asked: Asked) -> tuple[bytes, bool]:
    """As a request does: (the page, whether it was ready)."""
    page = await pages.take(asked)
    was_ready = page is not None
    page = page or await reader(asked)
    pages.follow(asked, page)
    return page.data, was_ready


async def test_the_third_page_of_a_walk_is_ready_and_all_behind_it() -> None:
    reader, first = Reader(), asked_for()
    pages = Ahead(reader)
    given = [await give(pages, reader, asked) for asked in [first, *(at(first, n) for n in range(1, 5))]]
    assert given == [(b"1", False), (b"2", False), (b"3", True), (b"4", True), (b"5", True)]


async def test_nothing_is_made_for_a_walker_whom_several_processes_serve_in_turn() -> None:
    one, other, first = Reader(), Reader(), asked_for()
    processes = [(Ahead(one), one), (Ahead(other), other)]
    for number in range(6):
        pages, reader = processes[number % 2]
        assert await give(pages, reader, at(first, number) if number else first) == (b"%d" % (number + 1), False)
    assert len(one.read) == len(other.read) == 3


async def test_a_page_is_for_the_same_organisation_and_limit_alone_and_once() -> None:
    reader, first = Reader(), asked_for()
    pages = Ahead(reader)
    for asked in (first, at(first, 1)):
        await give(pages, reader, asked)
    assert await pages.take(replace(at(first, 2), limit=9)) is None
    assert await pages.take(replace(at(first, 2), org_id="org_2")) is None
    assert await pages.take(at(first, 2)) == Page(b"3", first.walk.behind(NOW, "msg_3"))
    assert await pages.take(at(first, 2)) is None


async def test_a_page_that_cannot_be_made_is_made_when_it_is_asked_for() -> None:
    reader, first = Reader(), asked_for()
    pages = Ahead(reader)
    await give(pages, reader, first)
    page = await reader(at(first, 1))
    reader.error = TransientError("away", "PostgreSQL")
    pages.follow(at(first, 1), page)
    assert await pages.take(at(first, 2)) is None


async def test_of_more_walkers_some_wait_and_the_end_is_the_end() -> None:
    reader = Reader()
    pages = Ahead(reader)
    walkers = [asked_for(f"org_{number}") for number in range(AHEAD_MAX + 2)]
    for walker in walkers:
        await give(pages, reader, walker)
        await give(pages, reader, at(walker, 1))
    assert [(await pages.take(at(walker, 2))) is not None for walker in walkers] == [True] * AHEAD_MAX + [False] * 2
    pages.follow(at(walkers[0], 2), Page(b"3", None))
    assert await pages.take(at(walkers[0], 3)) is None


async def test_a_page_that_nobody_asks_for_is_thrown_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "AHEAD_SECONDS", 0)
    reader, first = Reader(), asked_for()
    pages = Ahead(reader)
    for asked in (first, at(first, 1)):
        await give(pages, reader, asked)
    async with asyncio.timeout(10):
        while pages.held:
            await asyncio.sleep(0)
    assert await pages.take(at(first, 2)) is None


async def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "HANDED_MAX", 2)
    reader = Reader()
    pages = Ahead(reader)
    walkers = [asked_for(f"org_{number}") for number in range(3)]
    for walker in walkers:
        await give(pages, reader, walker)
    for walker in walkers:
        await give(pages, reader, at(walker, 1))
    assert await pages.take(at(walkers[0], 2)) is None  # its cursor was forgotten
