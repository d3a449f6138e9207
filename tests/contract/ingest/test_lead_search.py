"""Search as the seed gives it: over names, e-mails, companies and custom fields; ranked, by beginnings, one typing error forgiven; one organisation's."""

from typing import Any

import pytest

from services.ingest import leads
from tests.contract.ingest.test_leads_api import SEED_ID, call, error, seed
from tests.integration.ingest.room import Room

LEADS: list[dict[str, Any]] = [
    {
        "email": "james.rodriguez@techstart.example",
        "name": "James Rodríguez",
        "company": "TechStart",
        "customFields": {"industry": "FinTech", "seats": 25},
    },
    {"email": "acme@elsewhere.example", "name": "Zoë Acmeson", "company": "Other", "status": "lost"},
    {"email": "d.mueller@x.example", "name": "Дмитрий Müller", "company": "Straße & Söhne"},
    {"email": "o@x.example", "name": "Sean O'Neill", "company": "100% Cotton", "customFields": {"note": "saw the acmetron & 'quotes':*|!"}},
]


async def found(room: Room, q: str, org_id: str = "org_a", **more: str) -> list[tuple[str, str]]:
    """(e-mail's first part, matchField) of each hit."""
    async with room.client(org_id) as client:
        answer = await client.get("/v1/leads/search", params={"q": q, **more})
    assert answer.status_code == 200, answer.text
    assert answer.json()["pagination"]["total"] == len(answer.json()["data"])
    return [(hit["email"].partition("@")[0], hit["matchField"]) for hit in answer.json()["data"]]


@pytest.fixture
async def filled(room: Room) -> Room:
    await seed(room)
    for lead in LEADS:
        assert (await call(room, "POST", "/v1/leads", lead)).status_code == 201
    return room


async def test_the_seeds_search(filled: Room) -> None:
    answer = await call(filled, "GET", "/v1/leads/search?q=acme&status=qualified")
    assert answer.json() == {
        "data": [{
            "id": SEED_ID, "email": "sarah.chen@acmecorp.com", "name": "Sarah Chen", "company": "Acme Corp", "status": "qualified", "score": 87,
            "matchField": "company", "lastActiveAt": "2026-04-05T11:42:00.000Z",
        }],
        "pagination": {"page": 1, "limit": 25, "total": 1, "totalPages": 1, "hasMore": False},
    }  # fmt: skip


async def test_whole_words_come_first_and_the_field_is_told(filled: Room) -> None:
    hits = await found(filled, "acme")
    assert {hits[0], hits[1]} == {("sarah.chen", "company"), ("acme", "email")}
    assert hits[2:] == [("o", "customFields.note")]
    assert await found(filled, "FINTECH") == [("james.rodriguez", "customFields.industry")]
    assert await found(filled, "25") == [("james.rodriguez", "customFields.seats")]


@pytest.mark.parametrize(
    "q",
    [
        "sarah.chen@acmecorp.com",
        "chen sarah",
        "sar ch",
        "Sarah Chen Acme Corp",
        "  SARAH  ",
        "sarha",
        "sara",
        "sarrah",
        "srah",
        "saruh chen",
        "acmecrop",
    ],
)
async def test_beginnings_several_words_and_typing_errors(filled: Room, q: str) -> None:
    assert ("sarah.chen" in {email for email, _ in await found(filled, q)}) is True


async def test_an_address_is_looked_for_as_it_is_and_else_by_beginnings(filled: Room) -> None:
    longer = {"email": "acme@elsewhere.examples", "name": "Another"}
    assert (await call(filled, "POST", "/v1/leads", longer)).status_code == 201
    assert await found(filled, "Acme@elsewhere.example") == [("acme", "email")]
    assert len(await found(filled, "acme@elsewhere.exam")) == 2
    assert len(await found(filled, "acme elsewhere example")) == 2


