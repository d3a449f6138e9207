"""The endpoints of webhooks, as docs and the HTTP contract have them."""

import asyncio
import base64
import json
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import psycopg
import pytest
import pytest_asyncio

from services.delivery.core.webhooks.events import EVENTS
from services.delivery.webhooks import endpoints
from shared.database import create_pool
from shared.http import create_api
from tests.conftest import Database
from tests.contract.delivery.conftest import make_key
from tests.integration.delivery.webhooks.room import Clock, Process, Room, eventually
from tests.receiver import Answer, Receiver, receiving

PATH = "/v1/webhook-endpoints"


@dataclass
class Site:
    """The API with two organisations' keys, a running dispatcher and a receiver."""

    room: Room
    process: Process
    receiver: Receiver
    client: httpx.AsyncClient
    keys: dict[str, str]

    async def call(self, method: str, path: str = PATH, key: str = "all", **options: Any) -> httpx.Response:
        return await self.client.request(method, path, headers={"Authorization": f"Bearer {self.keys[key]}"}, **options)

    async def make(self, path: str = "/", **body: Any) -> dict[str, Any]:
        answer = await self.call("POST", json={"url": self.receiver.url(path), **body})
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made


@pytest_asyncio.fixture(scope="module")
async def site(database: Database) -> AsyncIterator[Site]:
    url = database.as_service("delivery")
    pool = create_pool(url, "webhooks-test", 16)
    await pool
    room = Room(url, pool, Clock())
    keys = {
        "all": await make_key(room, "org_a", ["webhooks:write"]),  # type: ignore[arg-type]
        "reader": await make_key(room, "org_a", ["exports:read"]),  # type: ignore[arg-type]
        "stranger": await make_key(room, "org_b", ["admin"]),  # type: ignore[arg-type]
    }
    with receiving() as receiver:
        async with room.process() as process:
            app = create_api("delivery")
            app.include_router(process.webhooks.router)
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://delivery.test") as client:
                yield Site(room, process, receiver, client, keys)
    await pool.close()


def fields(answer: httpx.Response) -> list[str]:
    return [each["field"] for each in answer.json()["error"].get("details", [])]


async def test_an_endpoint_from_its_making_to_its_end(site: Site) -> None:
    answer = await site.call("POST", json={"url": site.receiver.url("/life"), "description": "CRM"})
    made = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"{PATH}/{made['id']}"
    assert answer.headers["cache-control"] == "no-store"
    secret = made.pop("secret")
    assert secret.startswith("whsec_")
    assert made == {
        "id": made["id"], "url": site.receiver.url("/life"), "description": "CRM", "events": list(EVENTS), "enabled": True, "disabled": None,
        "failing_since": None, "old_secret_expires_at": None, "created_at": made["created_at"], "updated_at": made["created_at"],
    }  # fmt: skip
    one = f"{PATH}/{made['id']}"
    assert (await site.call("GET", one)).json() == made, "the secret is not shown again"
    patched = await site.call("PATCH", one, json={"events": ["export.failed"], "description": None, "enabled": False})
    assert patched.status_code == 200
    assert (patched.json()["events"], patched.json()["description"], patched.json()["enabled"]) == (["export.failed"], None, False)
    assert patched.json()["disabled"]["reason"] == "requested"
    rotated = await site.call("POST", f"{one}/rotate-secret")
    assert rotated.headers["cache-control"] == "no-store"
    assert rotated.json()["secret"] not in ("", secret)
    assert rotated.json()["old_secret_expires_at"] > made["created_at"]
    assert (await site.call("DELETE", one)).status_code == 204
    assert (await site.call("GET", one)).status_code == 404


WRONG: list[tuple[Any, list[str]]] = [
    ([], [""]),
    ({}, ["url"]),
    ({"url": "http://hooks.example/", "urls": 1, "event": []}, ["urls", "event"]),
    ({"url": "ftp://hooks.example/"}, ["url"]),
    ({"url": "http://10.0.0.1/"}, ["url"]),
    ({"url": 1, "events": [], "description": ""}, ["url", "description", "events"]),
    ({"url": "https://hooks.example/", "events": ["export.completed", "export.done"]}, ["events.1"]),
    ({"url": "https://hooks.example/", "events": ["export.failed", "export.failed"]}, ["events"]),
    ({"url": "https://hooks.example/", "events": "export.failed"}, ["events"]),
    ({"url": "https://hooks.example/", "enabled": False}, ["enabled"]),
    ({"url": "https://hooks.example/", "secret": "whsec_x"}, ["secret"]),
]


