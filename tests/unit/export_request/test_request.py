"""What a body may ask for: every wrong field named at once, and how ranges and columns resolve."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.export_request.core.request.identity import asks_for_document, body_sha256
from services.export_request.core.request.reading import Organisation
from services.export_request.core.request.resolving import resolve
from shared.datasets.plan import Branding, CustomProperty
from shared.errors import ApiError

ACME = Organisation("org_1", "Acme", "Europe/Brussels", (CustomProperty(name="budget", type="number"),), 30)
LEADS: dict[str, Any] = {"dataset": "leads", "format": "csv"}
MESSAGES: dict[str, Any] = {"dataset": "messages", "format": "csv", "from": "2026-03-01", "to": "2026-04-01"}


def refused(body: Any) -> tuple[int, list[str]]:
    with pytest.raises(ApiError) as error:
        resolve(body, ACME)
    assert error.value.message
    return error.value.status, [d.field for d in error.value.details]


def test_defaults_come_from_dataset_and_organisation() -> None:
    resolved = resolve({"dataset": "conversations"}, ACME)
    spec = resolved.spec
    assert (spec.formats, spec.timezone, spec.compression, spec.organisation_name) == (["json"], "Europe/Brussels", "none", "Acme")
    assert (resolved.expires_in, resolved.labels) == (timedelta(days=30), {})
    assert (spec.from_, spec.to, spec.filter, spec.max_rows_per_file, spec.spreadsheet_safe) == (None, None, {}, None, True)


def test_custom_properties_are_columns_in_order() -> None:
    assert resolve(LEADS, ACME).spec.columns["csv"][-1] == "custom_budget"
    assert resolve(LEADS | {"columns": ["custom_budget", "id"]}, ACME).spec.columns == {"csv": ["custom_budget", "id"]}


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"dataset": None}, ["dataset"]), ({"dataset": "nothing"}, ["dataset"]), ({"dataset": 7}, ["dataset"]),
        ({"format": "docx"}, ["format"]), ({"format": None}, ["format"]), ({"format": ["csv"]}, ["format"]),
        ({"formats": ["csv"]}, ["formats"]),
        ({"columns": ["id", "idd", "id"]}, ["columns.1", "columns.2"]), ({"columns": []}, ["columns"]), ({"columns": "id"}, ["columns"]),
        ({"columns": [1, None]}, ["columns.0", "columns.1"]), ({"columns": None}, ["columns"]), ({"columns": ["id"] * 2000}, ["columns"]),
        ({"timezone": "Mars/Olympus"}, ["timezone"]), ({"timezone": None}, ["timezone"]), ({"timezone": "../../etc/passwd"}, ["timezone"]),
        ({"timezone": "europe/brussels"}, ["timezone"]), ({"timezone": ""}, ["timezone"]), ({"timezone": "localtime"}, ["timezone"]),
        ({"from": "yesterday"}, ["from"]), ({"from": 20260301}, ["from"]), ({"to": "2026-02-30"}, ["to"]), ({"to": None}, ["to"]),
        ({"from": "2026-03-01T25:00:00"}, ["from"]), ({"from": "2026-W10-1"}, ["from"]),
        ({"filter": []}, ["filter"]), ({"filter": {"colour": "red"}}, ["filter.colour"]), ({"filter": None}, ["filter"]),
        ({"filter": {"status": ["'; DROP TABLE leads"]}}, ["filter.status.0"]),
        ({"compression": "brotli"}, ["compression"]), ({"compression": None}, ["compression"]), ({"compression": ["gzip"]}, ["compression"]),
        ({"spreadsheet_safe": "yes"}, ["spreadsheet_safe"]), ({"spreadsheet_safe": None}, ["spreadsheet_safe"]),
        ({"max_rows_per_file": 0}, ["max_rows_per_file"]), ({"max_rows_per_file": True}, ["max_rows_per_file"]),
        ({"max_rows_per_file": 1.5}, ["max_rows_per_file"]), ({"max_rows_per_file": "10"}, ["max_rows_per_file"]),
        ({"expires_in_seconds": 0}, ["expires_in_seconds"]), ({"expires_in_seconds": 31 * 86_400}, ["expires_in_seconds"]),
        ({"labels": []}, ["labels"]), ({"labels": {"team": "a\r\nSet-Cookie: x"}}, ["labels.team"]), ({"labels": {"": "x"}}, ["labels."]),
        ({"labels": {"a\nb": "x"}}, ["labels.a\nb"]), ({"labels": {"n": 1}}, ["labels.n"]), ({"labels": {"n": "x" * 256}}, ["labels.n"]),
        ({"labels": {str(n): "x" for n in range(21)}}, ["labels"]),
        ({"surprise": 1, "org_id": "x"}, ["surprise", "org_id"]),
        ({"colums": ["id"], "timezone": "Mars", "max_rows_per_file": 0}, ["colums", "timezone", "max_rows_per_file"]),
    ],
)  # fmt: skip
def test_a_field_that_is_wrong_by_itself_is_a_400(change: dict[str, Any], fields: list[str]) -> None:
    assert refused(LEADS | change) == (400, fields)


@pytest.mark.parametrize("body", [None, [], "leads", 1, True])
def test_a_body_that_is_no_object_is_a_400(body: Any) -> None:
    assert refused(body) == (400, [""])


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (MESSAGES | {"to": "2026-02-01"}, ["to"]), (MESSAGES | {"to": "2026-03-01"}, ["to"]), (MESSAGES | {"to": "2030-03-01"}, ["to"]),
        ({"dataset": "messages", "format": "csv"}, ["from", "to"]), ({"dataset": "messages", "from": "2026-03-01"}, ["to"]),
        (LEADS | {"format": "txt"}, ["format"]), ({"dataset": "leads", "formats": ["csv", "txt"]}, ["formats.1"]),
        ({"dataset": "leads", "format": "json", "spreadsheet_safe": True}, ["spreadsheet_safe"]),
        ({"dataset": "conversations", "format": "txt", "columns": ["conversation_id"]}, ["columns"]),
    ],
)  # fmt: skip
def test_fields_that_do_not_fit_together_are_a_422(body: dict[str, Any], fields: list[str]) -> None:
    assert refused(body) == (422, fields)


def test_what_is_wrong_by_itself_comes_before_what_does_not_fit() -> None:
    assert refused(MESSAGES | {"to": "2026-02-01", "columns": ["nothing"]}) == (400, ["columns.0"])


def test_a_range_may_have_1100_days_whatever_the_clock_does() -> None:
    assert resolve(MESSAGES | {"from": "2023-07-01", "to": "2026-07-05"}, ACME).spec.to
    assert resolve(MESSAGES | {"from": "2023-03-20", "to": "2026-03-24"}, ACME).spec.to
    assert refused(MESSAGES | {"from": "2023-07-01", "to": "2026-07-06"}) == (422, ["to"])
    assert resolve(LEADS | {"from": "2000-01-01"}, ACME).spec.to is None


@pytest.mark.parametrize(
    ("text", "timezone", "instant"),
    [
        ("2026-03-01", "UTC", "2026-03-01T00:00:00"),
        ("2026-03-01", "Europe/Brussels", "2026-02-28T23:00:00"),
        ("2026-07-01", "Europe/Brussels", "2026-06-30T22:00:00"),
        ("2026-03-01T10:00:00", "America/New_York", "2026-03-01T15:00:00"),
        ("2026-03-01T10:00:00Z", "America/New_York", "2026-03-01T10:00:00"),
        ("2026-03-01T10:00:00+05:30", "America/New_York", "2026-03-01T04:30:00"),
        ("2026-03-29T02:30:00", "Europe/Brussels", "2026-03-29T01:00:00"),  # skipped: the first instant after
        ("2026-10-25T02:30:00", "Europe/Brussels", "2026-10-25T00:30:00"),  # twice: the first
        ("2018-11-04", "America/Sao_Paulo", "2018-11-04T03:00:00"),  # midnight itself is skipped
        ("2011-12-30", "Pacific/Apia", "2011-12-30T10:00:00"),  # the whole day is skipped
        ("2026-04-05T01:45:00", "Australia/Lord_Howe", "2026-04-04T14:45:00"),
    ],
)
def test_local_times_are_resolved_in_the_exports_timezone(text: str, timezone: str, instant: str) -> None:
    spec = resolve(LEADS | {"from": text, "timezone": timezone}, ACME).spec
    assert spec.from_ == datetime.fromisoformat(instant).replace(tzinfo=UTC)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=10), children, max_size=4),
    max_leaves=12,
)
fields = st.sampled_from(
    ["dataset", "format", "formats", "from", "to", "filter", "columns", "timezone", "compression", "labels", "max_rows_per_file"]
)


@given(st.dictionaries(fields, json_values, max_size=6))
@settings(suppress_health_check=[HealthCheck.too_slow])  # of a machine that does much else
def test_no_body_ever_fails_in_another_way(changes: dict[str, Any]) -> None:
    try:
        resolve({"dataset": "leads", **changes}, ACME)
    except ApiError as error:
        assert error.status in (400, 422)
        assert error.details


def test_a_bodys_identity_is_its_meaning() -> None:
    base = body_sha256({"a": 1, "b": [1.0, "é"]}, b"key")
    assert base == body_sha256({"b": [1, "é"], "a": 1.0, "org_id": "x", "request_id": "y", "requested_by": "z"}, b"key")
    assert base != body_sha256({"a": 1, "b": ["é", 1]}, b"key")


def test_workbooks_are_split_where_a_sheet_is_full_and_never_compressed_twice() -> None:
    for asked, limit in ((None, 1_048_575), (10, 10), (2_000_000, 1_048_575)):
        more = {} if asked is None else {"max_rows_per_file": asked}
        assert resolve({"dataset": "leads", "formats": ["csv", "xlsx"], **more}, ACME).spec.max_rows_per_file == limit
    assert resolve({"dataset": "leads", "formats": ["csv", "xlsx"], "compression": "gzip"}, ACME).spec.compression == "gzip"
    assert refused({"dataset": "leads", "format": "xlsx", "compression": "gzip"}) == (422, ["compression"])
    assert refused({"dataset": "conversations", "format": "parquet"})[0] in (400, 422)


def test_a_report_is_one_file_and_keeps_the_branding() -> None:
    branded = Organisation("org_1", "Acme", "UTC", branding=Branding(colours={"primary": "#112233"}))
    report = MESSAGES | {"dataset": "analytics", "format": "pdf"}
    assert resolve(report, branded).spec.branding == branded.branding
    assert resolve(report | {"format": "csv"}, branded).spec.branding is None
    assert "branding" not in resolve(report, ACME).spec.model_dump_json(exclude_defaults=True)
    assert refused(report | {"compression": "gzip"}) == (422, ["compression"])
    assert refused(report | {"max_rows_per_file": 10}) == (422, ["max_rows_per_file"])
    assert refused(report | {"spreadsheet_safe": True}) == (422, ["spreadsheet_safe"])
    assert refused(report | {"password": "Abcd12345"}) == (422, ["password"])  # pragma: allowlist secret
    assert refused(LEADS | {"format": "pdf"}) == (422, ["format"])


def test_branding_is_read_where_a_report_is_asked_for() -> None:
    assert asks_for_document({"format": "pdf"})
    assert asks_for_document({"formats": ["csv", "pdf"]})
    for body in ({}, {"format": "csv"}, {"format": ["pdf"]}, {"formats": {"pdf": 1}}, {"formats": [["pdf"], None]}, [], None, "pdf"):
        assert not asks_for_document(body)


def test_a_plan_keeps_only_what_its_dataset_reads() -> None:
    """What an older release doesn't know isn't in a plan that it could work on."""
    hours = {"timezone": "UTC", "mon": [["09:00", "17:00"]]}
    told = Organisation("org_1", "Acme", "UTC", qualification_threshold=5, operating_hours=hours)
    kept = json.loads(resolve(MESSAGES, told).spec.model_dump_json(exclude_defaults=True))
    assert kept.keys() <= {"dataset", "formats", "columns", "from_", "to", "organisation_name"}
    protected = {"password": "Abcd1234", "purpose": "why"}  # pragma: allowlist secret
    chats = resolve(MESSAGES | {"dataset": "chat-data", "format": "json"} | protected, told).spec
    assert (chats.operating_hours, chats.qualification_threshold, chats.max_rows_per_file) == (hours, 70, 10_000)
    assert resolve(MESSAGES | {"dataset": "analytics"}, told).spec.qualification_threshold == 5
