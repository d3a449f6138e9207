"""Probes: asked by several at once, each gets an answer."""

import asyncio

import httpx
import pytest
from fastapi import FastAPI

from shared.health import Health, Probe


async def test_who_asks_just_when_a_check_ends_takes_nobodys_answer() -> None:
    gates = [asyncio.Event(), asyncio.Event()]
    begun: list[asyncio.Event] = []

    async def check() -> None:
        begun.append(gates[len(begun)])
        await begun[-1].wait()

    probe = Probe("store", check)

    async def ask_when_it_ends() -> str:
        await gates[0].wait()
        return await probe.down()  # the check is over, and its asker has not been woken yet

    first = asyncio.create_task(probe.down())
    while not begun:
        await asyncio.sleep(0)
    second = asyncio.create_task(ask_when_it_ends())
    await asyncio.sleep(0)
    gates[0].set()
    assert await first == ""
    assert len(begun) == 2
    gates[1].set()
    assert await second == ""


@pytest.mark.parametrize(("is_stopping", "status", "word"), [(False, 200, "ok"), (True, 503, "stopping")])
async def test_whether_it_lives_is_answered_in_front_of_everything_else(is_stopping: bool, status: int, word: str) -> None:
    behind = FastAPI()
    health = Health({}, dict, lambda: is_stopping)
    health.serve(behind)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(health.answers_live(behind)), base_url="http://service") as client:
        live = await client.get("/health/live")
        assert (live.status_code, live.json()) == (status, {"status": word})
        assert (await client.get("/health/ready")).status_code == status
        assert (await client.get("/health/lives")).status_code == 404
