"""The Leads API as the seed (synaptiq-leads-api.txt) gives it, each example in it, and what http.md adds."""

import asyncio
import re
from typing import Any

import httpx
import pytest

from tests.integration.ingest.room import Room

SEED_LEAD: dict[str, Any] = {
    "email": "sarah.chen@acmecorp.com", "name": "Sarah Chen", "company": "Acme Corp", "title": "VP of Sales", "phone": "+1-555-0142",
    "status": "qualified", "source": "chat", "tags": ["enterprise", "demo-requested"],
}  # fmt: skip
SEED_ID = "lead_01HQ3VXK9BWMN4F6T2P8R5GYSC"
SEED_POST: dict[str, Any] = {
    "email": "james.rodriguez@techstart.io", "name": "James Rodriguez", "company": "TechStart", "title": "CTO", "phone": "+1-555-0198",
    "status": "new", "source": "api", "tags": ["inbound", "startup"],
    "customFields": {"industry": "FinTech", "teamSize": "10-25", "budget": "$5k-$10k/mo"},
}  # fmt: skip
LISTED = [
    "id",
    "email",
    "name",
    "company",
    "title",
    "phone",
    "status",
    "score",
    "source",
    "tags",
    "customFields",
    "firstSeenAt",
    "lastActiveAt",
    "createdAt",
    "updatedAt",
]
WHOLE = [*LISTED[:11], "conversationCount", "lastIntent", "assignedTo", *LISTED[11:]]
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


async def call(room: Room, method: str, path: str, body: Any = None, org_id: str = "org_a", **headers: str) -> httpx.Response:
    async with room.client(org_id) as client:
        content = {"content": body} if isinstance(body, bytes) else {"json": body} if body is not None else {}
        return await client.request(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()}, **content)


async def seed(room: Room, score: int = 87) -> None:
    """The lead that the seed's examples show, as records would have brought it."""
    data = {
        **{k: v for k, v in SEED_LEAD.items()}, "custom_properties": {"industry": "SaaS", "teamSize": "50-100"}, "last_intent": "demo_request",
        "assigned_to": "user_01HQ3VXK9BWMN4F6T2P8R5GYSD", "first_seen_at": "2026-04-01T09:15:00Z", "last_activity_at": "2026-04-05T11:42:00Z",
        "created_at": "2026-04-01T09:15:00Z", "updated_at": "2026-04-05T11:42:00Z",
    }  # fmt: skip
    await room.write({"type": "lead", "id": SEED_ID, "version": 5, "data": data})
    await room.write(*[
        {"type": "conversation", "id": f"c{n}", "data": {"lead_id": SEED_ID, "created_at": "2026-04-01T09:15:00Z"}} for n in range(3)
    ])  # fmt: skip
    query = "INSERT INTO ingest.lead_scores (org_id, id, score, reasons, model_version) VALUES ('org_a', $1, $2, '[]', 1)"
    await room.admin.execute(query, SEED_ID, score)


def error(answer: httpx.Response) -> tuple[int, str, list[str]]:
    said = answer.json()["error"]
    assert said["message"] and said["doc_url"]
    return answer.status_code, said["code"], [d["field"] for d in said.get("details", [])]


async def test_the_seeds_list(room: Room) -> None:
    await seed(room)
    await call(room, "POST", "/v1/leads", SEED_POST)
    answer = await call(room, "GET", "/v1/leads?status=qualified&limit=10&sortBy=score&sortOrder=desc")
    assert answer.status_code == 200
    assert list(answer.json()["data"][0]) == [*LISTED[:11], "assignedTo", *LISTED[11:]]
    assert answer.json() == {
        "data": [{
            **SEED_LEAD, "id": SEED_ID, "score": 87, "customFields": {"industry": "SaaS", "teamSize": "50-100"}, "assignedTo": "user_01HQ3VXK9BWMN4F6T2P8R5GYSD",
            "firstSeenAt": "2026-04-01T09:15:00.000Z", "lastActiveAt": "2026-04-05T11:42:00.000Z", "createdAt": "2026-04-01T09:15:00.000Z",
            "updatedAt": "2026-04-05T11:42:00.000Z",
        }],
        "pagination": {"page": 1, "limit": 10, "total": 1, "totalPages": 1, "hasMore": False},
    }  # fmt: skip


