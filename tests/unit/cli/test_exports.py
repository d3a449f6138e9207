"""Asking for exports, waiting for them, and getting whole files or none."""

import json
import re
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Waybill
from tests.unit.cli.fake_api import CONTENT, Fake


def test_every_flag_goes_into_the_body(waybill: Waybill, fake: Fake) -> None:
    result = waybill(
        "exports", "create", "--dataset", "leads", "--format", "csv", "--format", "jsonl", "--from", "2026-03-01", "--to", "2026-04-01",
        "--filter", "status=qualified", "--filter", "status=new", "--filter", "score_min=50", "--filter", "tags.all=webinar", "--columns", "id,email",
        "--timezone", "Europe/Brussels", "--compression", "gzip", "--no-spreadsheet-safe", "--max-rows-per-file", "10", "--expires-in", "60",
        "--label", "team=sales", "--since", "exp_0", "--idempotency-key", "k1",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert result.stdout == "exp_1\n"
    method, path, headers, body = fake.asked[0]
    assert (method, path, headers["idempotency-key"], headers["authorization"]) == ("POST", "/v1/exports", "k1", "Bearer sk_live_test")
    assert json.loads(body) == {
        "dataset": "leads", "formats": ["csv", "jsonl"], "from": "2026-03-01", "to": "2026-04-01",
        "filter": {"status": ["qualified", "new"], "score_min": 50, "tags": {"all": ["webinar"]}}, "columns": ["id", "email"],
        "timezone": "Europe/Brussels", "compression": "gzip", "spreadsheet_safe": False, "max_rows_per_file": 10, "expires_in_seconds": 60,
        "labels": {"team": "sales"}, "since": "exp_0",
    }  # fmt: skip


def test_a_body_from_a_file_or_stdin_with_flags_over_it(waybill: Waybill, fake: Fake) -> None:
    Path("body.json").write_text('{"dataset": "messages", "format": "csv", "timezone": "UTC"}')
    assert waybill("exports", "create", "--body", "body.json", "--timezone", "Asia/Tokyo").exit_code == 0
    assert waybill("exports", "create", "--body", "-", "--json", stdin='{"dataset": "leads"}').exit_code == 0
    assert [json.loads(b) for b in fake.bodies("/v1/exports")] == [
        {"dataset": "messages", "format": "csv", "timezone": "Asia/Tokyo"},
        {"dataset": "leads"},
    ]


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["--format", "csv"], "--dataset"),
        (["--dataset", "x", "--filter", "nothing"], "--filter"),
        (["--dataset", "x", "--filter", "score_min=abc"], "--filter"),
        (["--dataset", "x", "--filter", "{bad"], "--filter"),
        (["--dataset", "x", "--label", "nothing"], "--label"),
        (["--body", "not-there.json"], "--body"),
        (["--dataset", "x", "--max-rows-per-file", "0"], "--max-rows-per-file"),
    ],
)
def test_wrong_use_is_exit_code_2_and_names_the_flag(waybill: Waybill, fake: Fake, arguments: list[str], names: str) -> None:
    result = waybill("exports", "create", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert names in result.stderr
    assert not fake.asked


def test_the_apis_refusal_is_one_line_that_names_the_field(waybill: Waybill) -> None:
    result = waybill("exports", "create", "--dataset", "unknown")
    assert result.exit_code == 1
    assert result.stderr == "waybill: dataset: Unknown dataset 'unknown'. (invalid_request, 400)\n"
    as_json = waybill("exports", "create", "--dataset", "unknown", "--json")
    assert json.loads(as_json.stderr)["error"]["details"] == [{"field": "dataset", "message": "Unknown dataset 'unknown'."}]


def test_retry_after_is_waited_for_and_the_key_stays_the_same(waybill: Waybill, fake: Fake) -> None:
    fake.refusals = [(429, {"Retry-After": "7"}), (503, {})]
    assert waybill("exports", "create", "--dataset", "leads").exit_code == 0
    assert fake.waits == [7.0, 1.0]
    assert len({headers["idempotency-key"] for _, _, headers, _ in fake.asked}) == 1


def test_tries_are_bounded_and_a_long_wait_is_not_waited_for(waybill: Waybill, fake: Fake) -> None:
    fake.refusals = [(503, {"Retry-After": "1"})] * 50
    result = waybill("exports", "show", "exp_1")
    assert (result.exit_code, len(fake.asked)) == (1, 6)
    assert "unavailable, 503" in result.stderr
    fake.refusals, fake.asked = [(429, {"Retry-After": "3600"})], []
    assert waybill("exports", "show", "exp_1").exit_code == 1
    assert len(fake.asked) == 1


def test_lists_follow_the_pages(waybill: Waybill, fake: Fake) -> None:
    first = json.loads(waybill("exports", "list", "--json", "--status", "completed", "--label", "a=b").stdout)
    assert (len(first["data"]), first["next_cursor"], first["has_more"]) == (2, "1", True)
    assert fake.asked[0][1] == "/v1/exports?status=completed&label=a%3Db"
    every = json.loads(waybill("exports", "list", "--json", "--all").stdout)
    assert (len(every["data"]), every["next_cursor"], every["has_more"]) == (6, None, False)
    assert "exp_01" in waybill("exports", "list").stdout


def test_watching_by_events(waybill: Waybill, fake: Fake) -> None:
    fake.add_export("exp_9", "formatting")
    fake.events = [
        ": hello\n",
        'event: progress\ndata: {"status": "assembling", "progress": {"percent": 90}}\n\n',
        'event: completed\ndata: {"status": "completed"}\n\n',
    ]
    fake.stages = [{}, {"status": "completed"}]
    result = waybill("exports", "watch", "exp_9")
    assert result.exit_code == 0, result.output
    assert "exp_9 assembling" in result.stderr
    assert re.search(r"^state +completed", result.stdout, re.M)
    assert fake.waits == []


def test_watching_falls_back_to_polling_at_the_servers_pace(waybill: Waybill, fake: Fake) -> None:
    fake.add_export("exp_9", "planning")
    failure = {"status": "failed", "error": {"code": "undeliverable", "message": "No space."}}
    fake.stages = [{}, {}, {"status": "formatting"}, failure]
    result = waybill("exports", "watch", "exp_9")
    assert (result.exit_code, fake.waits) == (1, [1.0, 2.0])
    assert "exp_9 ended failed: No space. (undeliverable)" in result.stderr


def test_a_stream_that_breaks_off_is_taken_up_again(waybill: Waybill, fake: Fake) -> None:
    fake.add_export("exp_9", "formatting")
    fake.events = ['data: {"status": "formatting"}\n\n', "data: {broken\n\n", 'data: {"half":']
    fake.stages = [{}, {}, {}, {"status": "completed"}]
    assert waybill("exports", "watch", "exp_9", "--json").exit_code == 0


def test_create_waits_and_downloads(waybill: Waybill, fake: Fake) -> None:
    fake.stages = [{"status": "formatting"}, {"status": "completed", "files": [fake.file()]}]
    result = waybill("exports", "create", "--dataset", "messages", "--download", "out", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["downloaded"] == ["out/messages.csv"]
    assert Path("out/messages.csv").read_bytes() == CONTENT
    assert sorted(path.name for path in Path("out").iterdir()) == [
        "messages.csv",
        "messages_exp_1.manifest.json",
        "waybill-signing-keys.json",
    ]
    assert waybill("verify", "out").exit_code == 0


@pytest.mark.parametrize("redirect", [False, True])
def test_a_broken_download_is_resumed_where_it_was(waybill: Waybill, fake: Fake, redirect: bool) -> None:
    fake.add_export("exp_9", "completed", files=[fake.file()])
    fake.cuts, fake.redirect = [300_000, 400_000], redirect
    result = waybill("exports", "download", "exp_9")
    assert result.exit_code == 0, result.output
    assert Path("messages.csv").read_bytes() == CONTENT
    path = "/signed/messages.csv" if redirect else "/v1/exports/exp_9/files/messages.csv"
    ranges = [headers.get("range") for _, asked, headers, _ in fake.asked if asked == path]
    assert ranges == [None, "bytes=300000-", "bytes=700000-"]


def test_a_file_that_changed_meanwhile_is_taken_from_the_start(waybill: Waybill, fake: Fake) -> None:
    fake.add_export("exp_9", "completed", files=[fake.file()])
    Path(".messages.csv.waybill-part").write_bytes(b"other bytes")
    Path(".messages.csv.waybill-etag").write_text('"v0"')
    assert waybill("exports", "download", "exp_9").exit_code == 0
    assert Path("messages.csv").read_bytes() == CONTENT


def test_a_download_that_never_gets_on_keeps_what_came(waybill: Waybill, fake: Fake) -> None:
    fake.add_export("exp_9", "completed", files=[fake.file()])
    fake.cuts = [1000] + [0] * 50
    result = waybill("exports", "download", "exp_9")
    assert result.exit_code == 1
    assert "what came is kept" in result.stderr
    assert Path(".messages.csv.waybill-part").stat().st_size == 1000
    fake.cuts = []
    assert waybill("exports", "download", "exp_9").exit_code == 0
    assert Path("messages.csv").read_bytes() == CONTENT


@pytest.mark.parametrize("content", [CONTENT[:-1] + b"!", CONTENT + b"more"])
def test_other_bytes_than_announced_never_take_the_files_place(waybill: Waybill, fake: Fake, content: bytes) -> None:
    fake.add_export("exp_9", "completed", files=[fake.file()])
    fake.content = content
    result = waybill("exports", "download", "exp_9")
    assert (result.exit_code, list(Path().iterdir())) == (1, [])
    assert "the export says" in result.stderr


@pytest.mark.parametrize("name", ["../evil.csv", "a/b.csv", "..", "", "a\\b.csv", "/etc/passwd", "x\ny", "a\x00"])
def test_a_name_that_leaves_the_folder_is_refused(waybill: Waybill, fake: Fake, name: str) -> None:
    fake.add_export("exp_9", "completed", files=[fake.file(name)])
    result = waybill("exports", "download", "exp_9", "--out", "here")
    assert result.exit_code == 1
    assert "no plain file name" in result.stderr
    assert not Path("here").exists()


def test_a_file_that_is_there_stays_unless_it_is_the_same_or_forced(waybill: Waybill, fake: Fake) -> None:
    fake.add_export("exp_9", "completed", files=[fake.file()])
    Path("messages.csv").write_text("mine")
    result = waybill("exports", "download", "exp_9")
    assert (result.exit_code, Path("messages.csv").read_text()) == (1, "mine")
    assert waybill("exports", "download", "exp_9", "--force").exit_code == 0
    fake.asked.clear()
    assert waybill("exports", "download", "exp_9").exit_code == 0
    assert not any("/files/" in path for _, path, _, _ in fake.asked)


def test_nothing_to_download_yet(waybill: Waybill, fake: Fake) -> None:
    fake.add_export("exp_9", "formatting")
    assert waybill("exports", "download", "exp_9").exit_code == 1
    result = waybill("exports", "show", "exp_404")
    assert result.stderr == "waybill: The export 'exp_404' does not exist. (not_found, 404)\n"


def test_cancel_leaves_an_ended_export_alone(waybill: Waybill, fake: Fake) -> None:
    fake.add_export("exp_9", "formatting")
    assert json.loads(waybill("exports", "cancel", "exp_9", "--json").stdout) == {"id": "exp_9", "state": "cancelling"}
    fake.add_export("exp_9", "completed")
    assert waybill("exports", "cancel", "exp_9").exit_code == 2
    assert json.loads(waybill("exports", "cancel", "exp_9", "--delete", "--json").stdout) == {"id": "exp_9", "state": "deleted"}


def test_a_rerun_is_followed_and_brought_home_as_a_new_export_is(waybill: Waybill, fake: Fake) -> None:
    assert waybill("exports", "rerun", "exp_1", "--idempotency-key", "k1").stdout == "exp_2\n"
    assert [(method, path, headers["idempotency-key"]) for method, path, headers, _ in fake.asked] == [
        ("POST", "/v1/exports/exp_1/rerun", "k1")
    ]
    fake.stages = [{"status": "formatting"}, {"status": "completed", "files": [fake.file()]}]
    result = waybill("exports", "rerun", "exp_1", "--download", "out", "--json")
    assert (result.exit_code, json.loads(result.stdout)["rerun_of"]) == (0, "exp_1"), result.output
    assert Path("out/messages.csv").read_bytes() == CONTENT
    gone = waybill("exports", "rerun", "exp_gone")
    assert (gone.exit_code, gone.stderr) == (1, "waybill: The export can't be reproduced any more. (gone, 410)\n")


def test_a_preview_is_a_table_for_people_and_all_of_it_for_machines(waybill: Waybill, fake: Fake) -> None:
    shown = waybill("exports", "preview", "--dataset", "leads", "--format", "csv", "--columns", "id,email", "--purpose", "why")
    assert shown.exit_code == 0, shown.output
    assert json.loads(fake.asked[0][3]) == {"dataset": "leads", "format": "csv", "columns": ["id", "email"], "purpose": "why"}
    for text in ("email *", "personal (*)", "a@b.example", "x" * 39 + "…", "too long"):
        assert text in shown.stdout, shown.stdout
    assert json.loads(waybill("exports", "preview", "--dataset", "leads", "--json").stdout)["estimated_rows"] == 2


def test_holding_and_releasing(waybill: Waybill, fake: Fake) -> None:
    assert "Case 2026-117" in waybill("exports", "hold", "exp_1", "--reason", "Case 2026-117").stdout
    assert json.loads(fake.asked[-1][3]) == {"reason": "Case 2026-117"}
    assert "held" not in waybill("exports", "release", "exp_1").stdout
    assert waybill("exports", "hold", "exp_1").exit_code == 2, "why must be said"


def test_approving_and_rejecting(waybill: Waybill, fake: Fake) -> None:
    assert "planning" in waybill("exports", "approve", "exp_1").stdout
    assert "rejected" in waybill("exports", "reject", "exp_1", "--reason", "too much").stdout
    assert json.loads(fake.asked[-1][3]) == {"reason": "too much"}
    mine = waybill("exports", "approve", "exp_mine")
    assert (mine.exit_code, mine.stderr) == (1, "waybill: Who has asked for an export can't decide on it. (forbidden, 403)\n")
