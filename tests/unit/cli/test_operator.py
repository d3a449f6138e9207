"""Organisations, keys, settings, doctor, and the frame that all commands share."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from typer.main import get_command

from cli.commands.migrate import passwords_of
from cli.core.findings import GroupLag, Verdict, java_major, lag_findings, missing_topics
from cli.core.retry import delay_seconds
from cli.errors import UsageError
from cli.main import app
from cli.output import printable
from cli.settings import load, read_env_file
from shared.retry_after import retry_after_seconds
from tests.unit.cli.conftest import Waybill
from tests.unit.cli.fake_api import Fake


def test_organisations(waybill: Waybill, fake: Fake) -> None:
    made = waybill("orgs", "create", "org_acme", "--name", "Acme", "--json")
    assert json.loads(made.stdout) == {"org_id": "org_acme", "name": "Acme", "api_key": "sk_live_1_secret"}
    taken = waybill("orgs", "create", "taken", "--name", "Acme")
    assert (taken.exit_code, taken.stderr) == (1, "waybill: The organisation 'taken' exists. (conflict, 409)\n")
    refused = waybill("orgs", "create", "org_acme", "--name", "Acme", "--operator-token", "wrong")
    assert "(unauthorized, 401)" in refused.stderr
    listed = waybill("orgs", "list").stdout
    assert "org_demo" in listed
    assert "\x1b[31m" not in listed, "a name can't steer the terminal"
    unset = waybill("orgs", "list", env={"WAYBILL_OPERATOR_TOKEN": None})
    assert (unset.exit_code, "WAYBILL_OPERATOR_TOKEN isn't set" in unset.stderr) == (2, True)


def test_reconciling(waybill: Waybill, fake: Fake) -> None:
    found = waybill("reconcile")
    assert found.exit_code == 1, found.output
    assert "parts/exp_1/1" in found.stdout and "do not agree" in found.stderr
    assert json.loads(waybill("reconcile", "--json").stdout)["report"]["orphan_parts"]["objects"] == 2
    repaired = waybill("reconcile", "--repair")
    assert (repaired.exit_code, json.loads(fake.asked[-2][3])) == (0, {"repair": True})
    assert "agree" in repaired.stderr and "removed" in repaired.stdout


def test_keys(waybill: Waybill, fake: Fake) -> None:
    made = waybill("keys", "create", "--name", "loader", "--scope", "records:write,exports:read", "--scope", "admin")
    assert "sk_live_1_x" in made.stdout
    assert json.loads(fake.asked[0][3]) == {"name": "loader", "scopes": ["records:write", "exports:read", "admin"]}
    refused = waybill("keys", "create", "--name", "x", "--scope", "nonsense")
    assert (refused.exit_code, refused.stderr) == (1, "waybill: scopes.0: Unknown scope 'nonsense'. (invalid_request, 400)\n")
    assert json.loads(waybill("keys", "list", "--json").stdout)["data"][0]["id"] == "key_1"
    assert waybill("keys", "revoke", "key_1").exit_code == 0
    assert waybill("keys", "revoke", "a/../b").exit_code == 1
    assert fake.asked[-1][1] == "/v1/api-keys/a/../b", "as one path segment, percent-encoded on the way"


def test_mail_that_comes_back(waybill: Waybill, fake: Fake) -> None:
    message = b"To: bounces+token@waybill.example\r\nSubject: \xff\r\n\r\nIt came back."
    taken = waybill("mail", "bounce", stdin=message)
    assert (taken.exit_code, taken.stderr) == (0, "Delivery dlv_1 has failed: its mail came back.\n")
    assert fake.asked[-1][1] == "/v1/operator/mail/bounces"
    assert (fake.asked[-1][2]["content-type"], fake.asked[-1][3]) == ("message/rfc822", message)
    assert json.loads(waybill("mail", "bounce", "--json", stdin=b"other").stdout) == {"delivery_id": None}


def test_a_call_that_is_not_idempotent_is_never_repeated(waybill: Waybill, fake: Fake) -> None:
    fake.refusals = [(503, {"Retry-After": "1"})]
    assert waybill("keys", "create", "--name", "x", "--scope", "admin").exit_code == 1
    assert (len(fake.asked), fake.waits) == (1, [])


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "ftp://x", "nonsense", "http://[", "http://127.0.0.1:99999"])
def test_a_wrong_address_is_one_line(waybill: Waybill, url: str) -> None:
    result = waybill("keys", "list", "--url", url)
    assert result.exit_code in (1, 2)
    assert result.stderr.startswith("waybill: WAYBILL_URL")
    assert result.stderr.count("\n") == 1


def test_flags_win_over_the_file_that_over_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path(".local").mkdir()
    Path(".local/waybill.env").write_text("WAYBILL_URL=local\nexport WAYBILL_KAFKA='a b' WAYBILL_API_KEY=local # a comment\n")
    given = tmp_path / "given.env"
    given.write_text("WAYBILL_URL=given\n")
    environment = {"WAYBILL_URL": "environment", "HOME": "/"}
    assert load({}, None, {}).values == {"WAYBILL_URL": "local", "WAYBILL_KAFKA": "a b", "WAYBILL_API_KEY": "local"}
    assert load({}, None, environment).url == "environment"
    assert load({}, given, environment).values == {"WAYBILL_URL": "given"}
    assert load({"WAYBILL_URL": "flag"}, given, environment).url == "flag"
    (tmp_path / "bad.env").write_text("fine=1\nno assignment\n")
    with pytest.raises(UsageError, match="line 2"):
        read_env_file(tmp_path / "bad.env")


def test_doctor_works_when_nothing_is_up(waybill: Waybill) -> None:
    nothing = dict.fromkeys(("WAYBILL_API_KEY", "WAYBILL_KAFKA", "WAYBILL_DATABASE_URL", "WAYBILL_S3_BUCKET", "WAYBILL_STORE"))
    dead = {
        "WAYBILL_URL": "http://127.0.0.1:1",
        "WAYBILL_INGEST_HTTP": "127.0.0.1:1",
        "WAYBILL_DATABASE_URL": "postgresql://x@127.0.0.1:1/x",
    }
    for env in ({**nothing, "WAYBILL_URL": None}, {**nothing, **dead, "WAYBILL_KAFKA": "127.0.0.1:1"}):
        result = waybill("doctor", "--json", env=env)
        told = json.loads(result.stdout)
        assert (result.exit_code, told["ok"]) == (1, False)
        verdicts = {check["name"]: check["verdict"] for check in told["checks"]}
        assert {verdicts[name] for name in ("kafka", "postgresql", "store", "ingest", "delivery", "gateway")} == {"wrong"}
        assert all(check["advice"] for check in told["checks"] if check["verdict"] == "wrong")


def test_doctor_on_an_address_that_serves_something(waybill: Waybill, fake: Fake) -> None:
    result = waybill("doctor", env={"WAYBILL_INGEST_HTTP": urlsplit(fake.url).netloc, "WAYBILL_KAFKA": None, "WAYBILL_DATABASE_URL": None})
    assert result.exit_code == 1
    assert "✓  gateway" in result.stdout.replace("   ", "  ")
    assert "not ready (404)" in result.stdout


def test_findings() -> None:
    assert missing_topics({"a": 6, "b": 1, "c": 6}, {"a": 6, "c": 2, "x": 1}) == ["b is not there", "c has 2 of 6 partitions"]
    lags = lag_findings([GroupLag("g", "a", 3, 0), GroupLag("g", "b", 2, 0), GroupLag("h", "a", 9, 1), GroupLag("i", "a", 0, 0)])
    assert [(each.name, each.verdict) for each in lags] == [("group g", Verdict.wrong), ("group h", Verdict.ok), ("group i", Verdict.ok)]
    assert [java_major(text) for text in ('openjdk version "17.0.15"', 'java version "1.8.0_392"', 'openjdk version "21-ea"', "")] == [
        17,
        8,
        21,
        None,
    ]


def test_retries_are_a_function_of_what_happened() -> None:
    from datetime import UTC, datetime

    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    headers = ("3", "Sun, 01 Mar 2026 12:00:30 GMT", "Sun, 01 Mar 2026 11:00:00 GMT", "soon", None)
    assert [retry_after_seconds(text, now) for text in headers] == [3.0, 30.0, 0.0, None, None]
    assert delay_seconds(1, 429, 3.0, idempotent=True) == 3.0
    assert [delay_seconds(n, 503, None, idempotent=True) for n in (1, 2, 5, 6)] == [0.5, 1.0, 8.0, None]
    assert delay_seconds(1, 500, None, idempotent=True) is None
    assert delay_seconds(1, 429, 61.0, idempotent=True) is None
    assert delay_seconds(1, None, None, idempotent=False) is None


def test_database_passwords() -> None:
    values = {
        "WAYBILL_INGEST_DATABASE_PASSWORD": "a", "WAYBILL_INGEST_DATABASE_URL": "postgresql://u:other@h/d",
        "WAYBILL_FORMATTER_DATABASE_URL": "postgresql://u:p%40ss@h/d", "WAYBILL_DELIVERY_DATABASE_URL": "postgresql://u@h/d",
    }  # fmt: skip
    assert passwords_of(values) == {"ingest": "a", "formatter": "p@ss"}


def test_migrate_says_in_one_line_why_not(waybill: Waybill) -> None:
    result = waybill("migrate", "--database-url", "postgresql://nobody@127.0.0.1:1/none")
    assert result.exit_code == 1
    assert "WAYBILL_DATABASE_URL: the migration failed" in result.stderr
    assert result.stderr.count("\n") == 1


def test_printable_text_steers_no_terminal() -> None:
    assert printable("a\x1b[31m\u202eb\nc\x00 é 日本") == "a\\u001b[31m\\u202eb⏎c\\u0000 é 日本"
    assert [printable(value) for value in (None, 5, {"a": 1}, [1])] == ["", "5", '{"a": 1}', "[1]"]


def test_every_command_has_help_with_an_example_and_json() -> None:
    checked = 0
    pending: list[tuple[tuple[str, ...], Any]] = [((), get_command(app))]
    while pending:
        path, command = pending.pop()
        children = getattr(command, "commands", None)
        if children is not None:
            pending += [((*path, name), child) for name, child in children.items()]
            continue
        checked += 1
        assert command.help, path
        assert (command.epilog or "").startswith("Example: waybill "), path
        assert "--json" in {option for parameter in command.params for option in parameter.opts}, path
    assert checked >= 18


def test_the_command_starts_without_what_it_does_not_need() -> None:
    script = (
        "import sys; sys.argv = ['waybill', '--help']\nfrom cli.main import app\ntry: app()\nexcept SystemExit: pass\nprint(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": os.getcwd()}
    )
    assert not {"aiokafka", "httpx", "rich", "rich.console", "psycopg", "boto3", "asyncio"} & set(done.stdout.split())
