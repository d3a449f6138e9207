"""Probes: asked by several at once, each gets an answer."""

import asyncio

from shared.health import Probe


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
