"""What delivery notes for the audit trail, with its effect; and the signed checkpoints of chains."""

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from services.delivery.api_checkpoints import checkpoints_router
from services.delivery.checkpoints import Checkpoints
from shared.codec import decode
from shared.database import across_tenants
from shared.http import Authenticator, create_api
from shared.messages import AuditEntry
from shared.signing import check
from tests.contract.delivery.conftest import SECRET, Site, make_key
from tests.contract.delivery.test_downloads import BODIES, export_of, path_of
from tests.integration.delivery.room import Room


async def noted(room: Room, subject: str) -> list[AuditEntry]:
    rows = await room.pool.fetch("SELECT value FROM delivery.outbox WHERE topic = 'audit-entries' ORDER BY seq")
    entries = [decode(row["value"]) for row in rows]
    return [e for e in entries if isinstance(e, AuditEntry) and e.subject == subject]


async def test_a_download_is_noted_with_who_and_why_before_its_first_byte(site: Site) -> None:
    export = await export_of(site)
    whole = len(export.expected(BODIES))
    before = len(await noted(site.room, export.id))
    key = site.keys["downloader"].split("_")[2]
    assert (
        await site.get(f"{path_of(export)}?purpose=quarterly%20audit", "downloader", **{"X-Forwarded-For": "203.0.113.7"})
    ).status_code == 200
    assert (await site.get(path_of(export), "downloader", Range="bytes=5-9")).status_code == 206
    for method, headers in (
        ("HEAD", {}),
        ("GET", {"If-None-Match": "*"}),
        ("GET", {"Range": "bytes=99999999-"}),
        ("GET", {"If-Match": '"old"'}),
    ):
        await site.get(path_of(export), "downloader", method, **headers)
    assert (await site.get(path_of(export), "stranger")).status_code == 404
    first, second = (await noted(site.room, export.id))[before:]
    assert (first.actor, first.org_id, first.action, first.address, first.purpose) == (
        f"key:{key}",
        "org_a",
        "file.downloaded",
        "203.0.113.7",
        "quarterly audit",
    )
    assert json.loads(first.details) | {"sha256": ""} == {"file": export.name(), "bytes": whole, "sha256": ""}
    assert {k: v for k, v in json.loads(second.details).items() if k != "sha256"} == {"file": export.name(), "bytes": 5, "first_byte": 5}


async def test_a_download_has_its_exports_purpose_where_nobody_says_another(site: Site) -> None:
    export = await site.published([b"x"])
    async with site.room.pool.acquire() as connection:
        await connection.execute("SET ROLE none")
        await connection.execute("UPDATE exports.exports SET purpose = 'for the board' WHERE id = $1", export.id)
        await connection.execute("RESET ROLE")
    await site.get(path_of(export))
    assert [e.purpose for e in await noted(site.room, export.id)] == ["for the board"]
    wrong = await site.get(f"{path_of(export)}?purpose=a%0Ab&redirect=maybe")
    assert [d["field"] for d in wrong.json()["error"]["details"]] == ["redirect", "purpose"]


async def test_a_link_is_noted_when_it_is_made_and_when_we_serve_it(site: Site) -> None:
    export = await site.published([b"x"])
    link = await site.get(f"{path_of(export)}?redirect=true&purpose=board", "downloader")
    location, key = urlsplit(link.headers["location"]), site.keys["downloader"].split("_")[2]
    made = [("file.link_created", f"key:{key}", "board")]
    if location.path.startswith("/v1/downloads/"):
        assert (await site.client.get(location.path)).content == export.expected([b"x"])
        made.append(("file.downloaded", f"link:{key}", "board"))
    assert [(e.action, e.actor, e.purpose) for e in await noted(site.room, export.id)] == made