async def test_the_seeds_lead(room: Room) -> None:
    await seed(room)
    answer = await call(room, "GET", f"/v1/leads/{SEED_ID}")
    assert list(answer.json()) == WHOLE
    assert answer.json() == {
        **SEED_LEAD, "id": SEED_ID, "score": 87, "customFields": {"industry": "SaaS", "teamSize": "50-100"}, "conversationCount": 3, "lastIntent": "demo_request",
        "assignedTo": "user_01HQ3VXK9BWMN4F6T2P8R5GYSD", "firstSeenAt": "2026-04-01T09:15:00.000Z", "lastActiveAt": "2026-04-05T11:42:00.000Z",
        "createdAt": "2026-04-01T09:15:00.000Z", "updatedAt": "2026-04-05T11:42:00.000Z",
    }  # fmt: skip
    assert answer.headers["etag"].startswith('"')


async def test_the_seeds_create_and_update(room: Room) -> None:
    made = await call(room, "POST", "/v1/leads", SEED_POST)
    lead = made.json()
    assert (made.status_code, made.headers["location"]) == (201, f"/v1/leads/{lead['id']}")
    assert re.fullmatch("lead_[0-9A-HJKMNP-TV-Z]{26}", lead["id"])
    assert list(lead) == LISTED
    assert {k: v for k, v in lead.items() if k in SEED_POST} == SEED_POST
    assert lead["score"] == 0
    assert len({lead[n] for n in LISTED[11:]}) == 1 and INSTANT.fullmatch(lead["createdAt"])
    fields = {**SEED_POST["customFields"], "nextStep": "Schedule demo"}
    changes = {"status": "qualified", "tags": ["inbound", "startup", "hot-lead"], "customFields": fields}
    patched = await call(room, "PATCH", f"/v1/leads/{lead['id']}", changes, if_match=made.headers["etag"])
    after = patched.json()
    assert patched.status_code == 200 and list(after) == LISTED
    assert {k: after[k] for k in lead if lead[k] != after[k]}.keys() <= {*changes, "lastActiveAt", "updatedAt"}
    assert {k: after[k] for k in changes} == changes
    assert after["updatedAt"] == after["lastActiveAt"] >= lead["updatedAt"]
    assert (await call(room, "GET", f"/v1/leads/{lead['id']}")).headers["etag"] == patched.headers["etag"] != made.headers["etag"]
    assert (await call(room, "PATCH", f"/v1/leads/{lead['id']}", {"customFields": {"a": 1}})).json()["customFields"] == {
        "a": 1
    }  # replaced whole


async def test_the_seeds_conflict(room: Room) -> None:
    await seed(room)
    answer = await call(room, "POST", "/v1/leads", {"email": "Sarah.Chen@AcmeCorp.com"})
    said = answer.json()["error"]
    assert (answer.status_code, said["code"], said["existingLeadId"]) == (409, "conflict", SEED_ID)
    assert said["message"] == "A lead with email 'Sarah.Chen@AcmeCorp.com' already exists." and said["doc_url"]


