"""The Leads API's rules without a database: what is refused, what a body makes of a row, what a page says."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.core.lead_lists import Filter, Page, pagination, wanted
from services.ingest.core.leads import COLUMNS, changed_lead, email_problem, lead_changes, lead_view, new_lead, phone_problem, to_json
from services.ingest.paths import id_in
from shared.errors import ApiError

NOW = datetime(2026, 4, 5, 15, 8, 42, tzinfo=UTC)


def refused(call: Any, *arguments: Any) -> tuple[int, list[str]]:
    with pytest.raises(ApiError) as caught:
        call(*arguments)
    return caught.value.status, [d.field for d in caught.value.details]


@pytest.mark.parametrize(
    "email", ["a@b.example", "sarah.chen@acmecorp.com", "o'neill+x@sub.host.example", "zoë@straße.example", f"{'x' * 64}@b.example"]
)
def test_addresses(email: str) -> None:
    assert email_problem(email) is None


@pytest.mark.parametrize("email", [
    "", "a", "@b.example", "a@", "a@b", "a b@c.example", "a@b..example", ".a@b.example", "a.@b.example", "a@-b.example", "a@b.example ", "a@b@c.example",
    "a\u0000@b.example", "a\u202e@b.example", "<a@b.example>", f"{'x' * 65}@b.example", f"a@{'b.' * 130}example", 1, None, ["a@b.example"],
])  # fmt: skip
def test_what_is_no_address(email: Any) -> None:
    assert email_problem(email)


@pytest.mark.parametrize("phone", ["+1-555-0142", "+15550142", "+32 475 12 34 56", "+1 (555) 014-2222", "+49.30.1234567"])
def test_phones(phone: str) -> None:
    assert phone_problem(phone) is None


@pytest.mark.parametrize(
    "phone",
    ["", "555-0142", "+0-555-0142", "+1", "+1-555-0142-555-0142-99", "+1--- 555", "+1-555-O142", "1+555", "+1-555-0142 ext 3", 15550142],
)
def test_what_is_no_phone(phone: Any) -> None:
    assert phone_problem(phone)


def test_everything_that_is_wrong_is_named_at_once() -> None:
    body = {
        "email": "x", "name": "a\nb", "company": 1, "title": "t" * 1001, "phone": "555", "status": "hot", "source": ["api"], "tags": ["a", 1, "b\x00"],
        "customFields": {"a": {}, "": 1, "b": []}, "assignedTo": "x" * 129, "colour": 1, "score": 5,
    }  # fmt: skip
    assert refused(new_lead, body, NOW) == (400, [
        "colour", "score", "email", "name", "company", "title", "phone", "status", "source", "tags.1", "tags.2", "customFields.a", "customFields.",
        "customFields.b", "assignedTo",
    ])  # fmt: skip
    assert refused(new_lead, {"email": None, "colour": None}, NOW) == (400, ["colour", "email"])
    assert refused(new_lead, [], NOW) == refused(lead_changes, "x") == refused(lead_changes, {}) == (400, [""])
    assert refused(lead_changes, {"email": None, "status": None, "source": None, "name": None}) == (400, ["email", "status", "source"])


def test_a_new_lead_has_the_contracts_defaults() -> None:
    row = dict(zip(COLUMNS, new_lead({"email": "a@b.example", "name": None, "status": None}, NOW), strict=True))
    assert (row["status"], row["source"], row["tags"], row["custom_properties"]) == ("new", "api", [], "{}")
    assert {row[name] for name in ("first_seen_at", "last_activity_at", "created_at", "updated_at")} == {NOW}


scalars = (
    st.none()
    | st.booleans()
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)
    | st.integers(-(2**53), 2**53)
    | st.floats(-(2.0**53), 2.0**53)
)


@given(st.dictionaries(st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=8), scalars, max_size=6))
def test_custom_fields_are_shown_as_they_are_stored_to_the_byte(fields: dict[str, Any]) -> None:
    row = dict(zip(COLUMNS, new_lead({"email": "a@b.example", "customFields": fields}, NOW), strict=True))
    shown = to_json(lead_view(row | {"id": "lead_1", "score": 0}))
    assert f'"customFields":{row["custom_properties"]},' in shown
    assert _as_doubles(orjson.loads(row["custom_properties"])) == _as_doubles(fields)


def _as_doubles(fields: dict[str, Any]) -> dict[str, Any]:
    return {k: float(v) if type(v) is int else v for k, v in fields.items()}


@given(st.fixed_dictionaries({}, optional={
    "email": st.just("new@b.example"), "name": st.none() | st.just("N"), "tags": st.none() | st.lists(st.text("ab", max_size=3), max_size=3),
    "customFields": st.none() | st.just({"b": 1, "a": 2}), "status": st.just("lost"), "assignedTo": st.none() | st.just("user_1"),
}))  # fmt: skip
def test_a_change_touches_what_it_names_and_the_two_times(body: dict[str, Any]) -> None:
    if not body:
        return
    held = dict(zip(COLUMNS, new_lead({"email": "a@b.example", "name": "Old", "tags": ["x"], "customFields": {"z": 1}}, NOW), strict=True))
    later = datetime(2026, 4, 6, tzinfo=UTC)
    after = dict(zip(COLUMNS, changed_lead(held, lead_changes(body), later), strict=True))
    names = {"customFields": "custom_properties", "assignedTo": "assigned_to"}
    touched = {names.get(name, name) for name in body} | {"updated_at", "last_activity_at"}
    assert {c for c in COLUMNS if after[c] != held[c]} <= touched
    assert (after["updated_at"], after["last_activity_at"], after["created_at"]) == (later, later, NOW)
    if body.get("customFields"):
        assert after["custom_properties"] == '{"a":2,"b":1}'


def test_a_list_names_every_parameter_that_is_wrong() -> None:
    wrong = {
        "page": "0", "limit": "101", "status": "hot", "source": "fax", "sortBy": "name", "sortOrder": "up", "createdAfter": "2026-04-01T00:00:00",
        "createdBefore": "yesterday",
    }  # fmt: skip
    assert refused(wanted, wrong) == (400, ["page", "limit", "status", "source", "sortBy", "sortOrder", "createdAfter", "createdBefore"])
    for name, text in (
        ("limit", "0"),
        ("limit", ""),
        ("limit", "2.5"),
        ("limit", "-1"),
        ("limit", "٣"),
        ("page", "99999999999"),
        ("createdAfter", "2026-02-30"),
    ):
        assert refused(wanted, {name: text}) == (400, [name])
    assert refused(wanted, {"createdAfter": "2026-04-02", "createdBefore": "2026-04-01T23:00:00Z"}) == (422, ["createdBefore"])


def test_a_lists_defaults_and_times() -> None:
    assert wanted({}).page == Page(1, 25)
    assert (wanted({}).filter.is_all, wanted({}).sort, wanted({}).descending) == (True, "createdAt", True)
    asked = wanted({"createdAfter": "2026-04-01", "createdBefore": "2026-04-02T01:00:00+02:00", "status": "new", "sortOrder": "asc"})
    assert asked.filter == Filter("new", None, datetime(2026, 4, 1, tzinfo=UTC), datetime(2026, 4, 1, 23, tzinfo=UTC))
    assert not asked.descending


@given(st.integers(1, 50), st.integers(1, 100), st.integers(0, 3000))
def test_pages_add_up(number: int, limit: int, rows: int) -> None:
    page = Page(number, limit)
    shown = max(0, min(limit, rows - page.offset))
    said = pagination(page, shown, rows > page.offset + limit, rows)
    assert said == {"page": number, "limit": limit, "total": rows, "totalPages": -(-rows // limit), "hasMore": number * limit < rows}
    stale = pagination(page, shown, rows > page.offset + limit, 0)
    assert stale["total"] >= page.offset + shown if shown else stale["total"] == 0


def test_ids_in_paths_are_decoded_once() -> None:
    assert id_in("a%2Fb%25") == "a/b%"
    assert id_in("%FF") == id_in("%00") == id_in("x" * 129) == ""
