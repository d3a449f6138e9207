"""`waybill schedules`: what it asks for and what it says."""

import json

from tests.unit.cli.conftest import Waybill
from tests.unit.cli.fake_api import Fake


def test_creating_sends_the_export_without_a_range(waybill: Waybill, fake: Fake) -> None:
    made = waybill(
        "schedules", "create", "--name", "M", "--every", "hour", "--dataset", "messages", "--format", "csv", "--filter", "channel=ch_1", "--timezone", "UTC", "--sftp",
        "--catch-up", "newest",
    )  # fmt: skip
    assert made.exit_code == 0, made.stderr
    assert json.loads(fake.asked[-1][3]) == {
        "name": "M", "export": {"dataset": "messages", "format": "csv", "filter": {"channel": "ch_1"}}, "frequency": "hourly", "timezone": "UTC",
        "catch_up": "newest", "sftp": True,
    }  # fmt: skip
    waybill("schedules", "create", "--name", "M", "--cron", "15 6 * * 1-5", "--dataset", "leads", "--json")
    assert json.loads(fake.asked[-1][3]) == {"name": "M", "export": {"dataset": "leads"}, "cron": "15 6 * * 1-5"}
    waybill(
        "schedules",
        "create",
        "--name",
        "M",
        "--every",
        "day",
        "--dataset",
        "leads",
        "--destination",
        "s3:dst_1",
        "--email-to",
        "a@b.example,c@d.example",
    )
    assert json.loads(fake.asked[-1][3])["destinations"] == [
        {"type": "s3", "id": "dst_1"},
        {"type": "email", "to": ["a@b.example", "c@d.example"]},
    ]
    unclear = waybill("schedules", "create", "--name", "M", "--every", "day", "--dataset", "leads", "--destination", "dst_1")
    assert (unclear.exit_code, "TYPE:ID" in unclear.stderr) == (2, True)
    waybill("schedules", "create", "--name", "M", "--every", "day", "--dataset", "leads", "--deltas")
    assert json.loads(fake.asked[-1][3])["export"] == {"dataset": "leads", "since": "previous"}
    wrong = waybill("schedules", "create", "--name", "M", "--every", "year", "--dataset", "leads")
    assert (wrong.exit_code, "hour, day, week" in wrong.stderr) == (2, True)


def test_changing_sends_what_is_named_alone(waybill: Waybill, fake: Fake) -> None:
    assert (
        "Daily"
        in waybill("schedules", "update", "sch_1", "--name", "Daily", "--every", "day", "--no-sftp", "--email-to", "a@b.example").stdout
    )
    method, path, _, body = fake.asked[-1]
    assert (method, path) == ("PATCH", "/v1/schedules/sch_1")
    assert json.loads(body) == {
        "name": "Daily",
        "frequency": "daily",
        "sftp": False,
        "destinations": [{"type": "email", "to": ["a@b.example"]}],
    }
    nothing = waybill("schedules", "update", "sch_1")
    assert (nothing.exit_code, "Say what to change" in nothing.stderr) == (2, True)


def test_lists_say_when_and_what_became_of_the_last_run(waybill: Waybill) -> None:
    listed = waybill("schedules", "list").stdout
    assert "failed (2026-03-01T00:00:00.000Z" in listed and "15 6 * * *" in listed and "none yet" in listed
    assert "\x1b[31m" not in listed, "a name can't steer the terminal"
    assert [s["id"] for s in json.loads(waybill("schedules", "list", "--json").stdout)["data"]] == ["sch_1", "sch_2"]
    shown = waybill("schedules", "show", "sch_1").stdout
    assert "3 of 24 windows, 1 failed" in shown and "hourly, Europe/Brussels" in shown


def test_runs_say_why_they_failed(waybill: Waybill, fake: Fake) -> None:
    assert "The store is full." in waybill("schedules", "runs", "sch_1", "--status", "failed").stdout
    assert fake.asked[-1][1].endswith("/runs?status=failed")
    assert len(json.loads(waybill("schedules", "runs", "sch_1", "--all", "--json").stdout)["data"]) == 2
    run = waybill("schedules", "run", "sch_1")
    assert "org_demo_message_1.csv" in run.stdout and "waybill exports watch exp_1" in run.stderr


def test_pause_resume_backfill_and_delete(waybill: Waybill, fake: Fake) -> None:
    assert "paused" in waybill("schedules", "pause", "sch_1").stdout
    assert waybill("schedules", "resume", "sch_1", "--catch-up", "newest").exit_code == 0
    assert json.loads(fake.asked[-1][3]) == {"catch_up": "newest"}
    filled = waybill("schedules", "backfill", "sch_1", "--from", "2026-03-01", "--to", "2026-03-02", "--again")
    assert "24 windows are run, 2 had run already" in filled.stderr
    assert json.loads(fake.asked[-1][3]) == {"from": "2026-03-01", "to": "2026-03-02", "again": True}
    assert "Deleted sch_1." in waybill("schedules", "delete", "sch_1").stderr
