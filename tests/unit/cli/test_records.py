"""Sending records: refused lines by file and line, whatever the bodies were cut into."""

import gzip
import io
import json
import sys
from pathlib import Path

import pytest

from cli.core.envelopes import Broken, Envelope, look
from cli.core.places import Block, Refused, place_of
from cli.records import reading
from cli.records.reading import blocks
from tests.unit.cli.conftest import Waybill
from tests.unit.cli.fake_api import Fake

GOOD = '{"type":"topic","id":"t1","version":1,"data":{"name":"n"}}'
STALE = '{"type":"topic","id":"t1","version":0,"data":{"name":"n"}}'


def test_refused_lines_come_back_with_their_place(waybill: Waybill) -> None:
    Path("a.ndjson").write_text(f"{GOOD}\n\nbroken\n{STALE}")
    Path("b.ndjson.gz").write_bytes(gzip.compress(f"{GOOD}\nalso broken\n".encode()))
    result = waybill("records", "send", "a.ndjson", "b.ndjson.gz", "--json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert (told["accepted"], told["stale"], told["refused_count"]) == (2, 1, 2)
    assert [(r["file"], r["line"]) for r in told["refused"]] == [("a.ndjson", 3), ("b.ndjson.gz", 2)]
    assert "a.ndjson, line 3: Not JSON. (invalid_json)" in waybill("records", "send", "a.ndjson").stderr


def test_stdin_plain_and_packed(waybill: Waybill) -> None:
    for data in (f"{GOOD}\n".encode() * 3, gzip.compress(f"{GOOD}\n".encode() * 3)):
        told = json.loads(waybill("records", "send", "-", "--json", stdin=data).stdout)
        assert (told["accepted"], told["refused_count"]) == (3, 0)


def test_more_than_a_hundred_refused_are_counted(waybill: Waybill) -> None:
    Path("a.ndjson").write_text("x\n" * 150)
    told = json.loads(waybill("records", "send", "a.ndjson", "--json").stdout)
    assert (told["refused_count"], len(told["refused"])) == (150, 100)


def test_atomic_takes_nothing_and_says_where(waybill: Waybill, fake: Fake) -> None:
    Path("a.ndjson").write_text(f"{GOOD}\n")
    Path("b.ndjson").write_text(f"{GOOD}\nbroken\n")
    result = waybill("records", "send", "--atomic", "a.ndjson", "b.ndjson")
    assert result.exit_code == 1
    assert result.stderr == "waybill: Nothing was taken. b.ndjson, line 2: data.name: Wrong. (unprocessable, 422)\n"
    assert len(fake.bodies("/v1/records?atomic=true")) == 1


def test_a_dry_run_sends_nothing(waybill: Waybill, fake: Fake) -> None:
    Path("a.ndjson").write_text(f'{GOOD}\n{{"type":"nothing","id":"x"}}\n{{"type":"topic"}}\n[]\n')
    result = waybill("records", "send", "--dry-run", "a.ndjson")
    assert (result.exit_code, fake.asked) == (1, [])
    for words in ("line 2: type:", "line 3: id:", "line 4: A record is"):
        assert words in result.stderr


@pytest.mark.parametrize(
    ("arguments", "names"), [(["none.ndjson"], "none.ndjson"), (["."], "directory"), (["x", "--atomic", "--via", "kafka"], "--atomic")]
)
def test_wrong_use(waybill: Waybill, arguments: list[str], names: str) -> None:
    result = waybill("records", "send", *arguments)
    assert result.exit_code == 2
    assert names in result.stderr


def test_a_busy_server_is_asked_again(waybill: Waybill, fake: Fake) -> None:
    fake.refusals = [(503, {"Retry-After": "3"})]
    Path("a.ndjson").write_text(f"{GOOD}\n")
    assert waybill("records", "send", "a.ndjson").exit_code == 0
    assert fake.waits == [3.0]


def test_kafka_away_is_one_line(waybill: Waybill) -> None:
    Path("a.ndjson").write_text(f"{GOOD}\n")
    result = waybill("records", "send", "a.ndjson", "--via", "kafka", "--org", "o", "--kafka", "127.0.0.1:1")
    assert result.exit_code == 1
    assert "no broker answers at 127.0.0.1:1" in result.stderr
    assert waybill("records", "send", "a.ndjson", "--via", "kafka", "--kafka", "nonsense").exit_code == 2


def test_broken_gzip_is_one_line(waybill: Waybill) -> None:
    Path("a.gz").write_bytes(gzip.compress(f"{GOOD}\n".encode() * 1000)[:-20])
    result = waybill("records", "send", "a.gz")
    assert result.exit_code == 1
    assert "a.gz: the gzip data is broken" in result.stderr


@pytest.mark.parametrize("size", [1, 2, 7, 64, 10_000])
def test_blocks_are_whole_lines_whatever_their_size(tmp_path: Path, size: int) -> None:
    text = b"".join(b"line %d\n" % n for n in range(50)) + b"\r\n\nthe last, without an end"
    (tmp_path / "f").write_bytes(b"\xef\xbb\xbf" + text)
    got = [b for b in blocks([str(tmp_path / "f")], size + 3, lambda _: None) if isinstance(b, Block)]
    assert b"".join(b.data for b in got) == text + b"\n"
    assert all(b.data.endswith(b"\n") and b.lines == b.data.count(b"\n") for b in got)
    assert [b.first_line for b in got] == [1 + sum(c.lines for c in got[:n]) for n in range(len(got))]


def test_an_endless_line_is_refused_and_the_next_one_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LINE_BYTES_MAX", 100)
    (tmp_path / "f").write_bytes(b"a\n" + b"x" * 1000 + b"\nb\n")
    got = list(blocks([str(tmp_path / "f")], 16, lambda _: None))
    assert [(type(g), g.first_line if isinstance(g, Block) else g.line) for g in got] == [(Block, 1), (Refused, 2), (Block, 3)]


def test_places_over_several_blocks() -> None:
    body = [Block("a", 10, 2, b""), Block("b", 1, 3, b"")]
    assert [place_of(body, n) for n in range(1, 6)] == [("a", 10), ("a", 11), ("b", 1), ("b", 2), ("b", 3)]


def test_the_organisation_is_put_in_without_touching_other_bytes() -> None:
    line = b'  {"type":"topic","id":"t","data":{"name":1e400,"name":"twice"}}'
    seen = look(line.replace(b"1e400", b"12345678901234567890"), 'o"1')
    assert isinstance(seen, Envelope)
    assert seen.value == b'{"org_id":"o\\"1","type":"topic","id":"t","data":{"name":12345678901234567890,"name":"twice"}}'
    assert isinstance(look(b'{"type":"topic","id":"t","org_id":"other"}', "mine"), Broken)
    assert look(b'{"type":"topic","id":"t","org_id":"mine"}', None) == Envelope(
        "mine", "topic", "t", b'{"type":"topic","id":"t","org_id":"mine"}'
    )


def test_stdin_is_not_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO(b"a\n")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(raw))
    list(blocks(["-"], 16, lambda _: None))
    assert not raw.closed
