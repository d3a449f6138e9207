"""The chain of the audit trail, whatever an entry holds and whatever is done to one."""

import hashlib
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.export_request.core.auditing import chained, noted
from shared.audit_chain import ORIGIN, Checker, Head, linked
from shared.messages import AuditEntry

TEXT = st.text(max_size=20)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=6,
)  # fmt: skip
CONTENT = st.fixed_dictionaries({"org_id": st.just("org_1"), "actor": TEXT, "subject": TEXT, "details": JSON, "purpose": TEXT})


def chain(contents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    head, entries = Head(), []
    for content in contents:
        entries.append(linked(head, content))
        head = Head(entries[-1]["seq"], entries[-1]["hash"])
    return entries


def breaks(entries: list[Any], start: Head | None = Head()) -> list[tuple[str, int | None]]:  # noqa: B008
    checker = Checker(start)
    return [(each.code, each.seq) for entry in entries for each in checker.take(entry)]


@given(st.lists(CONTENT, max_size=5))
def test_a_chain_is_whole_also_once_it_has_been_written_and_read(contents: list[dict[str, Any]]) -> None:
    assert breaks([json.loads(json.dumps(entry)) for entry in chain(contents)]) == []


@given(st.lists(CONTENT, min_size=1, max_size=6), st.data())
def test_a_changed_entry_is_named(contents: list[dict[str, Any]], data: st.DataObject) -> None:
    entries = chain(contents)
    at = data.draw(st.integers(0, len(entries) - 1))
    name = data.draw(st.sampled_from(["actor", "subject", "purpose"]))
    entries[at] = entries[at] | {name: entries[at][name] + "!"}
    assert breaks(entries) == [("changed", at + 1)]


@given(st.lists(CONTENT, min_size=3, max_size=6), st.data())
def test_removed_moved_and_remade_entries_are_named(contents: list[dict[str, Any]], data: st.DataObject) -> None:
    entries = chain(contents)
    at = data.draw(st.integers(0, len(entries) - 2))
    assert breaks(entries[:at] + entries[at + 1 :]) == [("removed", at + 1)]
    swapped = [*entries[:at], entries[at + 1], entries[at], *entries[at + 2 :]]
    assert ("repeated", at + 1) in breaks(swapped)
    remade = linked(Head(at, entries[at]["prev_hash"]), contents[at] | {"actor": "somebody else"})
    assert breaks([*entries[:at], remade, *entries[at + 1 :]]) == [("relinked", at + 2)]


def test_entries_of_another_chain_and_garbage_are_named() -> None:
    entries = chain([{"org_id": "org_1", "n": 1}, {"org_id": "org_2", "n": 2}])
    assert breaks(entries) == [("moved", 2)]
    for garbage in (1, {}, {"seq": 0}, {"seq": True}, {"seq": 1, "prev_hash": ORIGIN, "hash": "X"}):
        assert breaks([garbage]) == [("malformed", None)]
    assert breaks([entries[0] | {"n": 2**53}]) == [("changed", 1)]


def test_a_chain_that_is_shown_from_the_middle_is_checked_from_there() -> None:
    entries = chain([{"org_id": "org_1", "n": n} for n in range(4)])
    assert breaks(entries[2:], None) == []
    assert breaks(entries[2:], Head(2, entries[1]["hash"])) == []
    assert breaks(entries[2:], Head(2, ORIGIN)) == [("relinked", 3)]
    assert breaks(entries[2:]) == [("removed", 1)]


def test_the_algorithm_is_what_the_page_says() -> None:
    """By hand, with nothing of ours: a change of it would make every chain of before look broken."""
    entry = AuditEntry(
        "2026-03-01T09:00:00.5+01:00", "key:k1", "org_1", "file.downloaded", "exp_1", '{"b": 1.0, "a": "é"}', "203.0.113.7", "why"
    )
    link = chained({}, [noted("m1", entry)])[0]
    text = (
        '{"action":"file.downloaded","actor":"key:k1","address":"203.0.113.7","at":"2026-03-01T08:00:00.500Z","details":{"a":"é","b":1},"org_id":"org_1",'
        f'"prev_hash":"{"0" * 64}","purpose":"why","seq":1,"subject":"exp_1"}}'
    )
    assert link.hash.hex() == hashlib.sha256(text.encode()).hexdigest()


@given(st.text(max_size=40), TEXT, st.text(max_size=2000))
def test_whatever_comes_is_kept(details: str, subject: str, purpose: str) -> None:
    kept = noted("m1", AuditEntry("2026-03-01T09:00:00Z", "a", None, "b", subject, details, "", purpose))
    assert "\x00" not in kept.subject + kept.purpose
    assert (kept.org_id, len(kept.purpose) <= 1_000) == ("@operator", True)
    assert isinstance(json.loads(kept.details), dict | list | int | float | str | bool | None)