async def test_an_address_is_one_leads_whatever_writes_it(room: Room) -> None:
    a, b = [(await call(room, "POST", "/v1/leads", {"email": f"{name}@x.example"})).json()["id"] for name in "ab"]
    taken = await call(room, "PATCH", f"/v1/leads/{a}", {"email": "B@X.example"})
    assert (taken.status_code, taken.json()["error"]["existingLeadId"]) == (409, b)
    assert (await call(room, "PATCH", f"/v1/leads/{a}", {"email": "A@x.example"})).status_code == 200  # its own, written otherwise
    assert (await call(room, "PATCH", f"/v1/leads/{a}", {"email": "c@x.example"})).status_code == 200
    assert (await call(room, "POST", "/v1/leads", {"email": "a@x.example"})).status_code == 201  # free again
    assert (await call(room, "POST", "/v1/leads", {"email": "c@x.example"}, org_id="org_b")).status_code == 201
    imported = {"email": "B@x.example", "created_at": "2020-01-01T00:00:00Z"}
    assert await room.write({"type": "lead", "id": "l1", "data": imported}, {"type": "lead", "id": "l2", "data": imported}) == (2, 0)
    assert (await call(room, "POST", "/v1/leads", {"email": "b@x.example"})).json()["error"]["existingLeadId"] == "l1"
    await room.write(
        {"type": "lead", "id": "l1", "op": "delete"},
        {"type": "lead", "id": "l2", "op": "delete"},
        {"type": "lead", "id": b, "op": "delete"},
    )
    assert (await call(room, "POST", "/v1/leads", {"email": "b@x.example"})).status_code == 201


async def test_of_concurrent_creates_one_wins(room: Room) -> None:
    answers = await asyncio.gather(*[call(room, "POST", "/v1/leads", {"email": f"{'aA'[n % 2]}@x.example"}) for n in range(20)])
    assert sorted(a.status_code for a in answers) == [201] + [409] * 19
    made = next(a.json()["id"] for a in answers if a.status_code == 201)
    assert {a.json()["error"]["existingLeadId"] for a in answers if a.status_code == 409} == {made}
    assert await room.admin.fetchval("SELECT count(*) FROM ingest.leads") == 1


async def test_a_key_gives_the_same_answer_once_made(room: Room) -> None:
    body = {"email": "k@x.example", "customFields": {"n": 1}}
    answers = await asyncio.gather(*[call(room, "POST", "/v1/leads", body, idempotency_key="k1") for _ in range(8)])
    assert {(a.status_code, a.text, a.headers["etag"], a.headers["location"]) for a in answers} == {
        (201, answers[0].text, answers[0].headers["etag"], answers[0].headers["location"])
    }
    await call(room, "PATCH", answers[0].headers["location"], {"name": "Later"})
    assert (await call(room, "POST", "/v1/leads", {"customFields": {"n": 1.0}, **body}, idempotency_key="k1")).text == answers[0].text
    other = await call(room, "POST", "/v1/leads", {**body, "name": "x"}, idempotency_key="k1")
    assert error(other) == (409, "conflict", []) and "another body" in other.json()["error"]["message"]
    assert (
        await call(room, "POST", "/v1/leads", {"email": "k@x.example"}, idempotency_key="k2")
    ).status_code == 409  # a refusal is not remembered
    assert (await call(room, "POST", "/v1/leads", {"email": "other@x.example"}, idempotency_key="k2")).status_code == 201
    assert (await call(room, "POST", "/v1/leads", body, org_id="org_b", idempotency_key="k1")).json()["id"] != answers[0].json()["id"]
    for key in ("", "x" * 256):
        assert error(await call(room, "POST", "/v1/leads", body, idempotency_key=key)) == (400, "invalid_request", ["Idempotency-Key"])


async def test_preconditions(room: Room) -> None:
    made = await call(room, "POST", "/v1/leads", {"email": "p@x.example"})
    path, old = f"/v1/leads/{made.json()['id']}", made.headers["etag"]
    new = (await call(room, "PATCH", path, {"name": "N"}, if_match=f'"x", {old}')).headers["etag"]
    assert error(await call(room, "PATCH", path, {"name": "M"}, if_match=old)) == (412, "precondition_failed", [])
    assert (await call(room, "PATCH", path, {"name": "M"}, if_match="*")).status_code == 200
    assert error(await call(room, "PATCH", path, {"name": "M"}, if_match="nonsense")) == (400, "invalid_request", ["If-Match"])
    at_once = await asyncio.gather(*[call(room, "PATCH", path, {"name": f"{n}"}, if_match=e) for n, e in enumerate([new] * 4)])
    assert [a.status_code for a in at_once] == [412] * 4
    current = (await call(room, "GET", path)).headers["etag"]
    at_once = await asyncio.gather(*[call(room, "PATCH", path, {"name": f"{n}"}, if_match=current) for n in range(6)])
    assert sorted(a.status_code for a in at_once) == [200] + [412] * 5


