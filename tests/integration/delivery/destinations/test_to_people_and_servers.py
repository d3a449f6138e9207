"""The engine with the carriers of sftp and email, to a real sshd and a real mail server."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

from services.delivery.core import links
from services.delivery.core.addresses import AddressRule
from services.delivery.core.bounces import return_path
from services.delivery.destinations.app import DestinationParts, assemble
from services.delivery.destinations.carrier import Carrier
from services.delivery.destinations.carriers.email import EmailCarrier
from services.delivery.destinations.carriers.sftp import SftpCarrier
from services.delivery.destinations.store import COURIER
from services.delivery.guard import Guard
from services.delivery.mail import Mailer
from services.delivery.settings import Settings
from shared.database import across_tenants
from shared.http import Authenticator, create_api
from shared.ids import new_id
from shared.outbox import Outbox
from shared.sealing import DESTINATION_SECRETS, Seal
from tests.integration.delivery.destinations.room import SECRET_KEY, Room, Telling, new_org
from tests.integration.delivery.webhooks.room import event_message
from tests.mail_server import Post, serving, settings_of
from tests.ssh_server import Sshd, fingerprint_of, sshd
from tests.unit.delivery.destinations.test_bounces import report

ADA, BOB = "ada@b.example", "bob@b.example"
BOUNCES, TOKEN = "bounces@waybill.example", "operator-token"


@dataclass
class Running:
    room: Room
    parts: DestinationParts
    told: Telling
    post: Post

    async def completed(self, destinations: list[dict[str, Any]], org_id: str, files: dict[str, bytes] | None = None) -> str:
        export_id = await self.room.export(org_id, destinations, files)
        await self.parts.intake.handle(event_message(export_id, "completed", self.room.clock()))
        return export_id

    async def bounce(self, message: bytes, token: str = TOKEN) -> tuple[int, Any]:
        api: FastAPI = create_api("test")
        for router in self.parts.routers:
            api.include_router(router)
        async with AsyncClient(transport=ASGITransport(app=api), base_url="http://test") as client:
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "message/rfc822"}
            answer = await client.post("/v1/operator/mail/bounces", content=message, headers=headers)
        return answer.status_code, answer.json()


@asynccontextmanager
async def running(room: Room) -> AsyncIterator[Running]:
    async with serving() as post:
        carriers: Mapping[str, Carrier] = {
            "email": EmailCarrier(Mailer(settings_of(post)), BOUNCES, SECRET_KEY),
            "sftp": SftpCarrier(Guard(AddressRule(loopback=True))),
        }
        settings = Settings(
            delivery_database_url=room.url,
            secret_key=SECRET_KEY,
            store="file:///nowhere",
            operator_token=TOKEN,
            public_url="https://waybill.example",
        )
        told = Telling()
        parts = assemble(
            settings,
            room.pool,
            room.objects,
            Outbox(room.pool, None, "delivery"),
            Authenticator(room.pool),
            told,
            carriers,
            room.clock,
            room.clock.of_database,
        )  # type: ignore[arg-type]
        task = asyncio.create_task(parts.dispatcher.run())
        try:
            yield Running(room, parts, told, post)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await parts.close()


async def keep(room: Room, org_id: str, kind: str, config: dict[str, Any], secrets: dict[str, str]) -> list[dict[str, Any]]:
    destination_id = new_id("dst")
    sealed = Seal([SECRET_KEY], DESTINATION_SECRETS).seal(json.dumps(secrets).encode(), destination_id) if secrets else None
    async with across_tenants(room.pool, COURIER) as connection:
        await connection.execute(
            """INSERT INTO delivery.destinations (id, org_id, name, type, config, sealed, secrets, created_by, created_at, updated_at)
               VALUES ($1, $2, 'There', $3, $4, $5, $6, 'key:test', $7, $7)""",
            destination_id, org_id, kind, json.dumps(config), sealed, sorted(secrets), room.clock(),
        )  # fmt: skip
    return [{"type": kind, "id": destination_id}]


def config_of(server: Sshd) -> dict[str, Any]:
    pinned = [fingerprint_of(server.host_key("ed25519"))]
    return {
        "host": "127.0.0.1",
        "port": server.port,
        "username": server.user,
        "host_keys": pinned,
        "directory": "in",
        "path": "{dataset}",
        "overwrite": False,
    }


async def test_files_arrive_at_a_server(room: Room, tmp_path: Path) -> None:
    org = new_org()
    async with sshd(tmp_path) as server, running(room) as run:
        named = await keep(room, org, "sftp", config_of(server), {"private_key": server.key.read_text()})
        export_id = await run.completed(named, org, {"a.csv": b"a" * 3_000_000, "b.csv": b"b"})
        await room.delivery(export_id, status="delivered")
        assert {path.name: path.stat().st_size for path in (server.home / "in/leads").iterdir()} == {"a.csv": 3_000_000, "b.csv": 1}
    places = await room.rows("SELECT place FROM delivery.delivery_files ORDER BY name")
    assert {row["place"] for row in places} >= {f"sftp://127.0.0.1:{server.port}/in/leads/a.csv"}


async def test_what_is_half_there_is_gone_once_it_is_given_up(room: Room, tmp_path: Path) -> None:
    org = new_org()
    async with sshd(tmp_path) as server, running(room) as run:
        named = await keep(room, org, "sftp", config_of(server), {"private_key": server.key.read_text()})
        (server.home / "in/leads").mkdir(parents=True)
        (server.home / "in/leads/a.csv").write_bytes(b"theirs")
        export_id = await run.completed(named, org, {"a.csv": b"ours"})
        delivery = await room.delivery(export_id, status="failed")
        assert [path.name for path in (server.home / "in/leads").iterdir()] == ["a.csv"]
    assert (delivery["error_code"], len(run.told.failed_of)) == ("rejected", 1)


async def test_addresses_of_a_request_get_links_that_work_and_only_who_was_refused_is_tried_again(room: Room) -> None:
    org = new_org()
    async with running(room) as run:
        run.post.refuse[BOB] = "450 4.2.0 later"
        export_id = await run.completed([{"type": "email", "to": [ADA, BOB]}], org, {"leads.csv": b"x"})
        waiting = await room.delivery(export_id, attempts=1, claimed_by=None)
        assert (waiting["status"], waiting["error_code"]) == ("pending", "unavailable")
        assert BOB not in waiting["error_message"]
        run.post.refuse.clear()
        room.clock.advance(seconds=400)
        run.parts.dispatcher.wake()
        await room.delivery(export_id, status="delivered")
    assert [mail.to for mail in run.post.mails] == [ADA, BOB]
    text = run.post.mails[0].message.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    (token,) = [word.rpartition("/")[2] for word in text.split() if word.startswith("https://waybill.example/v1/downloads/")]
    claim = links.verify(SECRET_KEY, token)
    assert (claim.org_id, claim.export_id, claim.name, claim.key_id) == (org, export_id, "leads.csv", waiting["id"])


async def test_a_mail_that_comes_back_is_a_failure_told_once(room: Room) -> None:
    org = new_org()
    async with running(room) as run:
        export_id = await run.completed(await keep(room, org, "email", {"to": [ADA, BOB]}, {}), org)
        delivered = await room.delivery(export_id, status="delivered")
        (mail,) = run.post.to(ADA)
        assert mail.return_path == return_path(BOUNCES, SECRET_KEY, delivered["id"], ADA)
        back = report(mail.return_path, diagnostic=f"smtp; 550 5.1.1 <{ADA}>: unknown")
        assert (await run.bounce(back, "wrong"))[0] == 401
        assert (await run.bounce(report(mail.return_path, action="delayed")))[1] == {"delivery_id": None}
        assert (await run.bounce(back)) == (200, {"delivery_id": delivered["id"]})
        assert (await run.bounce(back)) == (200, {"delivery_id": delivered["id"]})
        failed = await room.delivery(export_id, status="failed")
    assert (failed["error_code"], [each.code for each in run.told.failed_of]) == ("bounced", ["bounced"])
    assert failed["error_message"] == 'The mail to a…@b.example came back: "5.1.1 550 5.1.1 <a…@b.example>: unknown".'
    assert len(run.post.mails) == 2