async def test_what_can_not_be_noted_is_not_served(site: Site) -> None:
    export = await site.published([b"x"])
    async with site.room.pool.acquire() as connection:
        await connection.execute("SET ROLE none")
        await connection.execute("ALTER TABLE delivery.outbox ADD CONSTRAINT closed CHECK (topic <> 'audit-entries') NOT VALID")
        await connection.execute("RESET ROLE")
    with pytest.raises(Exception, match="closed"):
        await site.get(path_of(export))
    async with site.room.pool.acquire() as connection:
        await connection.execute("SET ROLE none")
        await connection.execute("ALTER TABLE delivery.outbox DROP CONSTRAINT closed")
        await connection.execute("RESET ROLE")
    assert (await site.get(path_of(export))).status_code == 200


# ---- checkpoints


async def entry(room: Room, org_id: str, seq: int) -> None:
    """The end of a chain, as export_request would have written it."""
    async with room.pool.acquire() as connection:
        await connection.execute("SET ROLE none")
        await connection.execute(
            "INSERT INTO tenancy.organisations (org_id, name) VALUES ($1, $1) ON CONFLICT DO NOTHING", org_id.replace("@", "at_")
        )
        await connection.execute(
            "INSERT INTO tenancy.audit (org_id, seq, at, actor, address, action, subject, details, purpose, prev_hash, hash, message_id)"
            " VALUES ($1, $2, now(), '', '', '', '', '{}', '', '', decode(repeat('5e', 32), 'hex'), $3)", org_id, seq, f"{org_id}/{seq}",
        )  # fmt: skip
        await connection.execute("RESET ROLE")


async def test_grown_chains_get_a_signed_checkpoint_each_and_everyone_sees_their_own(site: Site) -> None:
    room = site.room
    checkpoints = Checkpoints(room.pool, room.keyring, lambda: datetime(2026, 3, 1, tzinfo=UTC))
    async with room.pool.acquire() as connection:
        await connection.execute("SET ROLE none")
        await connection.execute("TRUNCATE tenancy.audit, delivery.audit_checkpoints")
        await connection.execute("RESET ROLE")
    for org_id, seqs in (("org_a", (1, 2)), ("org_c", (1,)), ("@operator", (1, 2, 3))):
        for seq in seqs:
            await entry(room, org_id, seq)
    assert [await checkpoints.sign(), await checkpoints.sign()] == [3, 0]
    await entry(room, "org_a", 3)
    assert await checkpoints.sign() == 1
    api = create_api("checkpoints")
    api.include_router(checkpoints_router(checkpoints, Authenticator(room.pool), SECRET.encode(), "the-operator"))
    keys = {k.id: k for k in await room.keyring.public()}
    reader = await make_key(room, "org_a", ["audit:read"])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://delivery.test") as client:

        async def listed(path: str, token: str) -> list[dict[str, Any]]:
            answer = await client.get(path, headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == 200, answer.text
            found: list[dict[str, Any]] = answer.json()["data"]
            return found

        mine = await listed("/v1/audit/checkpoints", reader)
        assert [(c["org_id"], c["seq"], c["hash"], c["at"]) for c in mine] == [
            ("org_a", n, "5e" * 32, "2026-03-01T00:00:00.000Z") for n in (3, 2)
        ]
        assert all(check(c, keys) for c in mine)
        assert [(c["org_id"], c["seq"]) for c in await listed("/v1/operator/audit/checkpoints", "the-operator")] == [(None, 3)]
        page = (await client.get("/v1/audit/checkpoints?limit=1", headers={"Authorization": f"Bearer {reader}"})).json()
        assert [c["seq"] for c in await listed(f"/v1/audit/checkpoints?cursor={page['next_cursor']}", reader)] == [2]
        assert (await client.get("/v1/audit/checkpoints", headers={"Authorization": f"Bearer {site.keys['reader']}"})).status_code == 403
        assert (await client.get("/v1/operator/audit/checkpoints", headers={"Authorization": f"Bearer {reader}"})).status_code == 401
    async with across_tenants(room.pool) as connection:
        with pytest.raises(Exception, match="permission denied"):
            await connection.execute("UPDATE delivery.audit_checkpoints SET seq = 9")