async def test_changes_side_by_side_lose_nothing(room: Room) -> None:
    path = f"/v1/leads/{(await call(room, 'POST', '/v1/leads', {'email': 's@x.example'})).json()['id']}"
    changes: list[dict[str, Any]] = [
        {"name": "N"},
        {"company": "C"},
        {"title": "T"},
        {"phone": "+1-555-0142"},
        {"tags": ["t"]},
        {"assignedTo": "user_1"},
    ]
    answers = await asyncio.gather(*[call(room, "PATCH", path, change) for change in changes])
    assert {a.status_code for a in answers} == {200}
    lead = (await call(room, "GET", path)).json()
    for change in changes:
        assert change.items() <= lead.items()
    assert await room.admin.fetchval("SELECT count(*) FROM ingest.leads") == 7  # every version is kept


async def test_the_newer_of_record_and_api_wins(room: Room) -> None:
    await seed(room)
    path = f"/v1/leads/{SEED_ID}"
    await call(room, "PATCH", path, {"name": "From the API"})
    record = {
        "type": "lead",
        "id": SEED_ID,
        "data": {"email": "r@x.example", "name": "From a record", "created_at": "2026-04-01T09:15:00Z"},
    }
    assert await room.write({**record, "version": 5}) == (0, 1)  # not above the version held
    assert (await call(room, "GET", path)).json()["name"] == "From the API"
    assert await room.write({**record, "version": 6}) == (1, 0)
    lead = (await call(room, "GET", path)).json()
    assert (lead["name"], lead["source"], lead["tags"], lead["customFields"]) == ("From a record", "import", [], {})
    assert (lead["firstSeenAt"], lead["updatedAt"]) == ("2026-04-01T09:15:00.000Z",) * 2
    assert await room.write({**record, "data": {**record["data"], "name": "Without version"}}) == (1, 0)
    await call(room, "PATCH", path, {"title": "T"})
    assert [v for v, _ in await room.versions("leads", SEED_ID)] == [5, 5, 6, 6, 6]
    await room.write({"type": "lead", "id": SEED_ID, "op": "delete"})
    assert (await call(room, "GET", path)).status_code == (await call(room, "PATCH", path, {"title": "x"})).status_code == 404


