"""POST /v1/records as the contract gives it."""

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.ingest.body import UNPACKED_BYTES_MAX
from shared.codec import decode
from shared.http import HEAR_BYTES
from shared.messages import AuditEntry
from tests.integration.ingest.room import Room, team
from tests.unit.ingest.samples import SAMPLES, sample

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
URL = "/v1/records"


def ndjson(*records: Any) -> bytes:
    return b"".join([(r if isinstance(r, bytes) else json.dumps(r).encode()) + b"\n" for r in records])


async def post(room: Room, body: Any, url: str = URL, org_id: str = "org_a", **headers: str) -> httpx.Response:
    async with room.client(org_id) as client:
        return await client.post(url, content=body, headers={k.replace("_", "-"): v for k, v in headers.items()})


async def test_the_examples_in_the_files_order(room: Room) -> None:
    cases = json.loads((EXAMPLES / "cases.json").read_text("utf-8"))
    answer = await post(room, (EXAMPLES / "records.ndjson").read_bytes(), content_type="application/x-ndjson")
    assert answer.status_code == 200
    assert answer.json() == {"accepted": cases["accepted"], "stale": cases["stale"], "refused": [], "refused_count": cases["refused"]}


async def test_all_fifteen_types_packed_or_not(room: Room) -> None:
    body = ndjson(*[sample(name) for name in SAMPLES])
    for packed, headers in (
        (body, {}), (gzip.compress(body), {"content_encoding": "gzip"}), (gzip.compress(body), {"content_type": "application/gzip"}),
    ):  # fmt: skip
        answer = await post(room, packed, **headers)
        assert answer.json() == {"accepted": 15, "stale": 0, "refused": [], "refused_count": 0}


async def test_bad_lines_come_back_and_good_ones_are_committed(room: Room) -> None:
    body = ndjson(
        team("t1", "one"), b"", b"{broken", team("t2"), team("t3", "x") | {"colour": 1}, b'{"type":"team","id":"t4","id":"t4","data":{"name":"n"}}',
        b'{"type":"team","id":"t5","data":{"name":"\\u0000"}}', b'{"type":"team","id":"t6","data":{"name":"\\ud800"}}', b"[" * 10_000,
        b"x" * (10 << 20), team("t7", "x", org_id="org_b"), team("t8", "eight", org_id="org_a"), b"\xff", team("t9", "last"),
    )[:-1]  # fmt: skip
    answer = (await post(room, body)).json()
    assert (answer["accepted"], answer["stale"], answer["refused_count"]) == (3, 0, 10)
    assert [(r["line"], r["code"], r["field"]) for r in answer["refused"]] == [
        (3, "invalid_json", ""), (4, "missing_field", "data"), (5, "unknown_field", "colour"), (6, "invalid_json", "id"),
        (7, "invalid_json", "data.name"), (8, "invalid_json", "data.name"), (9, "invalid_json", ""), (10, "too_large", ""),
        (11, "wrong_organisation", "org_id"), (13, "invalid_json", ""),
    ]  # fmt: skip
    assert all(r["message"] for r in answer["refused"])
    assert await room.current("teams", "name") == {"t1": "one", "t8": "eight", "t9": "last"}


async def test_the_first_hundred_refused_lines_are_shown_and_all_are_counted(room: Room) -> None:
    answer = (await post(room, ndjson(*[b"x"] * 250, team("t", "n")))).json()
    assert (answer["accepted"], answer["refused_count"], len(answer["refused"])) == (1, 250, 100)
    assert answer["refused"][99]["line"] == 100


async def test_lines_end_in_lf_or_crlf_and_empty_bodies_are_fine(room: Room) -> None:
    body = ndjson(team("a", "a"), b"  ", team("b", "b")).replace(b"\n", b"\r\n")
    assert (await post(room, body)).json()["accepted"] == 2
    for empty in (b"", b"\n", b" \r\n\n"):
        assert (await post(room, empty)).json() == {"accepted": 0, "stale": 0, "refused": [], "refused_count": 0}


async def test_all_or_nothing(room: Room) -> None:
    records = [team(f"t{n}", "n", version=n) for n in range(12_000)]
    refused = await post(room, ndjson(*records, team("bad")), f"{URL}?atomic=true")
    error = refused.json()["error"]
    assert (refused.status_code, error["code"]) == (422, "unprocessable")
    assert error["details"] == [{"field": "lines.12001.data", "message": "missing_field: is required"}]
    assert await room.current("teams", "name") == {}
    again = ndjson(*records, team("t5", "changed"), team("t6", op="delete"), team("t6", "back"))
    assert (await post(room, again, f"{URL}?atomic=true")).json()["accepted"] == 12_003
    assert await room.admin.fetchval("SELECT count(DISTINCT added) FROM ingest.teams") == 1
    assert await room.admin.fetchval("SELECT count(*) FROM ingest.teams") == 12_000
    assert (await room.current("teams", "name"))["t5"] == "changed"


