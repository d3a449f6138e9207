"""Settings over HTTP: versions of them, and what they mean for who asks for an export."""

import asyncio
import base64

from tests.contract.export_request.conftest import LEADS, Caller, World
from tests.documents import JPEG


async def test_a_change_can_be_bound_to_what_was_seen(world: World) -> None:
    caller = await world.organisation()
    seen = (await caller.call("GET", "/v1/settings")).headers["etag"]
    first, second = await asyncio.gather(*(
        caller.call("PATCH", "/v1/settings", json={"retention_days": days}, headers={"If-Match": seen}) for days in (5, 6)
    ))  # fmt: skip
    assert sorted([first.status_code, second.status_code]) == [200, 412]
    good, late = (first, second) if first.status_code == 200 else (second, first)
    assert late.headers["etag"] == good.headers["etag"] != seen
    assert (
        await caller.call("PATCH", "/v1/settings", json={"name": "B"}, headers={"If-Match": f'"x", {good.headers["etag"]}'})
    ).status_code == 200
    assert (await caller.call("PATCH", "/v1/settings", json={}, headers={"If-Match": "*"})).status_code == 200
    assert (await caller.call("PATCH", "/v1/settings", json={}, headers={"If-Match": "nonsense"})).json()["error"]["details"][0][
        "field"
    ] == "If-Match"


async def test_an_export_is_kept_no_longer_than_the_organisation_keeps_files(world: World) -> None:
    caller = await world.organisation()
    await caller.call("PATCH", "/v1/settings", json={"retention_days": 2})
    export = await caller.ask()
    kept = await world.admin.fetchval("SELECT extract(epoch FROM expires_at - created_at) FROM exports.exports WHERE id = $1", export["id"])
    assert kept == 2 * 86_400
    refused = await caller.call("POST", "/v1/exports", json=LEADS | {"expires_in_seconds": 2 * 86_400 + 1})
    assert [d["field"] for d in refused.json()["error"]["details"]] == ["expires_in_seconds"]


async def test_a_purpose_is_kept_and_required_where_the_organisation_says_so(world: World) -> None:
    caller = await world.organisation(leads=1)
    plain = await caller.completed()
    await caller.call("PATCH", "/v1/settings", json={"require_purpose": True})
    refused = await caller.call("POST", "/v1/exports", json=LEADS)
    assert (refused.status_code, refused.json()["error"]["details"][0]["field"]) == (422, "purpose")
    wrong = await caller.call("POST", "/v1/exports", json=LEADS | {"purpose": ""})
    assert (wrong.status_code, wrong.json()["error"]["details"][0]["field"]) == (400, "purpose")
    export = await caller.completed(LEADS | {"purpose": "for the board"})
    assert export["request"]["purpose"] == "for the board"
    again = (await caller.call("POST", f"/v1/exports/{export['id']}/rerun")).json()
    await world.audited()
    listed = (await caller.call("GET", "/v1/audit")).json()["data"]
    said = {e["subject"]: e["purpose"] for e in listed if e["action"] in ("export.requested", "export.rerun")}
    assert said == {plain["id"]: "", export["id"]: "for the board", again["id"]: "for the board"}


async def test_a_key_that_may_not_change_settings_sees_no_channels_url(world: World) -> None:
    caller = await world.organisation()
    channels = [{"type": "slack", "url": "https://hooks.slack.com/services/T/B/secret"}, {"type": "email", "to": ["ops@acme.example"]}]
    assert (await caller.call("PATCH", "/v1/settings", json={"alert_channels": channels})).json()["alert_channels"] == channels
    made = await caller.call("POST", "/v1/api-keys", json={"name": "reads", "scopes": ["exports:read"]})
    reads = Caller(world, caller.org_id, made.json()["key"])
    mine, theirs = await caller.call("GET", "/v1/settings"), await reads.call("GET", "/v1/settings")
    assert theirs.json()["alert_channels"] == [{"type": "slack", "url": "https://hooks.slack.com/"}, channels[1]]
    assert (mine.json()["alert_channels"], mine.headers["etag"]) == (channels, theirs.headers["etag"])


async def test_a_picture_with_damaged_tables_is_refused_when_it_is_set_and_not_when_a_report_is_made(world: World) -> None:
    caller = await world.organisation()
    tables = JPEG.index(b"\xff\xc4") + 4
    for picture, status in ((JPEG, 200), (JPEG[:tables] + b"\xff" + JPEG[tables + 1 :], 400)):
        logo = f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}"
        answer = await caller.call("PATCH", "/v1/settings", json={"branding": {"logo": logo}})
        assert answer.status_code == status, answer.text
    assert answer.json()["error"]["details"][0]["field"] == "branding.logo"
    kept = (await caller.call("GET", "/v1/settings")).json()["branding"]["logo"]
    assert kept == f"data:image/jpeg;base64,{base64.b64encode(JPEG).decode()}"
