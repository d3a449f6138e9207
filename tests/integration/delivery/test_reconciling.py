"""Store and tables side by side: each thing that can be wrong is counted as what it is, a repair removes what is nobody's and nothing else."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
import pytest_asyncio

from services.delivery.core.reconciling import Count, Report
from services.delivery.notifications.store import Feed
from services.delivery.reconciling import reconciler
from services.delivery.reconciling.reconciler import Reconciler
from services.delivery.reconciling.store import Reconciliations
from services.delivery.threads import Threads
from shared.clock import utc_now
from shared.database import across_tenants
from shared.errors import PermanentError
from shared.settings import StoreSettings
from shared.storage import ObjectStore, open_store
from shared.storage.s3 import s3_client
from tests.conftest import Database, Stack
from tests.contract.storage.conftest import s3_settings
from tests.integration.delivery.room import Export, NoRelay, Room, message, open_room, until


@contextmanager
def own_bucket(stack: Stack) -> Iterator[ObjectStore]:
    settings = s3_settings(stack).model_copy(update={"s3_bucket": f"reconcile-{secrets.token_hex(4)}"})
    client = s3_client(settings)
    client.create_bucket(Bucket=settings.s3_bucket)
    objects = open_store(settings)
    try:
        yield objects
    finally:
        objects.delete([info.key for info in objects.list("")])
        client.delete_bucket(Bucket=settings.s3_bucket)


@pytest_asyncio.fixture(params=["directory", "s3"])
async def house(request: pytest.FixtureRequest, database: Database, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Room]:
    """A store of its own, since all of it is looked at."""
    if request.param == "directory":
        objects = open_store(StoreSettings(store=f"file://{tmp_path_factory.mktemp('store')}"))
        async with open_room(database.as_service("delivery"), objects) as opened:
            yield opened
        return
    with own_bucket(request.getfixturevalue("stack")) as objects:
        async with open_room(database.as_service("delivery"), objects) as opened:
            yield opened


def reconciler_of(
    room: Room, grace: timedelta = timedelta(0), uploads: timedelta = timedelta(hours=48), doubtful: int = 1000
) -> Reconciler:
    found = Reconciliations(room.pool, NoRelay(room.pool), utc_now)
    return Reconciler(
        room.pool, found, room.objects, Feed(room.pool), Threads(1, "walk"), grace, timedelta(days=1), uploads, utc_now, doubtful
    )


async def published(room: Room, bodies: tuple[bytes, ...] = (b"one\n", b"two\n")) -> Export:
    export = Export(room)
    await export.keep("publishing")
    async with room.process() as process:
        await process.handler.handle(message(export.command(export.put_parts(bodies), last=True)))
        await room.event(export.id)
        await export.keep("completed")
        await process.handler.handle(message(export.discard(files=False)))
        await until(lambda: discarded(room, export))
    return export


async def discarded(room: Room, export: Export) -> bool:
    async with across_tenants(room.pool) as connection:
        return bool(await connection.fetchval("SELECT discarded_at IS NOT NULL FROM delivery.publications WHERE export_id = $1", export.id))


async def forget(room: Room) -> None:
    """Nothing of the tests before."""
    async with across_tenants(room.pool) as connection:
        for table in ("assembly_parts", "assemblies", "publications", "notifications"):
            await connection.execute(f"DELETE FROM delivery.{table}")


def only(report: Report, **kinds: int) -> None:
    counted = {kind: count.objects for kind, count in report.kinds.items() if count.objects}
    assert counted == kinds, report


async def test_what_was_published_is_there_and_both_sides_say_the_same(house: Room) -> None:
    await forget(house)
    exports = [await published(house) for _ in range(2)]
    report = await reconciler_of(house).reconcile(repair=False)
    only(report, matched=4)  # a file and a manifest each
    assert report.agree and report.store == report.tables == report.kind("matched")
    assert report.store.bytes == sum(len(house.content(key)) for e in exports for key in (e.key(), e.manifest_key))


async def test_each_thing_that_is_wrong_is_called_by_its_name_and_its_owner_is_told_once(house: Room) -> None:
    await forget(house)
    lost, torn, running, gone = await published(house), await published(house), Export(house), Export(house)
    house.objects.delete([lost.key()])
    house.objects.put(torn.key(), b"short")
    await running.keep("formatting")
    await gone.keep("cancelled")
    for export in (running, gone):
        export.put_parts([b"part"])
    house.objects.put(torn.key().replace("leads_1", "leads_9"), b"beside it")
    house.objects.put("somebody/else.txt", b"not ours")
    reconciler = reconciler_of(house)
    for _ in range(2):
        report = await reconciler.reconcile(repair=False)
    only(report, missing=1, wrong_size=1, matched=2, under_way=1, orphan_parts=1, orphan_files=1, foreign=1)
    assert not report.agree
    assert report.examples["missing"] == [lost.key()]
    async with across_tenants(house.pool) as connection:
        told = [
            r[0]
            for r in await connection.fetch(
                "SELECT subject::json ->> 'export_id' FROM delivery.notifications WHERE kind = 'files_missing' ORDER BY 1"
            )
        ]
    assert told == sorted([lost.id, torn.id])


async def test_every_owner_is_told_however_many_files_are_gone(house: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    await forget(house)
    monkeypatch.setattr(reconciler, "TOLD_AT_ONCE", 2)
    lost = [await published(house) for _ in range(5)]
    house.objects.delete([each.key() for each in lost])
    await reconciler_of(house).reconcile(repair=False)
    async with across_tenants(house.pool) as connection:
        told = await connection.fetch("SELECT subject::json ->> 'export_id' AS id FROM delivery.notifications WHERE kind = 'files_missing'")
    assert {each.id for each in lost} <= {row["id"] for row in told}


async def test_a_repair_removes_what_is_nobodys_and_not_young_and_then_they_agree(house: Room) -> None:
    await forget(house)
    kept, running, gone, held_up = await published(house), Export(house), Export(house), await published(house)
    await running.keep("assembling")
    await gone.keep("expired")
    for export in (running, gone, Export(house)):  # the last one nobody knows
        export.put_parts([b"part", b"part"])
    house.objects.put(gone.key(), b"an old file")
    async with house.store.transaction(held_up.org_id) as connection:  # asked for, not done yet
        await house.store.ask_discard(connection, held_up.id, held_up.org_id, files=True)
    young = await reconciler_of(house, grace=timedelta(hours=1)).reconcile(repair=True)
    only(young, matched=2, under_way=9)
    assert young.removed == Count()
    upload = house.objects.create("parts/exp_x/00000001.csv")
    upload.write(b"x" * (17 << 20))  # an upload that nobody ends
    await asyncio.sleep(0)
    report = await reconciler_of(house, uploads=timedelta(0)).reconcile(repair=False)
    only(report, matched=2, under_way=4, orphan_parts=4, orphan_files=1)
    assert report.uploads == 1
    repaired = await reconciler_of(house, uploads=timedelta(0)).reconcile(repair=True)
    assert (repaired.agree, repaired.removed.objects, repaired.removed.bytes) == (True, 5, 4 * 4 + 11)
    after = await reconciler_of(house, uploads=timedelta(0)).reconcile(repair=False)
    only(after, matched=2, under_way=4)
    assert after.agree and house.there(kept.key())


async def test_a_repair_of_a_store_that_is_mostly_unknown_is_refused(house: Room) -> None:
    await forget(house)
    Export(house).put_parts([b"part"] * 4)
    with pytest.raises(PermanentError, match="Nothing was removed"):
        await reconciler_of(house, doubtful=3).reconcile(repair=True)
    assert len(list(house.objects.list("parts/"))) == 4


async def test_one_is_done_once_however_many_processes_there_are_and_begins_by_itself(house: Room) -> None:
    await forget(house)
    found = Reconciliations(house.pool, NoRelay(house.pool), utc_now)
    async with across_tenants(house.pool) as connection:
        await connection.execute("RESET ROLE; DELETE FROM delivery.reconciliations")
    one, other = reconciler_of(house), reconciler_of(house)
    await found.add_where_due(timedelta(days=1))
    await found.add_where_due(timedelta(days=1))
    assert sorted(await asyncio.gather(one.step(), other.step())) == [False, True]
    (done,) = await found.newest(5)
    assert (done["status"], done["asked_by"], done["report"]["agree"]) == ("completed", "service:delivery", True)
