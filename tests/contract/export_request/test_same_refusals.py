"""A wrong request is refused in the same words over HTTP and over Kafka, before any work starts: nothing is stored, planned or sent for it."""

from typing import Any

import httpx
import pytest

from tests.contract.export_request.conftest import LEADS, World
from tests.contract.export_request.test_requests_over_kafka import as_json, refusal

MARCH = {"from": "2026-03-01", "to": "2026-04-01"}
MESSAGES: dict[str, Any] = {"dataset": "messages", "format": "csv", **MARCH}
CHATS: dict[str, Any] = {"dataset": "chat-data", "format": "json", "purpose": "review", **MARCH}

# What is wrong → the request, the status and the fields that are named.
WRONG: dict[str, tuple[Any, int, list[str]]] = {
    "no dataset": ({}, 400, ["dataset"]),
    "an unknown dataset": ({"dataset": "nope"}, 400, ["dataset"]),
    "an unknown format": (LEADS | {"format": "docx"}, 400, ["format"]),
    "an unknown format among several": ({"dataset": "leads", "formats": ["csv", "docx"]}, 400, ["formats.1"]),
    "a format twice": ({"dataset": "leads", "formats": ["csv", "csv"]}, 400, ["formats.1"]),
    "a format that the dataset lacks": (MESSAGES | {"format": "txt"}, 422, ["format"]),
    "an unknown column": (LEADS | {"columns": ["id", "nope"]}, 400, ["columns.1"]),
    "no column": (LEADS | {"columns": []}, 400, ["columns"]),
    "a column that the format lacks": (LEADS | {"columns": ["conversations"]}, 422, ["columns.0"]),
    "an unknown filter": (LEADS | {"filter": {"colour": ["red"]}}, 400, ["filter.colour"]),
    "a filter of another type": (LEADS | {"filter": {"score_min": "high"}}, 400, ["filter.score_min"]),
    "a search for nothing": (LEADS | {"filter": {"q": " "}}, 400, ["filter.q"]),
    "a search for a book": (LEADS | {"filter": {"q": "x" * 201}}, 400, ["filter.q"]),
    "an unknown profile": (LEADS | {"redaction": "nope"}, 400, ["redaction"]),
    "an unknown timezone": (LEADS | {"timezone": "Mars/Olympus"}, 400, ["timezone"]),
    "an unknown field": (LEADS | {"colour": "red"}, 400, ["colour"]),
    "a password that lacks": (CHATS, 422, ["password"]),
    "a purpose that lacks": ({k: v for k, v in CHATS.items() if k != "purpose"}, 422, ["password", "purpose"]),
    "a range that lacks": ({"dataset": "messages", "format": "csv"}, 422, ["from", "to"]),
    "a range where there is none": ({"dataset": "open-conversations", "format": "csv", **MARCH}, 422, ["from", "to"]),
    "a range too long": (MESSAGES | {"from": "2020-01-01", "to": "2026-01-01"}, 422, ["to"]),
    "a range turned around": (MESSAGES | {"from": "2026-04-01", "to": "2026-03-01"}, 422, ["to"]),
    "a range that is no time": (MESSAGES | {"from": "yesterday"}, 400, ["from"]),
    "periods for the wrong dataset": (LEADS | {"granularity": "day"}, 422, ["granularity"]),
    "unknown periods": ({"dataset": "analytics", "granularity": "hour", **MARCH}, 400, ["granularity"]),
    "a guard where there is none": (LEADS | {"format": "json", "spreadsheet_safe": True}, 422, ["spreadsheet_safe"]),
    "compression of what is compressed": (LEADS | {"format": "xlsx", "compression": "gzip"}, 422, ["compression"]),
    "rows a file": (LEADS | {"max_rows_per_file": 0}, 400, ["max_rows_per_file"]),
    "kept too long": (LEADS | {"expires_in_seconds": 10**9}, 400, ["expires_in_seconds"]),
    "several at once": (MESSAGES | {"format": "docx", "columns": ["nope"], "timezone": 7}, 400, ["columns.0", "format", "timezone"]),
    "since nothing": (LEADS | {"since": "exp_nothing"}, 404, ["since"]),
    "since no text": (LEADS | {"since": 7}, 400, ["since"]),
    "destinations that are no list": (LEADS | {"destinations": "dst_1"}, 400, ["destinations"]),
    "too many destinations": (LEADS | {"destinations": [{"type": "s3", "id": f"dst_{i}"} for i in range(11)]}, 400, ["destinations"]),
    "destinations of no shape": (
        LEADS
        | {
            "destinations": [
                "dst_1",
                {"type": "ftp", "id": "dst_1"},
                {"type": "s3"},
                {"type": "s3", "id": 7},
                {"type": "email", "id": "dst_2", "to": ["a@b.example"]},
            ]
        },
        400,
        ["destinations.0", "destinations.1.type", "destinations.2.id", "destinations.3.id", "destinations.4.to"],
    ),
    "a destination twice": (
        LEADS | {"destinations": [{"type": "s3", "id": "dst_1"}, {"type": "s3", "id": "dst_1"}]},
        400,
        ["destinations.1.id"],
    ),
    "addresses that are none": (
        LEADS
        | {
            "destinations": [
                {"type": "email", "to": ["a@b.example", "A@b.example", "nobody", "a@b.example\nBcc: c@d.example", 7]},
                {"type": "email", "to": []},
                {"type": "s3", "to": ["e@f.example"]},
            ]
        },
        400,
        [
            "destinations.0.to.1",
            "destinations.0.to.2",
            "destinations.0.to.3",
            "destinations.0.to.4",
            "destinations.1.to",
            "destinations.2.to",
        ],
    ),
    "an unknown destination": (LEADS | {"destinations": [{"type": "s3", "id": "dst_nothing"}]}, 404, ["destinations.0.id"]),
}
STORED = "SELECT (SELECT count(*) FROM exports.exports) + (SELECT count(*) FROM exports.chunks) + (SELECT count(*) FROM exports.passwords)"


