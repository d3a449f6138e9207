"""What a record may be, and how each wrong one is named."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.core import records
from services.ingest.core.instants import _RFC3339, instant
from services.ingest.core.records import decode
from services.ingest.core.rows import RECORD_TYPES
from shared.errors import PermanentError
from tests.unit.ingest.samples import AT, SAMPLES, as_bytes, sample


def refusal(record: Any) -> tuple[str, str]:
    """Code and field of the refusal of a record, or of raw bytes."""
    with pytest.raises(PermanentError) as refused:
        decode(record if isinstance(record, bytes) else as_bytes(record))
    assert refused.value.message
    return refused.value.code, refused.value.field


def test_there_is_a_sample_of_each_of_the_fifteen_types() -> None:
    assert len(RECORD_TYPES) == 15
    assert set(SAMPLES) == set(RECORD_TYPES)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_full_record_is_read_both_ways_alike(name: str) -> None:
    record = decode(as_bytes(sample(name)))
    assert record == records._carefully(as_bytes(sample(name)))
    assert record.row is not None
    assert len(record.row) == len(RECORD_TYPES[name].columns)
    assert None not in dict(zip(RECORD_TYPES[name].columns, record.row, strict=True)).values() or name == "event"


@pytest.mark.parametrize("name", SAMPLES)
def test_what_is_optional_may_be_left_out_or_null(name: str) -> None:
    full = sample(name)
    if name == "event":
        full["data"]["kind"] = "of_its_own"  # a kind whose data may be anything, nothing too
    needed = {k: v for k, v in full["data"].items() if refuses_without(full, k)}
    nulls = {k: None for k in full["data"]} | needed
    without = decode(as_bytes(full | {"data": needed}))
    assert decode(as_bytes(full | {"data": nulls})) == without
    for field in needed:
        assert refusal(full | {"data": full["data"] | {field: None}}) == ("missing_field", f"data.{field}")


def refuses_without(full: dict[str, Any], field: str) -> bool:
    try:
        decode(as_bytes(full | {"data": {k: v for k, v in full["data"].items() if k != field}}))
    except PermanentError as error:
        assert (error.code, error.field) == ("missing_field", f"data.{field}")
        return True
    return False


@pytest.mark.parametrize("name", SAMPLES)
def test_unknown_fields_are_named(name: str) -> None:
    full = sample(name)
    assert refusal(full | {"data": full["data"] | {"colour": 1}}) == ("unknown_field", "data.colour")
    assert refusal(full | {"colour": 1}) == ("unknown_field", "colour")


def test_defaults() -> None:
    lead = dict(zip(RECORD_TYPES["lead"].columns, decode(as_bytes(minimal_lead())).row or (), strict=True))
    assert (lead["status"], lead["source"], lead["tags"], lead["custom_properties"]) == ("new", "import", None, "null")
    agent = decode(b'{"type":"agent","id":"a","data":{"name":"n"}}').row
    assert agent is not None and agent[9] is False
    assert decode(b'{"type":"team","id":"t","op":null,"version":null,"data":{"name":"n"}}').op == "upsert"


def minimal_lead(**data: Any) -> dict[str, Any]:
    return {"type": "lead", "id": "l", "data": {"email": "e", "created_at": AT, **data}}


def changed(name: str, path: str, value: Any) -> dict[str, Any]:
    """A sample with one value replaced at a dotted path inside `data`."""
    record = sample(name)
    place = record["data"]
    *parents, last = path.split(".")
    for parent in parents:
        place = place[int(parent) if isinstance(place, list) else parent]
    place[int(last) if isinstance(place, list) else last] = value
    return record


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        ("message", "content", 5), ("message", "content", ["x"]), ("message", "sender", "agent"), ("message", "sender.kind", "human"),
        ("message", "sender.id", 7), ("message", "outbound_message_type", "reply"), ("message", "conversation_id", "c" * 129),
        ("message", "created_at", "2026-03-15"), ("message", "created_at", "2026-03-15T09:22:41"), ("message", "created_at", 1774000000),
        ("message", "created_at", "2026-02-30T09:22:41Z"), ("message", "deleted_at", "2026-03-15T25:00:00Z"),
        ("message", "updated_at", "2026-W12-7T09:22:41Z"), ("message", "updated_at", "0001-01-01T00:00:00+01:00"),
        ("message", "updated_at", "2026-03-15T09:22:60Z"), ("message", "updated_at", "٢٠٢٦-03-15T09:22:41Z"),
        ("contact", "profile", []), ("contact", "profile", "x"), ("contact", "attributes.0.type", "Free"), ("contact", "attributes.0.id", 5),
        ("contact", "attributes.0", 5), ("lead", "tags", "a"), ("lead", "tags.0", 1), ("lead", "status", "New"),
        ("lead", "custom_properties.plan", {}), ("lead", "custom_properties.plan", []), ("conversation", "csat.score", 0),
        ("conversation", "csat.score", 6), ("conversation", "csat.score", 4.5), ("conversation", "csat.score", "5"),
        ("conversation", "engagement_score", 100.1), ("conversation", "engagement_score", -1), ("conversation", "engagement_score", True),
        ("conversation", "qualification_triggered", "yes"), ("conversation", "metadata", 5), ("agent", "removed", 0), ("bot", "kind", "bot"),
        ("campaign", "type", "x"), ("presence", "type", "away"), ("presence", "to", "2020-01-01T00:00:00Z"), ("lock", "to", "2020-01-01T00:00:00Z"),
        ("event", "actor.kind", "nobody"), ("event", "data.tag_id", 5),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named_by_its_path(name: str, path: str, value: Any) -> None:
    assert refusal(changed(name, path, value)) == ("invalid_value", f"data.{path}")


@pytest.mark.parametrize(
    ("name", "path", "value", "code", "field"),
    [
        ("message", "sender.colour", 1, "unknown_field", "data.sender.colour"),
        ("contact", "attributes.0.colour", 1, "unknown_field", "data.attributes.0.colour"),
        ("contact", "attributes.0.name", None, "missing_field", "data.attributes.0.name"),
        ("conversation", "support_bot.id", None, "missing_field", "data.support_bot.id"),
        ("lead", "tags", ["t"] * 1001, "too_large", "data.tags"),
        ("contact", "profile.list", [1] * 1001, "too_large", "data.profile.list"),
        ("message", "content", "x" * (256 * 1024 + 1), "too_large", "data.content"),
        ("message", "content", "€" * (256 * 1024 // 3 + 1), "too_large", "data.content"),
        ("message", "content", "x" * (1 << 20), "too_large", ""),
        ("message", "content", "a\0b", "invalid_json", "data.content"),
        ("message", "content", "a\ud800b", "invalid_json", "data.content"),
        ("contact", "profile.n", 2**53 + 1, "invalid_json", "data.profile.n"),
        ("contact", "profile.n", -(2**53) - 1, "invalid_json", "data.profile.n"),
        ("contact", "profile.n", 1e20, "invalid_json", "data.profile.n"),
        ("event", "data", {"of": [-1e300]}, "invalid_json", "data.data.of.0"),
        ("contact", "profile.k\0", 1, "invalid_json", "data.profile"),
    ],
)
def test_limits(name: str, path: str, value: Any, code: str, field: str) -> None:
    assert refusal(changed(name, path, value)) == (code, field)


def test_limits_are_reached_but_not_passed() -> None:
    for name, path, value in (
        ("message", "content", "x" * 256 * 1024), ("lead", "tags", ["t"] * 1000), ("contact", "profile.n", 2**53),
        ("contact", "profile.deep", nested(29)), ("message", "content", "\u2028\x7f\u202e"), ("contact", "profile.n", 2.0**53),
    ):  # fmt: skip
        assert decode(as_bytes(changed(name, path, value))).row
    assert refusal(changed("contact", "profile.deep", nested(30)))[0] == "invalid_json"


def nested(levels: int) -> Any:
    return [nested(levels - 1)] if levels > 1 else []


@pytest.mark.parametrize(
    ("kind", "data", "code", "field"),
    [
        ("queued", {}, "missing_field", "data.data.started_by"),
        ("queued", {"started_by": "x"}, "invalid_value", "data.data.started_by"),
        ("queued", {"started_by": "INBOUND_MESSAGE", "handover_reason": "x"}, "invalid_value", "data.data.handover_reason"),
        ("status_changed", {"to": "open"}, "invalid_value", "data.data.to"),
        ("status_changed", {"to": "new", "trigger": "Robot"}, "invalid_value", "data.data.trigger"),
        ("status_changed", None, "missing_field", "data.data.to"),
        ("handover", {"reason": "x"}, "invalid_value", "data.data.reason"),
        ("topic_applied", {}, "missing_field", "data.data.topic_id"),
        ("topic_removed", {"topic_id": None}, "missing_field", "data.data.topic_id"),
        ("tag_removed", {"tag_id": "t", "message_id": 5}, "invalid_value", "data.data.message_id"),
        ("qualification_check", {"score": "9"}, "invalid_value", "data.data.score"),
    ],
)
def test_what_an_event_of_a_kind_must_hold(kind: str, data: Any, code: str, field: str) -> None:
    record = sample("event")
    record["data"] |= {"kind": kind, "data": data}
    assert refusal(record) == (code, field)


def test_events_columns_repeat_what_exports_look_for() -> None:
    for kind, data, columns in (
        ("tag_applied", {"tag_id": "t", "message_id": "m", "more": 1}, (None, "t", "m", None)), ("handover", {}, (None,) * 4),
        ("topic_removed", {"topic_id": "t"}, ("t", None, None, None)), ("status_changed", {"to": "new"}, (None, None, None, "new")),
        ("queued", {"started_by": "NEW_CONVERSATION", "message_id": "m"}, (None, None, "m", None)),
        ("of_their_own", {"tag_id": 5, "to": []}, (None,) * 4),
    ):  # fmt: skip
        record = sample("event")
        record["data"] |= {"kind": kind, "data": data}
        row = decode(as_bytes(record)).row
        assert row is not None and row[-4:] == columns


@pytest.mark.parametrize(
    ("envelope", "code", "field"),
    [
        ({"id": ""}, "invalid_value", "id"), ({"id": "x" * 129}, "invalid_value", "id"), ({"id": "a\nb"}, "invalid_value", "id"),
        ({"id": "a\x85"}, "invalid_value", "id"), ({"id": 5}, "invalid_value", "id"), ({"id": None}, "missing_field", "id"),
        ({"type": "person"}, "invalid_value", "type"), ({"type": None}, "missing_field", "type"), ({"type": ["lead"]}, "invalid_value", "type"),
        ({"op": "insert"}, "invalid_value", "op"), ({"op": "erase", "data": None}, "invalid_value", "op"),
        ({"op": "delete"}, "invalid_value", "data"), ({"op": "delete", "data": {}}, "invalid_value", "data"),
        ({"version": -1}, "invalid_value", "version"), ({"version": 2**53 + 1}, "invalid_json", "version"),
        ({"version": "1"}, "invalid_value", "version"), ({"version": 1.5}, "invalid_value", "version"), ({"version": True}, "invalid_value", "version"),
        ({"org_id": 5}, "invalid_value", "org_id"), ({"data": None}, "missing_field", "data"), ({"data": []}, "invalid_value", "data"),
    ],
)  # fmt: skip
def test_a_wrong_envelope(envelope: dict[str, Any], code: str, field: str) -> None:
    assert refusal(sample("team") | envelope) == (code, field)


def test_a_right_envelope() -> None:
    assert decode(as_bytes(sample("team") | {"id": "😀" * 128, "version": 2**53})).version == 2**53
    assert decode(b'{"type":"lead","id":"l","op":"erase","data":null}').row is None
    assert decode(b'{"type":"visit","id":"l","op":"delete","version":0}').version == 0


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (b"", ""), (b"nothing", ""), (b'{"type":"team"', ""), (b'{"type":"team"} x', ""), (b"\xff\xfe", ""), (b"[" * 10_000, ""),
        (b'{"type":"team","id":"t","data":{"name":NaN}}', ""), (b'{"type":"team","id":"t","data":{"name":"\xed\xa0\x80"}}', ""),
        (b'{"type":"team","id":"t","id":"t","data":{"name":"n"}}', "id"), (b'{"type":"team","id":"t","data":{"name":"n","name" :"n"}}', "data.name"),
        (b'{"type":"team","id":"t","data":{"name":"n","n\\u0061me":"m"}}', "data.name"),
        (b'{"type":"contact","id":"c","data":{"created_at":"2026-01-01T00:00:00Z","profile":{"a":{"b":1,"b":1}}}}', "data.profile.a.b"),
        (b'{"type":"contact","id":"c","data":{"created_at":"2026-01-01T00:00:00Z","profile":{"a":1e400}}}', "data.profile.a"),
        (b'{"type":"contact","id":"c","data":{"created_at":"2026-01-01T00:00:00Z","attributes":[{"id":"1","id":"1","name":"n"}]}}', "data.attributes.0.id"),
    ],
)  # fmt: skip
def test_what_is_not_strict_json(raw: bytes, field: str) -> None:
    assert refusal(raw) == ("invalid_json", field)


@pytest.mark.parametrize("raw", [b"5", b'"text"', b"[]", b"null", b"true"])
def test_what_is_json_but_no_object(raw: bytes) -> None:
    assert refusal(raw) == ("invalid_value", "")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-15T09:22:41.123999999Z", datetime(2026, 3, 15, 9, 22, 41, 123000, UTC)),
        ("2026-03-15T09:22:41.9999999+05:45", datetime(2026, 3, 15, 3, 37, 41, 999000, UTC)),
        ("2026-03-15t09:22:41z", datetime(2026, 3, 15, 9, 22, 41, 0, UTC)),
        ("2026-03-15T09:22:41.5-00:00", datetime(2026, 3, 15, 9, 22, 41, 500000, UTC)),
        ("2016-12-31T23:59:60.25Z", datetime(2017, 1, 1, 0, 0, 0, 250000, UTC)),
        ("2017-01-01T00:59:60+01:00", datetime(2017, 1, 1, tzinfo=UTC)),
        ("1900-01-01T00:00:00.0009Z", datetime(1900, 1, 1, tzinfo=UTC)),
    ],
)
def test_timestamps_are_cut_to_the_millisecond(text: str, expected: datetime) -> None:
    row = decode(as_bytes(changed("visit", "at", text))).row
    assert row is not None and row[1] == expected and row[1].tzinfo is UTC


texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-(2.0**53), 2.0**53) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(texts, values, max_size=5), texts, st.booleans(), st.sampled_from([(",", ":"), (", ", ": "), (" , ", " : ")]))
def test_the_fast_way_and_the_careful_way_agree(profile: dict[str, Any], name: str, ascii_only: bool, separators: tuple[str, str]) -> None:
    record = {"type": "contact", "id": "c", "data": {"created_at": AT, "name": name, "profile": profile}}
    raw = json.dumps(record, ensure_ascii=ascii_only, separators=separators).encode()
    assert decode(raw) == records._carefully(raw)


@pytest.mark.parametrize(
    "number",
    [
        "9007199254740992",
        "9007199254740992.0",
        "9007199254740993",
        "9007199254740993.0",
        "-9.007199254740993e15",
        "1E20",
        "-1e400",
        "0.5e3",
    ],
)
def test_a_number_is_taken_or_refused_alike_however_it_is_written(number: str) -> None:
    raw = f'{{"type":"contact","id":"c","data":{{"created_at":"{AT}","profile":{{"n":{number}}}}}}}'.encode()
    assert outcome(decode, raw) == outcome(records._carefully, raw)
    assert (outcome(decode, raw) == ("invalid_json", "data.profile.n")) is (abs(Decimal(number)) > 2**53)


@given(st.binary(max_size=6), st.integers(0, 200), st.sampled_from(sorted(SAMPLES)))
def test_broken_bytes_are_refused_or_read_alike(noise: bytes, place: int, name: str) -> None:
    raw = as_bytes(sample(name))
    raw = raw[: place % len(raw)] + noise + raw[place % len(raw) + len(noise) :]
    assert outcome(decode, raw) == outcome(records._carefully, raw)


def outcome(read: Any, raw: bytes) -> Any:
    try:
        return read(raw)
    except PermanentError as error:
        return error.code, error.field


@pytest.mark.parametrize("name", SAMPLES)
def test_fields_read_at_once_and_by_dict_are_the_same(name: str) -> None:
    raw = json.dumps(sample(name, version=3, org_id="o"), separators=(",", ":")).encode()
    assert records._into_columns(raw) == records._by_dict(raw) == records._carefully(raw)
    with_null = raw[:-1] + b',"op":null}'
    assert records._into_columns(with_null) is None
    assert records.decode(with_null) == records._carefully(raw)


@pytest.mark.parametrize(
    "twice", ['"id":"t","id":"t"', '"id":"t","version":null,"version":1', '"id":"t","version":1,"version":null', '"id":"t","op":null']
)
def test_a_key_that_is_null_or_twice_is_not_read_at_once(twice: str) -> None:
    raw = f'{{"type":"team",{twice},"data":{{"name":"n"}}}}'.encode()
    assert records._into_columns(raw) is None


@given(st.text("0123456789+-Z:.T W", max_size=4), st.integers(0, 23))
def test_the_usual_form_of_a_timestamp_is_no_wider_than_the_rule(text: str, at: int) -> None:
    usual = "2026-01-01T00:00:00.000Z"
    changed = (usual[:at] + text + usual[at + len(text) :])[:24]
    try:
        found = instant(changed)
    except ValueError:
        return
    assert _RFC3339(changed) and found.tzinfo is UTC and (found.microsecond % 1000 == 0 or found.year == 1)


@pytest.mark.parametrize(
    "zero", ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z", "0001-01-01T00:00:00.0009Z", "0001-01-01T05:00:00+05:00"]
)
def test_the_zero_time_of_other_languages_is_a_time_and_no_infinity(zero: str) -> None:
    assert instant(zero) == datetime(1, 1, 1, 0, 0, 0, 1, UTC)
    assert instant("0001-01-01T00:00:00.001Z") == datetime(1, 1, 1, 0, 0, 0, 1000, UTC)
