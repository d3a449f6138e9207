"""Access, links, commands, sweeping."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.delivery.core import links
from services.delivery.core.access import Access, Standing, decide
from services.delivery.core.commands import HANDLER_BYTES_MAX, check, fits_handler
from services.delivery.core.sweeping import due, export_of, ownerless
from shared.errors import PermanentError
from shared.messages import AssembleFile, AssemblyPart
from shared.storage.names import content_disposition

NOW = datetime(2026, 3, 1, tzinfo=UTC)
GOOD = Standing("completed", deleted=False, expires_at=NOW + timedelta(days=1), published=True, discarded=False)


@pytest.mark.parametrize(
    ("standing", "expected"),
    [
        (GOOD, Access.SERVED),
        (None, Access.MISSING),
        (replace(GOOD, deleted=True), Access.MISSING),
        (replace(GOOD, deleted=True, status="expired"), Access.MISSING),
        (replace(GOOD, status="expired", discarded=True), Access.EXPIRED),
        (replace(GOOD, expires_at=NOW), Access.EXPIRED),
        (replace(GOOD, status="publishing"), Access.MISSING),
        (replace(GOOD, status="cancelled"), Access.MISSING),
        (replace(GOOD, published=False), Access.MISSING),
        (replace(GOOD, discarded=True), Access.MISSING),
    ],
)
def test_only_completed_exports_are_served_until_they_expire(standing: Standing | None, expected: Access) -> None:
    assert decide(standing, NOW) is expected


CLAIM = links.Claim("org_1", "exp_1", "ä b.csv", 1_800_000_000)


def test_a_link_comes_back_as_it_was_signed() -> None:
    assert links.verify("k" * 32, links.sign("k" * 32, CLAIM)) == CLAIM


@given(st.text(max_size=300))
def test_no_other_text_is_a_link(token: str) -> None:
    with pytest.raises(links.BadLink):
        links.verify("k" * 32, token)


@given(st.integers(0, 10_000), st.sampled_from("ABCabc019-_"))
def test_a_changed_link_is_refused(place: int, character: str) -> None:
    token = links.sign("k" * 32, CLAIM)
    place %= len(token) - 1  # the last character has bits that no byte holds
    changed = token[:place] + character + token[place + 1 :]
    if changed != token:
        with pytest.raises(links.BadLink):
            links.verify("k" * 32, changed)
    with pytest.raises(links.BadLink):
        links.verify("j" * 32, token)


COMMAND = AssembleFile(
    "exp_1", "org_1", "csv", 1, "a.csv", "text/csv", "files/org_1/exp_1/a.csv", b"h", b"", b"", b"h",
    [AssemblyPart(1, "parts/exp_1/00000001.csv", 1, 5, "aa")], last=True, express=True, files_total=1, manifest_key="files/org_1/exp_1/m.json",
    manifest="{}", expires_at="2026-04-15T09:22:41Z",
)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": ""}, "name"),
        ({"key": "a\x00b"}, "key"),
        ({"file_number": 0}, "file_number"),
        ({"file_number": 2**31}, "file_number"),
        ({"parts": [AssemblyPart(0, "k", 1, 1, "")]}, "parts.0"),
        ({"parts": [AssemblyPart(1, "k", 1, 1, ""), AssemblyPart(2, "k\x00", 1, 1, "")]}, "parts.1"),
        ({"files_total": 0}, "files_total"),
        ({"manifest_key": ""}, "manifest_key"),
        ({"expires_at": "soon"}, "expires_at"),
        ({"expires_at": "2026-04-15T09:22:41"}, "expires_at"),
    ],
)
def test_a_wrong_command_is_refused_by_field(changes: dict[str, object], field: str) -> None:
    with pytest.raises(PermanentError) as caught:
        check(replace(COMMAND, **changes))  # type: ignore[arg-type]
    assert (caught.value.code, caught.value.field) == ("invalid_command", field)


def test_the_handler_takes_only_small_express_files_that_come_whole() -> None:
    check(COMMAND)
    assert fits_handler(COMMAND)
    assert not fits_handler(replace(COMMAND, express=False))
    assert not fits_handler(replace(COMMAND, last=False))
    assert not fits_handler(replace(COMMAND, parts=[]))
    assert not fits_handler(replace(COMMAND, parts=[replace(COMMAND.parts[0], number=2)]))
    assert not fits_handler(replace(COMMAND, parts=[replace(COMMAND.parts[0], bytes=HANDLER_BYTES_MAX + 1)]))


def test_parts_of_ended_and_unknown_exports_go_on_the_second_round() -> None:
    assert [export_of(k) for k in ("parts/exp_1/1.csv", "files/o/exp_1/a", "parts/x")] == ["exp_1", None, None]
    statuses = {"a": "formatting", "b": "completed", "c": "cancelled"}
    first = ownerless(["a", "b", "c", "d"], statuses)
    assert first == {"b", "c", "d"}
    assert due(first, frozenset()) == []
    assert due(first, frozenset({"a", "b", "d"})) == ["b", "d"]


@given(st.text(min_size=1, max_size=40))
def test_no_name_breaks_out_of_the_header(name: str) -> None:
    header = content_disposition(name)
    assert header.isascii()
    assert header.isprintable()
    assert header.count('"') == 2


def test_both_forms_of_a_name() -> None:
    assert content_disposition('à "1".csv') == "attachment; filename=\"_ _1_.csv\"; filename*=UTF-8''%C3%A0%20%221%22.csv"
