"""Texts as csv and JSON write them, against the standard library's readers and writers."""

import csv
import io
import json
import re
from typing import Any

import duckdb
import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.datasets import registry
from shared.datasets.plan import Column, ColumnType, PlanSpec
from shared.formats.base import Cell, concat
from shared.formats.csv import FORMAT as CSV
from shared.formats.csv import quoted as csv_quoted
from shared.formats.json import FORMAT as JSON
from shared.formats.json import quoted
from shared.formatting.quiet import quiet_columns
from tests.unit.formats.conftest import Encode

HOSTILE = st.text(
    st.one_of(
        st.sampled_from(list("'=+-@\t\r\n\"\\,;u001Ff＝＋－＠\x01\x0b\x1f\x7f\x85\u2028\u2029\ufeff😀")),
        st.characters(exclude_characters="\x00", codec="utf-8"),
    ),
    max_size=40,
)
PLAIN, GUARDED = (concat(csv_quoted("x", guarded)) for guarded in (False, True))
GUARD = re.compile(r"^'*[=+\-@\t\r\n＝＋－＠]")
quick = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def read_csv(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), strict=True))


@quick
@given(st.lists(HOSTILE, min_size=1, max_size=20))
def test_csv_reads_back_as_what_was_written(encode: Encode, texts: list[str]) -> None:
    row = ",".join(encode(PLAIN, texts)) + "\r\n"
    assert read_csv(row) == [texts]


@quick
@given(st.lists(HOSTILE, min_size=1, max_size=20))
def test_guard_adds_one_apostrophe_and_taking_it_off_gives_the_text_back(encode: Encode, texts: list[str]) -> None:
    written = read_csv(",".join(encode(GUARDED, texts)) + "\r\n")[0]
    assert written == ["'" + t if GUARD.match(t) else t for t in texts]
    assert [w[1:] if GUARD.match(w) and w.startswith("'") else w for w in written] == texts
    assert not any(w[:1] in tuple("=+-@\t\r\n＝＋－＠") for w in written if w)


@quick
@given(st.lists(HOSTILE, min_size=1, max_size=20))
def test_json_escapes_what_it_must_in_lower_case_and_no_more(encode: Encode, texts: list[str]) -> None:
    written = encode("lower_escapes(json_text(x))", texts)
    assert written == [json.dumps(t, ensure_ascii=False) for t in texts]
    assert [json.loads(w) for w in written] == texts
    assert [quoted(t) for t in texts] == written


@quick
@given(st.lists(st.one_of(st.none(), HOSTILE, st.text('ab -"é😀', max_size=6)), min_size=1, max_size=3))
def test_json_is_the_same_where_a_column_is_known_to_be_quiet(encode: Encode, texts: list[str | None]) -> None:
    if quiet := quiet_columns(pa.table({"x": pa.array(texts, pa.large_string())})).get("x"):
        column = Column("a", "A", ColumnType.text, "", "x")
        assert encode(concat(JSON.cell(Cell(column, "x", quiet=quiet), spec())), texts) == [
            '"a":' + json.dumps(t, ensure_ascii=False) for t in texts
        ]


def test_json_of_every_character_of_the_first_plane(encode: Encode) -> None:
    texts = [chr(c) for c in range(1, 0x10000) if not 0xD800 <= c < 0xE000]
    assert encode("lower_escapes(json_text(x))", texts) == [json.dumps(t, ensure_ascii=False) for t in texts]


def test_a_text_that_spells_an_escape_stays_as_it_is(encode: Encode) -> None:
    assert encode("lower_escapes(json_text(x))", ["\\u001F", "\\\x1f", "\x1f\\\\u001F"]) == [
        '"\\\\u001F"',
        '"\\\\\\u001f"',
        '"\\u001f\\\\\\\\u001F"',
    ]


def test_null_and_empty_differ(encode: Encode) -> None:
    assert encode(GUARDED, [None, ""]) == ["", '""']
    assert encode(PLAIN, [None, ""]) == ["", '""']
    assert encode("json_text(x)", [None, ""]) == ["null", '""']


@quick
@given(st.one_of(st.none(), st.lists(HOSTILE, max_size=5)))
def test_lists(duck: duckdb.DuckDBPyConnection, entries: list[str] | None) -> None:
    row = duck.execute("select joined(x), lower_escapes(json_texts(x)) from (select ?::varchar[] x)", [entries]).fetchone()
    assert row == (",".join(entries) if entries else None, json.dumps(entries, ensure_ascii=False, separators=(",", ":")))


def test_a_list_of_names_keeps_the_place_of_an_unknown_one(duck: duckdb.DuckDBPyConnection) -> None:
    assert duck.execute("select joined(['a', null, 'b']), joined([null])").fetchone() == ("a,,b", "")


def spec(**more: Any) -> PlanSpec:
    return PlanSpec(dataset="leads", formats=["csv"], columns=registry.get("leads").resolve_columns(None, ["csv"]), **more)


def test_a_custom_property_is_written_as_its_value_is(encode: Encode) -> None:
    column = Column("custom_x", "custom_x", ColumnType.property, "", "x")
    as_csv, as_json = (concat(f.cells([Cell(column, "x")], spec())) for f in (CSV, JSON))
    values = ['"=a\\"\\u001f"', "-5", "1e+21", "100000000000000000000", "true", "null", None, '""']
    assert encode(as_csv, values) == ['"\'=a""\x1f"', "-5", "1e+21", "100000000000000000000", "true", "", "", '""']
    assert encode(as_json, values)[:5] == ['"custom_x":' + v for v in values[:5] if v]


def test_line_breaks_of_every_kind_are_indented_in_transcripts(encode: Encode) -> None:
    breaks = ["\r\n", "\r", "\n", "\v", "\f", "\x85", "\u2028", "\u2029"]
    assert encode("one_line(x)", [f"a{b}b" for b in breaks]) == ["a\n  b"] * len(breaks)
    assert encode("one_line(x)", ["a\n\r\nb"]) == ["a\n  \n  b"]


def test_first_word(encode: Encode) -> None:
    assert encode("first_word(x)", ["Zoë Smith", " \u00a0José", "O'Brien, Pat", "  ", "", None]) == [
        "Zoë",
        "José",
        "O'Brien,",
        None,
        None,
        None,
    ]


def test_header_is_quoted_and_never_guarded() -> None:
    custom = [{"name": '=a"b', "type": "text"}]
    columns = registry.get("leads").columns(spec(custom_properties=custom).custom_properties)
    made = spec(custom_properties=custom).model_copy(update={"columns": {"csv": ["id", columns[-3].key]}})
    assert CSV.frame(made).head == '\ufeff"id","custom_=a""b"\r\n'.encode()
    assert CSV.frame(made).empty == CSV.frame(made).head