@pytest.mark.parametrize("what", WRONG)
async def test_both_ways_say_the_same_and_nothing_begins(world: World, what: str) -> None:
    body, status, fields = WRONG[what]
    caller = await world.organisation(leads=2)
    over_http, over_kafka = await refused_both_ways(world, caller, body)
    assert (over_http.status_code, fields_of(over_http)) == (status, fields), over_http.text
    assert over_kafka == told(caller, over_http)
    assert await world.admin.fetchval(STORED) == 0
    assert [m.event for m in world.published] == ["refused"]


async def refused_both_ways(world: World, caller: Any, body: Any) -> tuple[httpx.Response, dict[str, Any]]:
    """The answer over HTTP, and what `export.refused` says of the same over Kafka."""
    over_http = await caller.call("POST", "/v1/exports", json=body)
    await world.parts.handlers.export_requests(as_json(caller, body))
    return over_http, await refusal(world)


def fields_of(answer: httpx.Response) -> list[str]:
    return sorted(detail["field"] for detail in answer.json()["error"]["details"])


def told(caller: Any, answer: httpx.Response) -> dict[str, Any]:
    """What is to be said over Kafka of what was answered over HTTP."""
    return {"org_id": caller.org_id, "request_id": "r1", "requested_by": "crm", "error": answer.json()["error"]}


@pytest.mark.parametrize("whose", ["another dataset's", "another organisation's", "a pruned one's"])
async def test_a_delta_that_can_not_be_is_refused_in_the_same_words(world: World, whose: str) -> None:
    caller = await world.organisation(leads=2)
    owner = await world.organisation(leads=2) if whose == "another organisation's" else caller
    base = await owner.completed(LEADS)
    body, status = LEADS | {"since": base["id"]}, {"another dataset's": 422, "another organisation's": 404, "a pruned one's": 410}[whose]
    if whose == "another dataset's":
        body = MESSAGES | {"since": base["id"]}
    if whose == "a pruned one's":
        await world.admin.execute(PRUNED, caller.org_id)
        await world.admin.execute("UPDATE exports.exports SET status = 'expired' WHERE id = $1", base["id"])
    over_http, over_kafka = await refused_both_ways(world, caller, body)
    assert (over_http.status_code, fields_of(over_http)) == (status, ["since"]), over_http.text
    assert over_kafka == told(caller, over_http)


PRUNED = "INSERT INTO ingest.prunings (org_id, before) VALUES ($1, pg_current_xact_id())"


async def test_a_password_never_goes_over_kafka(world: World) -> None:
    """The one difference: over HTTP a weak one, and one where none applies, are named; over Kafka every one is refused before it is looked at."""
    caller = await world.organisation()
    for body, status in ((CHATS | {"password": "weak"}, 400), (LEADS | {"password": "Abcd1234"}, 422)):  # pragma: allowlist secret
        answer = await caller.call("POST", "/v1/exports", json=body)
        assert (answer.status_code, [d["field"] for d in answer.json()["error"]["details"]]) == (status, ["password"])
        await world.parts.handlers.export_requests(as_json(caller, body, request_id=f"r{status}"))
        refused = await refusal(world, f"r{status}")
        assert (refused["error"]["code"], refused["error"]["details"][0]["field"]) == ("password_over_kafka", "password")
    assert await world.admin.fetchval(STORED) == 0


@pytest.mark.parametrize("whose", ["another type's", "another organisation's"])
async def test_a_destination_that_can_not_be_is_refused_in_the_same_words(world: World, whose: str) -> None:
    caller = await world.organisation(leads=2)
    owner = await world.organisation() if whose == "another organisation's" else caller
    theirs = await world.destination(owner.org_id, "sftp")
    body = LEADS | {"destinations": [{"type": "email", "to": ["a@b.example"]}, {"type": "s3", "id": theirs}]}
    status, field = {"another type's": (422, "destinations.1.type"), "another organisation's": (404, "destinations.1.id")}[whose]
    over_http, over_kafka = await refused_both_ways(world, caller, body)
    assert (over_http.status_code, fields_of(over_http)) == (status, [field]), over_http.text
    assert over_kafka == told(caller, over_http)
    assert await world.admin.fetchval(STORED) == 0