async def test_memory_stays_flat_because_batches_are_committed_as_they_stream(room: Room) -> None:
    seen: list[int] = []

    async def body() -> AsyncIterator[bytes]:
        for n in range(8):
            yield ndjson(*[team(f"t{n}_{i}", "n") for i in range(3000)])
            seen.append(await room.admin.fetchval("SELECT count(*) FROM ingest.teams"))

    assert (await post(room, body())).json()["accepted"] == 24_000
    assert seen[0] == 0 < seen[-1] < 24_000


@pytest.mark.parametrize("atomic", ["true", "false"])
async def test_a_gzip_bomb_dies_early(room: Room, atomic: str) -> None:
    bomb = gzip.compress(b" " * (1 << 20) + b"\n", 9) * 1000
    began = time.monotonic()
    answer = await post(room, bomb, f"{URL}?atomic={atomic}", content_encoding="gzip")
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")
    assert time.monotonic() - began < 10


async def test_a_body_above_the_limit_is_refused_at_once(room: Room) -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1 << 20
            yield b"\n" * (1 << 20)

    assert (await post(room, endless())).status_code == 413
    assert read <= UNPACKED_BYTES_MAX + HEAR_BYTES + (4 << 20)
    declared = await post(room, b"", content_length=str(UNPACKED_BYTES_MAX + 1))
    assert declared.status_code == 413


@pytest.mark.parametrize("packed", [b"no gzip at all", gzip.compress(b"{}\n" * 1000)[:-9]], ids=["other", "short"])
async def test_broken_gzip_is_a_400(room: Room, packed: bytes) -> None:
    answer = await post(room, packed, content_encoding="gzip")
    assert (answer.status_code, answer.json()["error"]["details"][0]["field"]) == (400, "body")


@pytest.mark.parametrize(
    ("url", "headers", "status", "field"),
    [
        (f"{URL}?atomic=yes", {}, 400, "atomic"), (f"{URL}?colour=1", {}, 400, "colour"), (f"{URL}?atomic=true&atomic=true", {}, 400, "atomic"),
        (URL, {"content_type": "text/csv"}, 415, None), (URL, {"content_encoding": "br"}, 415, None),
        (URL, {"authorization": ""}, 401, None), (URL, {"authorization": "Bearer sk_live_0000000000000000_" + "0" * 40}, 401, None),
    ],
)  # fmt: skip
async def test_wrong_requests(room: Room, url: str, headers: dict[str, str], status: int, field: str | None) -> None:
    answer = await post(room, ndjson(team("t", "n")), url, **headers)
    assert answer.status_code == status
    assert field is None or answer.json()["error"]["details"][0]["field"] == field
    assert await room.current("teams", "name") == {}


async def test_the_scope_is_named(room: Room) -> None:
    await room.admin.execute("UPDATE tenancy.api_keys SET scopes = '{exports:read}'")
    answer = await post(room, b"")
    assert answer.status_code == 403
    assert "records:write" in answer.json()["error"]["message"]


async def test_another_organisations_ids_are_its_own(room: Room) -> None:
    await post(room, ndjson(team("t", "a's", version=9)))
    assert (await post(room, ndjson(team("t", "b's", version=1)), org_id="org_b")).json()["accepted"] == 1
    assert await room.current("teams", "name") == {"t": "a's"}


async def test_writers_side_by_side_lose_nothing(room: Room) -> None:
    bodies = [ndjson(*[team(f"t{i}", f"{n}", version=n) for i in range(300)]) for n in range(6)]
    answers = [a.json() for a in await asyncio.gather(*[post(room, body) for body in bodies])]
    assert sum(a["accepted"] + a["stale"] for a in answers) == 1800
    assert set((await room.current("teams", "name")).values()) == {"5"}


async def test_what_a_key_writes_is_noted_with_it(room: Room) -> None:
    await post(room, ndjson(team("n1", "one"), team("n2", "two"), b"bad"))
    await post(room, ndjson(team("n3", "three")), f"{URL}?atomic=true")
    await post(room, ndjson(team("n4", "four"), b"bad"), f"{URL}?atomic=true")
    rows = await room.admin.fetch("SELECT value FROM ingest.outbox WHERE topic = 'audit-entries' ORDER BY seq")
    entries = [decode(row["value"]) for row in rows]
    said = [(e.org_id, e.actor, e.action, json.loads(e.details)) for e in entries if isinstance(e, AuditEntry)]
    actor = f"key:{room.keys['org_a'].split('_')[2]}"
    assert said == [("org_a", actor, "records.written", {"accepted": count, "stale": 0}) for count in (2, 1)]
