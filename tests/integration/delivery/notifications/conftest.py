"""A feed with its alerter for each test, on the clock of the test."""

import json
import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI

from services.delivery.mail import Mailer, MailServer
from services.delivery.notifications.app import Notifications, assemble
from services.delivery.settings import Settings
from shared.database import create_pool, tenant
from shared.http import Authenticator, Principal, create_api
from shared.outbox import Outbox
from tests.conftest import Database
from tests.integration.delivery.webhooks.room import SECRET_KEY, Clock
from tests.receiver import Receiver, receiving


class Anybody(Authenticator):
    """Takes the organisation's id for its key."""

    async def principal(self, request: Any) -> Principal:
        return Principal(request.headers["authorization"].removeprefix("Bearer "), "test", frozenset({"admin"}), "203.0.113.7")


@dataclass
class Feeding:
    """The parts, the database, and what tests do with both."""

    pool: asyncpg.Pool
    admin: asyncpg.Connection
    clock: Clock
    url: str
    made: list[Notifications] = field(default_factory=list)

    def process(self, server: MailServer | None = None, **settings: Any) -> Notifications:
        given = {
            "webhook_allow_http": True,
            "webhook_allow_loopback": True,
            "webhook_timeout_seconds": 10,
            "webhook_lease_seconds": 60,
        } | settings
        outbox = Outbox(self.pool, None, "delivery")
        made = assemble(
            Settings(delivery_database_url=self.url, secret_key=SECRET_KEY, **given), self.pool, outbox, Anybody(self.pool), Mailer(server), self.clock, self.clock.of_database
        )  # fmt: skip
        self.made.append(made)
        return made

    async def organisation(self, *channels: dict[str, Any]) -> str:
        org_id = f"org_{secrets.token_hex(5)}"
        await self.admin.execute(
            "INSERT INTO tenancy.organisations (org_id, name, alert_channels) VALUES ($1, 'Acme & <Sons>', $2)",
            org_id,
            json.dumps(channels),
        )
        return org_id

    async def tell(self, process: Notifications, org_id: str, notice: Any) -> bool:
        async with tenant(self.pool, org_id) as connection:
            return await process.feed.tell(connection, org_id, notice)

    async def settled(self, process: Notifications) -> None:
        """Nothing more is due by the clock."""
        while await process.alerter.step():
            pass

    async def alerts(self, org_id: str) -> list[Any]:
        return list(await self.admin.fetch("SELECT * FROM delivery.alerts WHERE org_id = $1 ORDER BY created_at, id", org_id))

    async def get(self, process: Notifications, org_id: str, path: str = "/v1/notifications", method: str = "GET", **query: Any) -> Any:
        api: FastAPI = create_api("t")
        api.include_router(process.router)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://waybill") as http:
            answer = await http.request(method, path, params=query, headers={"Authorization": f"Bearer {org_id}"})
        return answer.json() if answer.status_code == 200 else (answer.status_code, [d["field"] for d in answer.json()["error"]["details"]])


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as opened:
        yield opened


@pytest_asyncio.fixture
async def feeding(database: Database) -> AsyncIterator[Feeding]:
    url = database.as_service("delivery")
    pool = create_pool(url, "notifications-test", 8)
    admin = await asyncpg.connect(database.url)
    await admin.execute("DELETE FROM delivery.notifications")
    made = Feeding(pool, admin, Clock(), url)
    async with pool:
        yield made
        for each in made.made:
            await each.sender.close()
    await admin.close()