@pytest.mark.parametrize(("body", "named"), WRONG)
async def test_a_wrong_field_is_named(site: Site, body: Any, named: list[str]) -> None:
    answer = await site.call("POST", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")
    assert sorted(fields(answer)) == sorted(named)


@pytest.mark.parametrize(
    ("method", "path", "options", "named"),
    [
        ("PATCH", "", {"json": {"enabled": 1}}, ["enabled"]),
        ("PATCH", "", {"json": {"url": None}}, ["url"]),
        ("PATCH", "", {"json": {"id": "x"}}, ["id"]),
        ("POST", "/recover", {"json": {}}, ["since"]),
        ("POST", "/recover", {"json": {"since": "yesterday"}}, ["since"]),
        ("POST", "/recover", {"json": {"since": 1, "until": 2}}, ["since", "until"]),
        ("POST", "/rotate-secret", {"json": {"overlap_seconds": -1}}, ["overlap_seconds"]),
        ("POST", "/rotate-secret", {"json": {"overlap_seconds": True, "secret": ""}}, ["overlap_seconds", "secret"]),
        ("POST", "/test", {"json": {"event": "x"}}, ["event"]),
        ("GET", "/deliveries?status=pending&status=lost", {}, ["status"]),
        ("GET", "/deliveries?limit=0", {}, ["limit"]),
        ("GET", "/deliveries?state=pending", {}, ["state"]),
        ("GET", "/deliveries?cursor=x", {}, ["cursor"]),
        ("GET", "?verbose=1", {}, ["verbose"]),
        ("POST", "/test?now=1", {}, ["now"]),
    ],
)
async def test_what_each_call_refuses_is_named(site: Site, method: str, path: str, options: dict[str, Any], named: list[str]) -> None:
    made = await site.make("/refuses")
    answer = await site.call(method, f"{PATH}/{made['id']}{path}", **options)
    assert answer.status_code == 400, answer.text
    assert sorted(fields(answer)) == sorted(named)
    await site.call("DELETE", f"{PATH}/{made['id']}")


async def test_scopes_and_other_organisations(site: Site) -> None:
    made = await site.make("/mine")
    await site.room.event(site.process, "org_a")
    (delivery, *_) = await site.room.ended(made["id"])
    one = f"{PATH}/{made['id']}"
    calls: list[tuple[str, str, Any]] = [
        ("GET", one, None), ("PATCH", one, {"enabled": False}), ("DELETE", one, None), ("POST", f"{one}/test", None),
        ("POST", f"{one}/rotate-secret", None), ("POST", f"{one}/recover", {"since": "2026-01-01"}), ("GET", f"{one}/deliveries", None),
        ("POST", f"{one}/deliveries/{delivery['id']}/redeliver", None),
    ]  # fmt: skip
    for method, path, body in calls:
        for key, status in (("stranger", 404), ("reader", 403)):
            answer = await site.call(method, path, key, **({"json": body} if body else {}))
            assert answer.status_code == status, (method, path, key)
        assert (await site.client.request(method, path)).status_code == 401
    assert (await site.call("GET", key="stranger")).json()["data"] == []
    theirs = (await site.call("POST", key="stranger", json={"url": site.receiver.url("/theirs")})).json()
    mixed = await site.call("POST", f"{PATH}/{theirs['id']}/deliveries/{delivery['id']}/redeliver", "stranger")
    assert mixed.status_code == 404, "a delivery is found under its own endpoint only"
    for odd in ("%00", "x" * 300, "..", "%0a"):
        assert (await site.call("GET", f"{PATH}/{odd}")).status_code == 404
    await site.call("DELETE", one)


async def test_lists_come_in_pages(site: Site) -> None:
    made = [(await site.make(f"/page{n}"))["id"] for n in range(3)]
    for _ in range(5):
        await site.room.event(site.process, "org_a")
    await site.room.ended(made[0], 5)
    found = await _pages(site, PATH, 2)
    assert [each["id"] for each in found if each["id"] in made] == made
    deliveries = await _pages(site, f"{PATH}/{made[0]}/deliveries", 2)
    assert len(deliveries) == 5
    assert [d["created_at"] for d in deliveries] == sorted((d["created_at"] for d in deliveries), reverse=True)
    assert {d["status"] for d in await _pages(site, f"{PATH}/{made[0]}/deliveries?status=delivered&status=failed", 3)} == {"delivered"}
    assert await _pages(site, f"{PATH}/{made[0]}/deliveries?status=failed", 3) == []
    first = (await site.call("GET", f"{PATH}/{made[0]}/deliveries?limit=1")).json()["next_cursor"]
    assert (await site.call("GET", f"{PATH}/{made[1]}/deliveries?cursor={first}")).status_code == 400, "a cursor is good for its list alone"
    for each in made:
        await site.call("DELETE", f"{PATH}/{each}")


async def _pages(site: Site, path: str, limit: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        answer = (await site.call("GET", f"{path}{'&' if '?' in path else '?'}limit={limit}{cursor}")).json()
        found += answer["data"]
        assert answer["has_more"] == (answer["next_cursor"] is not None)
        if not answer["has_more"]:
            return found
        cursor = f"&cursor={answer['next_cursor']}"


async def test_a_test_says_what_came_of_it(site: Site) -> None:
    site.receiver.decide = lambda path, before: Answer(503, {"Retry-After": "60"}, b"down for lunch") if path == "/t2" else Answer()
    good = await site.make("/t1")
    answer = await site.call("POST", f"{PATH}/{good['id']}/test")
    assert answer.status_code == 200
    assert answer.json()["delivered"] is True
    (received,) = site.receiver.at("/t1")
    assert received.verified(good["secret"])["type"] == "webhook.test"
    assert received.headers["content-type"] == "application/json"
    bad = await site.make("/t2")
    await site.call("PATCH", f"{PATH}/{bad['id']}", json={"enabled": False})
    answer = (await site.call("POST", f"{PATH}/{bad['id']}/test")).json()
    assert answer["delivered"] is False
    assert answer["delivery"]["status"] == "failed", "a test is sent once"
    (attempt,) = answer["delivery"]["attempts"]
    assert (attempt["response_code"], attempt["error"]["code"], attempt["response_excerpt"]) == (503, "http_error", "down for lunch")
    assert (await site.call("GET", f"{PATH}/{bad['id']}")).json()["failing_since"] is None, "and says nothing of the endpoint's health"
    site.receiver.decide = lambda path, before: Answer()
    for each in (good, bad):
        await site.call("DELETE", f"{PATH}/{each['id']}")


async def test_redelivering_keeps_the_id(site: Site) -> None:
    made = await site.make("/again")
    await site.room.event(site.process, "org_a")
    (delivery,) = await site.room.ended(made["id"])
    answer = await site.call("POST", f"{PATH}/{made['id']}/deliveries/{delivery['id']}/redeliver")
    assert answer.status_code == 202
    assert answer.json()["id"] == delivery["id"]
    await eventually(lambda: len(site.receiver.at("/again")) == 2)
    one, two = site.receiver.at("/again")
    assert one.webhook_id == two.webhook_id == delivery["webhook_id"]
    await site.room.ended(made["id"])
    shown = (await site.call("GET", f"{PATH}/{made['id']}/deliveries")).json()["data"][0]
    assert (shown["attempt_count"], [a["number"] for a in shown["attempts"]]) == (2, [2, 1])
    assert shown["payload"] == json.loads(one.body)
    assert (await site.call("POST", f"{PATH}/{made['id']}/deliveries/whd_x/redeliver")).status_code == 404
    await site.call("DELETE", f"{PATH}/{made['id']}")


async def test_there_are_never_more_than_may_be_however_many_are_made_at_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints, "ENDPOINTS_MAX", 2)
    site.keys["many"] = await make_key(site.room, "org_many", ["webhooks:write"])  # type: ignore[arg-type]
    answers = await asyncio.gather(*(site.call("POST", key="many", json={"url": "https://hooks.example/"}) for _ in range(5)))
    kept = await site.room.rows("SELECT id FROM delivery.webhook_endpoints WHERE org_id = 'org_many'")
    assert Counter(each.status_code for each in answers) == {201: 2, 409: 3} and len(kept) == 2
    assert {each.json()["error"]["code"] for each in answers if each.status_code == 409} == {"conflict"}


async def test_no_secret_is_stored_in_the_clear(site: Site, database: Database) -> None:
    made = await site.make("/secret")
    with psycopg.connect(database.url) as connection:
        rows = connection.execute("SELECT w::text, secret FROM delivery.webhook_endpoints w WHERE id = %s", [made["id"]]).fetchall()
    secret = base64.b64decode(made["secret"].removeprefix("whsec_"))
    assert rows and all(secret not in sealed and made["secret"] not in text and secret.hex() not in text for text, sealed in rows)
