"""What every type of destination promises, each on a real server: whole or not there, once, and nothing left over."""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from services.delivery.core.addresses import PUBLIC_ONLY, AddressRule
from services.delivery.core.destinations.problems import Code, Undelivered
from services.delivery.core.destinations.registry import all_kinds
from services.delivery.destinations.carrier import Carrier
from shared.errors import TransientError
from tests.conftest import Stack
from tests.contract.destinations.houses import HOUSES, House, sha256_of
from tests.integration.delivery.destinations.freight import Kept, Source, shipment

LOOPBACK = AddressRule(loopback=True)
SMALL = b"id\r\n1\r\n"


@pytest.fixture(params=sorted(HOUSES))
async def house(request: pytest.FixtureRequest, stack: Stack, tmp_path: Path) -> AsyncIterator[House]:
    async with HOUSES[request.param](stack, tmp_path) as opened:
        yield opened


@asynccontextmanager
async def carrier_of(house: House, rule: AddressRule = LOOPBACK) -> AsyncIterator[Carrier]:
    carrier = house.make(rule)
    try:
        yield carrier
    finally:
        await carrier.close()


@cache
def large_of(size: int) -> bytes:
    return os.urandom(size + 5)


def both(house: House) -> Counter[str]:
    return Counter([sha256_of(SMALL), sha256_of(large_of(house.size))])


def parcels(large: Source) -> Any:
    return shipment([Source(SMALL).parcel("a.csv"), large.parcel("b.csv")])


async def bring(house: House, ledger: Kept) -> Source:
    large = Source(large_of(house.size))
    async with carrier_of(house) as carrier:
        await carrier.carry(house.place, parcels(large), ledger)
    return large


async def break_off(house: House, ledger: Kept) -> None:
    """Stopped in the middle of the large file, as by the end of the process."""
    reached, never = asyncio.Event(), asyncio.Event()

    def wait(position: int) -> Any:
        if position < house.size * 2 // 3:
            return None
        reached.set()
        return never.wait()

    async with carrier_of(house) as carrier:
        carrying = asyncio.create_task(carrier.carry(house.place, parcels(Source(large_of(house.size), before_piece=wait)), ledger))
        await asyncio.wait_for(reached.wait(), 20)
        carrying.cancel()
        with pytest.raises(asyncio.CancelledError):
            await carrying


def test_every_type_is_held_to_the_contract() -> None:
    assert set(HOUSES) == set(all_kinds())


async def test_files_arrive_whole_and_once(house: House) -> None:
    ledger = Kept()
    await bring(house, ledger)
    assert Counter(await house.arrived()) == both(house)
    again = await bring(house, ledger)
    assert Counter(await house.arrived()) == both(house)
    assert (again.reads, await house.half()) == ([], 0)


async def test_who_is_stopped_in_the_middle_goes_on_and_nothing_comes_twice(house: House) -> None:
    ledger = Kept()
    await break_off(house, ledger)
    assert sha256_of(large_of(house.size)) not in await house.arrived()
    await bring(house, ledger)
    assert Counter(await house.arrived()) == both(house)
    assert await house.half() == 0


async def test_a_store_of_ours_that_is_away_is_nobody_s_fault_over_there(house: House) -> None:
    ledger = Kept()

    def away(position: int) -> None:
        if position >= house.size * 2 // 3:
            raise TransientError("It is away", "The store")

    async with carrier_of(house) as carrier:
        with pytest.raises(TransientError):
            await carrier.carry(house.place, parcels(Source(large_of(house.size), before_piece=away)), ledger)
    assert sha256_of(large_of(house.size)) not in await house.arrived()
    await bring(house, ledger)
    assert Counter(await house.arrived()) == both(house)


async def test_what_is_given_up_leaves_nothing_half_there(house: House) -> None:
    ledger = Kept()
    await break_off(house, ledger)
    async with carrier_of(house) as carrier:
        unsent = {name: note for name, note in ledger.notes.items() if not ledger.is_sent(name)}
        await carrier.abandon(house.place, unsent)
        assert await house.half() == 0
        await carrier.abandon(house.place, unsent)  # what is gone already is no error
    assert sha256_of(large_of(house.size)) not in await house.arrived()


async def test_a_test_says_where_it_was_and_leaves_nothing(house: House) -> None:
    async with carrier_of(house) as carrier:
        assert await carrier.probe(house.place)
    assert (await house.arrived(), await house.half()) == ([], 0)


async def test_nothing_is_opened_to_an_address_inside(house: House) -> None:
    if not house.guarded:
        return  # nothing of it is a customer's to name
    async with carrier_of(house, PUBLIC_ONLY) as carrier:
        for what in (carrier.probe(house.place), carrier.carry(house.place, parcels(Source(large_of(house.size))), Kept())):
            with pytest.raises(Undelivered) as refused:
                await what
            assert (refused.value.code, refused.value.again) == (Code.address_refused, False)
    assert await house.arrived() == []