async def test_where_enough_leads_have_the_words_whole_nothing_else_is_looked_for(filled: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(await found(filled, "acme")) == 3
    monkeypatch.setattr(leads, "FOUND_ENOUGH", 2)
    assert sorted(await found(filled, "acme")) == [("acme", "email"), ("sarah.chen", "company")]


async def test_errors_are_looked_for_in_words_that_nobody_has_and_then_in_all(filled: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("Sarah Chenn", "Sarah Chenne", "Sarah Chen"):
        await call(filled, "POST", "/v1/leads", {"email": f"{name.replace(' ', '.')}@y.example", "name": name})
    everybody = await found(filled, "sarah chemn")
    assert {email for email, _ in everybody} == {"sarah.chen", "Sarah.Chenn", "Sarah.Chen"}
    monkeypatch.setattr(leads, "FOUND_LITTLE", 2)
    assert await found(filled, "sarah chemn") == everybody
    monkeypatch.setattr(leads, "FOUND_LITTLE", 10)
    assert ("sarah.chen", "name") in await found(filled, "chen sarha")


async def test_accents_other_alphabets_and_signs(filled: Room) -> None:
    assert (
        await found(filled, "rodriguez")
        == await found(filled, "Rodríguez")
        == await found(filled, "rodrigez")
        == [("james.rodriguez", "name")]
    )
    assert await found(filled, "zoe") == [("acme", "name")]
    assert await found(filled, "дмитрий") == await found(filled, "дмитрии") == await found(filled, "дмирий") == [("d.mueller", "name")]
    assert await found(filled, "o'neill") == [("o", "name")]
    for q in ("--", "':*", "&|!", "\\\\", "''", "%%", "(("):
        assert await found(filled, q) in ([], [("o", "customFields.note")]), q


async def test_a_search_follows_what_is_written(filled: Room) -> None:
    await call(
        filled, "PATCH", f"/v1/leads/{SEED_ID}", {"name": "Sarah Quillfeather", "customFields": {"tier": "platinum"}, "status": "lost"}
    )
    assert await found(filled, "quillfeather") == [("sarah.chen", "name")]
    assert await found(filled, "platinum", status="lost") == [("sarah.chen", "customFields.tier")]
    assert await found(filled, "platinum", status="qualified") == []
    await filled.write(
        {"type": "lead", "id": SEED_ID, "version": 9, "data": {"email": "new@y.example", "created_at": "2026-04-01T00:00:00Z"}}
    )
    assert await found(filled, "quillfeather") == []
    assert await found(filled, "new@y") == [("new", "email")]
    await filled.write({"type": "lead", "id": SEED_ID, "op": "erase"})
    assert await found(filled, "new@y") == []


async def test_pages_and_bad_input(filled: Room) -> None:
    for n in range(30):
        await call(filled, "POST", "/v1/leads", {"email": f"p{n}@pages.example"})
    pages = [(await call(filled, "GET", f"/v1/leads/search?q=pages&limit=12&page={n}")).json() for n in (1, 2, 3, 4)]
    assert [len(page["data"]) for page in pages] == [12, 12, 6, 0]
    assert [page["pagination"]["hasMore"] for page in pages] == [True, True, False, False]
    assert {page["pagination"]["total"] for page in pages} == {30}
    assert len({hit["id"] for page in pages for hit in page["data"]}) == 30
    assert error(await call(filled, "GET", "/v1/leads/search")) == (400, "invalid_request", ["q"])
    assert error(await call(filled, "GET", "/v1/leads/search?q=a&limit=0&page=x&status=hot")) == (
        400,
        "invalid_request",
        ["q", "page", "limit", "status"],
    )
    assert error(await call(filled, "GET", "/v1/leads/search?q=ab&sortBy=score")) == (400, "invalid_request", ["sortBy"])


async def test_another_organisations_leads_are_not_found(filled: Room) -> None:
    await call(filled, "POST", "/v1/leads", {"email": "b@acmecorp.com", "name": "Foreign"}, org_id="org_b")
    assert await found(filled, "foreign") == []
    assert await found(filled, "acmecorp", "org_b") == [("b", "email")]
    async with filled.pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT set_config('app.org_id', 'org_b', true)")
        mark = await filled.admin.fetchval("SELECT ingest.word_mark('org_a')")
        assert (
            await connection.fetch(f"SELECT * FROM ingest.find_leads('''{mark}acme'':*', '''%x''', 100)") == []
        )  # not even by its own mark
        assert await connection.fetch("SELECT ingest.known_words('{sarah}')") == []
        await connection.execute("SELECT set_config('app.org_id', '', true)")
        assert await connection.fetch(f"SELECT * FROM ingest.find_leads('''{mark}acme'':*', '''%x''', 100)") == []