async def test_every_sort_filter_and_page_is_what_a_reference_says(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to a page, of few and of many, against sorting in Python."""
    leads: list[dict[str, Any]] = []
    for n in range(60):
        data: dict[str, Any] = {
            "email": f"{n}@x.example", "status": ["new", "qualified", "lost"][n % 3], "source": ["chat", "form"][n % 2],
            "created_at": f"2026-04-{1 + n * 7 % 20:02}T00:00:00Z", **({"updated_at": f"2026-05-{1 + n * 5 % 20:02}T00:00:00Z"} if n % 4 else {}),
        }  # fmt: skip
        leads.append({"id": f"l{n:02}", "score": (n * 3) % 7, **data})
        await room.write({"type": "lead", "id": f"l{n:02}", "data": data})
    query = "INSERT INTO ingest.lead_scores (org_id, id, score, reasons, model_version) SELECT 'org_a', * , '[]', 1 FROM unnest($1::text[], $2::smallint[])"
    scored = [lead for lead in leads if lead["score"] or lead["id"] > "l30"]
    await room.admin.execute(query, [lead["id"] for lead in scored], [lead["score"] for lead in scored])
    keys = {
        "createdAt": lambda r: (r["created_at"], r["id"]),
        "updatedAt": lambda r: (r.get("updated_at", r["created_at"]), r["id"]),
        "score": lambda r: (r["score"], r["id"]),
    }
    for most in (10_000, 3):
        for name in ("COUNTED_AT_ONCE_MAX", "SORTED_MAX"):
            monkeypatch.setattr(f"services.ingest.leads.{name}", most)
        for sort, key in keys.items():
            for order in ("asc", "desc"):
                for filters in (
                    "",
                    "&status=lost",
                    "&source=chat",
                    "&status=new&source=form",
                    "&createdAfter=2026-04-05&createdBefore=2026-04-11T00:00:00Z",
                ):
                    given = dict(part.split("=") for part in filters.split("&") if part)
                    kept = [
                        r for r in sorted(leads, key=key, reverse=order == "desc")
                        if all(r[name] == given[name] for name in ("status", "source") if name in given)
                        and given.get("createdAfter", "0") + "T00:00:00Z" < r["created_at"] < given.get("createdBefore", "9")
                    ]  # fmt: skip
                    for page, limit in ((1, 7), (2, 7), (1, 100), (40, 7)):
                        answer = (
                            await call(room, "GET", f"/v1/leads?sortBy={sort}&sortOrder={order}&page={page}&limit={limit}{filters}")
                        ).json()
                        expected = kept[(page - 1) * limit : page * limit]
                        assert [r["id"] for r in answer["data"]] == [r["id"] for r in expected], (most, sort, order, filters, page)
                        assert [r["score"] for r in answer["data"]] == [r["score"] for r in expected]
                        pages = -(-len(kept) // limit)
                        assert answer["pagination"] == {
                            "page": page,
                            "limit": limit,
                            "total": len(kept),
                            "totalPages": pages,
                            "hasMore": page < pages,
                        }


async def test_bad_input_is_named_and_nothing_is_written(room: Room) -> None:
    answer = await call(room, "POST", "/v1/leads", {"email": "x", "status": "hot", "phone": "555", "colour": 1, "customFields": {"a": []}})
    assert error(answer) == (400, "invalid_request", ["colour", "email", "phone", "status", "customFields.a"])
    for body, field in (
        (b'{"email":"a@x.example","email":"b@x.example"}', "email"), (b'{"email":"a@x.example","name":"\\ud800"}', "name"), (b"{", ""), (b"", ""), (b"[]", ""), (b"\xff", ""),
        (b'{"email":"a@x.example","customFields":' + b'{"a":' * 10_000 + b"1" + b"}" * 10_001, ""), (b'{"email":"a@x.example","customFields":{"n":9007199254740993}}', "customFields.n"),
        (b'{"email":"a@x.example","customFields":{"n":1e400}}', "customFields.n"), (b'{"email":"a@x.example","name":"\\u0000"}', "name"), (b'{"email":NaN}', ""),
    ):  # fmt: skip
        for method, path in (("POST", "/v1/leads"), ("PATCH", "/v1/leads/none")):
            assert error(await call(room, method, path, body)) == (400, "invalid_request", [field]), body[:60]
    assert error(await call(room, "POST", "/v1/leads", b'{"name":"' + b"x" * (10 << 20) + b'"}')) == (413, "too_large", [])
    assert error(await call(room, "POST", "/v1/leads", b"{}", content_type="text/plain"))[0] == 415
    assert error(await call(room, "PATCH", "/v1/leads/none", {})) == (400, "invalid_request", [""])
    assert error(await call(room, "PATCH", "/v1/leads/none", {"name": "x"})) == (404, "not_found", [])
    assert error(await call(room, "GET", "/v1/leads?limit=101&colour=1")) == (400, "invalid_request", ["colour"])
    assert error(await call(room, "GET", "/v1/leads?limit=101&sortBy=name&createdAfter=2026-04-01T00:00:00")) == (
        400,
        "invalid_request",
        ["limit", "sortBy", "createdAfter"],
    )
    assert error(await call(room, "GET", "/v1/leads?limit=1&limit=2")) == (400, "invalid_request", ["limit"])
    assert error(await call(room, "PUT", "/v1/leads"))[0] == 405
    assert await room.admin.fetchval("SELECT count(*) FROM ingest.leads") == 0


async def test_scopes_and_other_organisations(room: Room) -> None:
    made = (await call(room, "POST", "/v1/leads", {"email": "a@x.example"})).json()
    path = f"/v1/leads/{made['id']}"
    assert error(await call(room, "GET", path, org_id="org_b")) == (404, "not_found", [])
    assert error(await call(room, "PATCH", path, {"name": "x"}, org_id="org_b")) == (404, "not_found", [])
    assert (await call(room, "GET", "/v1/leads", org_id="org_b")).json() == {
        "data": [],
        "pagination": {"page": 1, "limit": 25, "total": 0, "totalPages": 0, "hasMore": False},
    }
    await room.admin.execute("UPDATE tenancy.api_keys SET scopes = '{leads:read}' WHERE org_id = 'org_a'")
    refused = await call(room, "POST", "/v1/leads", {"email": "b@x.example"})
    assert error(refused)[:2] == (403, "forbidden") and "leads:write" in refused.json()["error"]["message"]
    assert (await call(room, "GET", path)).status_code == 200
    await room.admin.execute("UPDATE tenancy.api_keys SET scopes = '{leads:write}' WHERE org_id = 'org_a'")
    assert error(await call(room, "GET", path))[:2] == (403, "forbidden")
    assert error(await call(room, "GET", path, authorization="Bearer sk_live_00000000_0000000000000000000000"))[:2] == (401, "unauthorized")


async def test_a_lead_of_the_zero_time_is_of_a_time(room: Room) -> None:
    """What Go and .NET send for "never" must end no export: -infinity can't be reckoned with."""
    await room.write(
        {"type": "lead", "id": "l", "data": {"email": "x", "created_at": "0001-01-01T00:00:00Z", "updated_at": "0001-01-01T00:00:00Z"}}
    )
    assert await room.admin.fetchval("SELECT isfinite(created_at) AND isfinite(updated_at) FROM ingest.leads WHERE id = 'l'")
    assert (await call(room, "GET", "/v1/leads/l")).json()["createdAt"] == "0001-01-01T00:00:00.000Z"


async def test_ids_are_percent_encoded_in_paths(room: Room) -> None:
    await room.write({"type": "lead", "id": "crm/7 é%2F?", "data": {"email": "x", "created_at": "2026-04-01T00:00:00Z"}})
    path = "/v1/leads/crm%2F7%20%C3%A9%252F%3F"
    assert (await call(room, "GET", path)).json()["id"] == "crm/7 é%2F?"
    assert (await call(room, "PATCH", path, {"name": "N"})).json()["name"] == "N"
    assert (await call(room, "GET", f"{path}/score")).json()["leadId"] == "crm/7 é%2F?"
    for other in ("/v1/leads/%FF", "/v1/leads/%00", "/v1/leads/" + "x" * 200):
        assert error(await call(room, "GET", other)) == (404, "not_found", [])
        assert error(await call(room, "GET", f"{other}/score")) == (404, "not_found", [])


async def test_every_write_is_in_the_audit_trail_with_the_effect(room: Room) -> None:
    made = (await call(room, "POST", "/v1/leads", {"email": "audit@x.example", "name": "Canary"})).json()
    await call(room, "PATCH", f"/v1/leads/{made['id']}", {"name": "Canary 2"})
    await call(room, "POST", "/v1/leads", {"email": "audit@x.example"})
    rows = await room.admin.fetch("SELECT key, value FROM ingest.outbox WHERE topic = 'audit-entries' ORDER BY seq")
    assert [row["key"] for row in rows] == [b"org_a"] * 2
    assert [action in row["value"] for row, action in zip(rows, (b"lead.created", b"lead.changed"), strict=True)] == [True, True]
    assert all(made["id"].encode() in row["value"] and b"Canary" not in row["value"] and b"@x" not in row["value"] for row in rows)
