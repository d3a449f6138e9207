"""Destinations and deliveries over HTTP: what is taken, shown, hidden and refused."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from services.delivery.core.destinations.problems import Code
from services.delivery.core.destinations.registry import all_kinds
from services.delivery.destinations import owned
from services.delivery.destinations.carriers import all_carriers
from services.delivery.destinations.upkeep import Upkeep
from services.delivery.settings import Settings
from shared.codec import decode
from shared.database import create_pool
from shared.http import create_api
from shared.ids import new_id
from shared.messages import AuditEntry
from shared.sealing import DESTINATION_SECRETS, Seal
from shared.settings import StoreSettings
from shared.storage import open_store
from tests.conftest import Database
from tests.contract.delivery.conftest import make_key
from tests.integration.delivery.destinations.folder import FolderCarrier, refused
from tests.integration.delivery.destinations.room import SECRET_KEY, TYPE, Process, Room
from tests.integration.delivery.room import until
from tests.integration.delivery.webhooks.room import Clock, eventually

PATH = "/v1/destinations"
SECRET = "correct-horse-battery"  # pragma: allowlist secret
SFTP = {"host": "127.0.0.1", "port": 22, "username": "waybill", "password": SECRET}


@dataclass
class Desk:
    client: httpx.AsyncClient
    keys: dict[str, str]
    room: Room
    process: Process

    async def ask(self, method: str, path: str, body: Any = None, key: str = "admin") -> httpx.Response:
        return await self.client.request(method, path, json=body, headers={"Authorization": f"Bearer {self.keys[key]}"})

    async def made(self, **config: Any) -> dict[str, Any]:
        answer = await self.ask("POST", PATH, {"name": "Warehouse", "type": "sftp", "config": SFTP | config})
        assert answer.status_code == 201, answer.text
        shown: dict[str, Any] = answer.json()
        return shown

    async def entries(self, subject: str) -> list[AuditEntry]:
        found = await self.room.rows("SELECT value FROM delivery.outbox WHERE topic = 'audit-entries' ORDER BY seq")
        entries: list[Any] = [decode(row["value"]) for row in found]
        return [each for each in entries if each.subject == subject]


@pytest_asyncio.fixture(scope="module")
async def desk(database: Database, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    """`folder` takes the place of the carriers: what they do over there has tests of its own."""
    url, objects = database.as_service("delivery"), open_store(StoreSettings(store=f"file://{tmp_path_factory.mktemp('store')}"))
    async with create_pool(url, "test", 8) as pool:
        room = Room(url, pool, objects, Clock(), tmp_path_factory.mktemp("there"))
        carrier = FolderCarrier()
        allowed = {
            "destination_allow_loopback": True,
            "destination_test_seconds": 0.5,
            "smtp_host": "127.0.0.1",
            "smtp_from": "waybill@example.com",
        }
        async with room.process(carrier=carrier, types=("sftp", "email", TYPE), **allowed) as process:
            app = create_api("delivery")
            for router in process.parts.routers:
                app.include_router(router)
            keys = {
                "admin": await make_key(room, "org_a", ["destinations:write", "exports:read"]), "reader": await make_key(room, "org_a", ["exports:read"]),
                "stranger": await make_key(room, "org_b", ["admin"]),
            }  # fmt: skip
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://delivery.test") as client:
                yield Desk(client, keys, room, process)


async def test_secrets_go_in_and_never_come_out(desk: Desk) -> None:
    made = await desk.made()
    path = f"{PATH}/{made['id']}"
    shown = [(await desk.ask("GET", path)).text, (await desk.ask("GET", PATH)).text, json.dumps(made)]
    assert not any(SECRET in each for each in shown) and made["secrets"] == ["password"] and "password" not in made["config"]
    assert made["place"].startswith("sftp://") and made["paused"] is None and made["last_test"] is None
    (row,) = await desk.room.rows("SELECT sealed FROM delivery.destinations WHERE id = $1", made["id"])
    assert json.loads(Seal([SECRET_KEY], DESTINATION_SECRETS).open(row["sealed"], made["id"])) == {"password": SECRET}
    changed = (await desk.ask("PATCH", path, {"name": "Other", "config": {"password": "another"}})).json()
    assert changed["name"] == "Other" and changed["config"] == made["config"]
    entries = await desk.entries(made["id"])
    assert [each.action for each in entries] == ["destination.created", "destination.changed"]
    assert not any(SECRET in each.details or "another" in each.details for each in entries)
    assert (await desk.ask("DELETE", path)).status_code == 204 and (await desk.ask("GET", path)).status_code == 404


async def test_each_wrong_field_is_named(desk: Desk) -> None:
    wrong = [
        ({}, {"name", "type", "config"}),
        ({"name": "", "type": "ftp", "config": {}}, {"name", "type"}),
        ({"name": "x", "type": "sftp", "config": {"port": "22", "colour": 1}, "id": "x"}, {"id", "config.colour", "config.host", "config.port", "config.username"}),
        ({"name": "x", "type": "email", "config": {"to": ["nobody"], "subject": "a\r\nBcc: b@example.com"}}, {"config.to.0", "config.subject"}),
        ({"name": "x", "type": "sftp", "config": []}, {"config"}),
    ]  # fmt: skip
    for body, fields in wrong:
        answer = await desk.ask("POST", PATH, body)
        assert answer.status_code == 400 and {each["field"] for each in answer.json()["error"]["details"]} == fields, answer.text
    made = await desk.made()
    answer = await desk.ask("PATCH", f"{PATH}/{made['id']}", {"config": {"host": None}, "type": "s3"})
    assert answer.status_code == 400 and {each["field"] for each in answer.json()["error"]["details"]} == {"config.host", "type"}


async def test_nobody_learns_a_secret_by_having_it_sent_elsewhere(desk: Desk) -> None:
    made = await desk.made()
    path = f"{PATH}/{made['id']}"
    answer = await desk.ask("PATCH", path, {"config": {"host": "127.0.0.2"}})
    assert answer.status_code == 422 and [each["field"] for each in answer.json()["error"]["details"]] == ["config.password"]
    assert (await desk.ask("GET", path)).json()["config"]["host"] == "127.0.0.1"
    moved = await desk.ask("PATCH", path, {"config": {"host": "127.0.0.2", "password": SECRET}})
    assert moved.status_code == 200 and moved.json()["config"]["host"] == "127.0.0.2"


async def test_a_test_says_what_failed_and_one_that_passes_resumes(desk: Desk) -> None:
    made = await desk.made()
    path, carrier = f"{PATH}/{made['id']}", desk.process.carrier
    carrier.refusals = [refused(Code.login_failed)]
    failed = (await desk.ask("POST", f"{path}/test")).json()
    assert (failed["ok"], failed["code"], failed["place"]) == (False, "login_failed", None) and failed["seconds"] >= 0
    assert (await desk.ask("GET", path)).json()["last_test"]["code"] == "login_failed"
    await desk.room.rows(
        "UPDATE delivery.destinations SET paused_at = now(), paused_reason = 'failing', failures = 3, failing_since = now() WHERE id = $1",
        made["id"],
    )
    passed = (await desk.ask("POST", f"{path}/test")).json()
    shown = (await desk.ask("GET", path)).json()
    assert [each.destination_id for each in desk.process.told.resumed_of] == [made["id"]]
    assert passed["ok"] and shown["paused"] is None and shown["failures"] == 0 and shown["last_test"]["ok"]
    await desk.ask("POST", f"{path}/pause")
    assert (await desk.ask("POST", f"{path}/test")).json()["ok"]
    assert (await desk.ask("GET", path)).json()["paused"]["reason"] == "requested"
    assert (await desk.ask("POST", f"{path}/resume")).json()["paused"] is None
    assert len(desk.process.told.resumed_of) == 1, "who paused it by request knows"


async def test_a_test_is_bounded_in_time_and_in_number(desk: Desk) -> None:
    path = f"{PATH}/{(await desk.made())['id']}/test"
    desk.process.carrier.hangs = True
    try:
        answers = await asyncio.gather(*(desk.ask("POST", path) for _ in range(3)))
    finally:
        desk.process.carrier.hangs = False
    assert sorted(each.status_code for each in answers) == [200, 200, 429]
    assert {each.json()["code"] for each in answers if each.status_code == 200} == {"timeout"}


async def test_a_destination_that_a_schedule_names_stays(desk: Desk) -> None:
    made = await desk.made()
    async with desk.room.pool.acquire() as connection:
        await connection.execute("SET ROLE none")
        await connection.execute(
            """INSERT INTO exports.schedules (id, org_id, name, export, dataset, frequency, timezone, next_from, next_to, due_at, created_at, updated_at, destinations)
               VALUES ($1, 'org_a', 'Nightly', '{}', 'leads', 'daily', 'UTC', now(), now() + interval '1 day', now(), now(), now(), $2)""",
            new_id("sch"), json.dumps([{"type": "sftp", "id": made["id"]}]),
        )  # fmt: skip
        await connection.execute("RESET ROLE")
    answer = await desk.ask("DELETE", f"{PATH}/{made['id']}")
    assert answer.status_code == 409 and "'Nightly'" in answer.json()["error"]["message"]


async def test_deliveries_are_listed_by_filters_and_shown_in_full(desk: Desk) -> None:
    room = desk.room
    destination = await room.destination("org_a")
    first = await room.completed(desk.process, "org_a", [{"type": TYPE, "id": destination}], schedule_id="sch_9")
    second = await room.completed(desk.process, "org_a", [{"type": TYPE, "id": destination}])
    for export_id in (first, second):
        await room.delivery(export_id, status="delivered")
    listed = (await desk.ask("GET", f"/v1/deliveries?destination_id={destination}&status=delivered&limit=1", key="reader")).json()
    rest = (
        await desk.ask(
            "GET", f"/v1/deliveries?destination_id={destination}&status=delivered&limit=1&cursor={listed['next_cursor']}", key="reader"
        )
    ).json()
    assert {listed["data"][0]["export_id"], rest["data"][0]["export_id"]} == {first, second} and not rest["has_more"]
    (by_schedule,) = (await desk.ask("GET", "/v1/deliveries?schedule_id=sch_9")).json()["data"]
    shown = (await desk.ask("GET", f"/v1/deliveries/{by_schedule['id']}")).json()
    assert (
        [each["name"] for each in shown["files"]] == ["leads.csv"]
        and shown["files"][0]["place"].endswith("leads.csv")
        and shown["files"][0]["sent_at"]
    )
    assert [each["number"] for each in shown["attempts"]] == [1] and shown["error"] is None and not shown["under_way"]
    wrong = await desk.ask("GET", "/v1/deliveries?status=lost&colour=red&limit=0")
    assert wrong.status_code == 400 and {each["field"] for each in wrong.json()["error"]["details"]} == {
        "status",
        "colour",
    }
    assert (await desk.ask("GET", f"/v1/deliveries/{by_schedule['id']}", key="stranger")).status_code == 404
    assert (await desk.ask("POST", f"/v1/deliveries/{by_schedule['id']}/redeliver", key="reader")).status_code == 403


async def test_a_redelivery_brings_all_files_again_on_purpose(desk: Desk) -> None:
    room, carrier = desk.room, desk.process.carrier
    destination = await room.destination("org_a", "again")
    export_id = await room.completed(desk.process, "org_a", [{"type": TYPE, "id": destination}])
    delivered = await room.delivery(export_id, status="delivered")
    (room.folder / "org_a" / "again" / "leads.csv").unlink()
    again = await desk.ask("POST", f"/v1/deliveries/{delivered['id']}/redeliver")
    assert again.status_code == 202 and again.json()["attempt_count"] == 1
    await room.delivery(export_id, status="delivered", attempts=2)
    assert (room.folder / "org_a" / "again" / "leads.csv").exists() and carrier.brought[
        str(room.folder / "org_a" / "again" / "leads.csv")
    ] == 2
    await room.change_export(export_id, "status = 'expired'")
    gone = await desk.ask("POST", f"/v1/deliveries/{delivered['id']}/redeliver")
    assert gone.status_code == 409 and "expired" in gone.json()["error"]["message"]


async def test_secrets_are_sealed_again_with_a_new_key(desk: Desk) -> None:
    """Those of destinations that were deleted, while something is half there, as well."""
    room, made = desk.room, await desk.made()
    lost = await room.destination("org_a", secrets_of={"password": SECRET})
    await room.rows("UPDATE delivery.destinations SET sealed = sealed || '\\x00' WHERE id = $1 RETURNING id", lost)
    await room.rows(
        """INSERT INTO delivery.leftovers (destination_id, org_id, type, config, sealed, notes, created_at) VALUES ('dst_gone', 'org_a', 'sftp', '{}', $1, '[]', now())
           RETURNING org_id""",
        Seal([SECRET_KEY], DESTINATION_SECRETS).seal(b"{}", "dst_gone"),
    )  # fmt: skip
    upkeep = Upkeep(desk.process.parts.queue, Seal(["f" * 64, SECRET_KEY], DESTINATION_SECRETS), timedelta(days=30))
    with capture_logs() as logs:
        await upkeep.tidy()
    (row,) = await room.rows("SELECT sealed FROM delivery.destinations WHERE id = $1", made["id"])
    (left,) = await room.rows("DELETE FROM delivery.leftovers RETURNING sealed")
    present = Seal(["f" * 64], DESTINATION_SECRETS)
    assert json.loads(present.open(row["sealed"], made["id"])) == {"password": SECRET} and present.open(left["sealed"], "dst_gone") == b"{}"
    assert [each["ids"] for each in logs if each["event"] == "destination_secret_unreadable"] == [[lost]]
    with capture_logs() as logs:
        await upkeep.tidy()
    assert not [each for each in logs if each["event"] == "destination_secrets_sealed_again"]
    await room.rows("DELETE FROM delivery.destinations WHERE id = $1 RETURNING id", lost)


async def test_every_type_has_its_carrier() -> None:
    carriers = all_carriers(Settings(delivery_database_url="postgresql://-", secret_key=SECRET_KEY, store="file:///nowhere"))
    for carrier in carriers.values():
        await carrier.close()
    assert all_kinds().keys() == carriers.keys() == {"s3", "sftp", "email", "webhook"}


async def test_there_are_never_more_than_may_be_however_many_are_made_at_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owned, "DESTINATIONS_MAX", 2)
    body = {"name": "Warehouse", "type": "sftp", "config": SFTP}
    desk.keys["many"] = await make_key(desk.room, "org_many", ["destinations:write"])
    answers = await asyncio.gather(*(desk.ask("POST", PATH, body, key="many") for _ in range(5)))
    (kept,) = await desk.room.rows("SELECT count(*) FROM delivery.destinations WHERE org_id = 'org_many'")
    assert Counter(each.status_code for each in answers) == {201: 2, 409: 3} and kept["count"] == 2


async def test_what_is_half_there_at_a_deleted_destination_is_taken_away_once_it_can_be(desk: Desk) -> None:
    room, carrier = desk.room, desk.process.carrier
    destination, export_id = (await desk.made())["id"], await room.export("org_a", [])
    await room.rows(
        """INSERT INTO delivery.deliveries (id, org_id, export_id, destination_id, key, type, event, small, status, created_at, ended_at)
           VALUES ('dlv_half', 'org_a', $1, $2, $2, 'sftp', '{}', true, 'failed', now(), now()) RETURNING id""",
        export_id, destination,
    )  # fmt: skip
    await room.rows(
        "INSERT INTO delivery.delivery_files (delivery_id, name, org_id, note) VALUES ('dlv_half', 'a.csv', 'org_a', '/half') RETURNING name"
    )
    carrier.away, carrier.abandoned = True, []
    leftovers = "SELECT destination_id, tried_at FROM delivery.leftovers"

    async def tried() -> list[Any]:
        return await room.rows(f"{leftovers} WHERE tried_at IS NOT NULL")

    assert (await desk.ask("DELETE", f"{PATH}/{destination}")).status_code == 204
    waiting = await until(tried)
    carrier.away = False
    room.clock.advance(minutes=11)
    await desk.process.parts.leftovers.tidy()
    assert [each["destination_id"] for each in waiting] == [destination]
    assert carrier.abandoned == [{"a.csv": "/half"}] and not await room.rows(leftovers)
    carrier.away = True
    await room.rows(
        "INSERT INTO delivery.leftovers (destination_id, org_id, type, config, notes, created_at) VALUES ('dst_old', 'org_a', 'sftp', '{}', '[{}]', now() - interval '8 days') RETURNING org_id",
    )  # fmt: skip
    with capture_logs() as logs:
        await desk.process.parts.leftovers.tidy()
    carrier.away = False
    assert not await room.rows(leftovers), "after a week nobody tries any more"
    assert [each["destination_ids"] for each in logs if each["event"] == "leftovers_given_up"] == [["dst_old"]]


async def test_what_is_being_brought_to_a_destination_that_is_deleted_is_taken_away_once_that_is_settled(desk: Desk) -> None:
    room, carrier, leftovers = desk.room, desk.process.carrier, desk.process.parts.leftovers
    destination = await room.destination("org_a", "busy", kind="sftp")
    carrier.abandoned, carrier.gates["leads.csv"] = [], asyncio.Event()
    carrier.at_gate.clear()
    export_id = await room.completed(desk.process, "org_a", [{"type": "sftp", "id": destination}])
    await asyncio.wait_for(carrier.at_gate.wait(), 20)
    assert (await desk.ask("DELETE", f"{PATH}/{destination}")).status_code == 204
    await leftovers.tidy()
    early = list(carrier.abandoned)
    carrier.gates.pop("leads.csv").set()
    await eventually(lambda: carrier.at_once == 0)
    room.clock.advance(minutes=11)
    await leftovers.tidy()
    (cancelled,) = await room.deliveries(export_id)
    assert early == [] and [[*each] for each in carrier.abandoned] == [["leads.csv"]] and cancelled["error_code"] == Code.deleted
    assert not await room.rows("SELECT FROM delivery.leftovers")
