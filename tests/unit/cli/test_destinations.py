"""`waybill destinations` and `waybill deliveries`: what they ask for and what they say."""

import json
from pathlib import Path

from cli.commands.destinations import SECRET
from services.delivery.core.destinations.registry import all_kinds
from tests.unit.cli.conftest import Waybill
from tests.unit.cli.fake_api import Fake


def test_secrets_come_from_files_and_never_from_arguments(waybill: Waybill, fake: Fake, tmp_path: Path) -> None:
    password, key = tmp_path / "password", tmp_path / "key"
    password.write_text("correct horse\n")
    key.write_text("-----BEGIN-----\nx\n-----END-----\n")
    made = waybill(
        "destinations", "create", "Warehouse", "--type", "sftp", "--set", "host=files.example.com", "--set", "port=22", "--set", "path=in/{dataset}",
        "--secret", f"password={password}", "--secret", f"private_key={key}",
    )  # fmt: skip
    assert made.exit_code == 0, made.stderr
    assert json.loads(fake.asked[-1][3]) == {
        "name": "Warehouse", "type": "sftp",
        "config": {"host": "files.example.com", "port": 22, "path": "in/{dataset}", "password": "correct horse", "private_key": key.read_text()},
    }  # fmt: skip
    assert "whsec_shown-once" in made.stdout and "correct horse" not in made.output
    missing = waybill("destinations", "update", "dst_1", "--secret", "password=/nowhere")
    assert missing.exit_code == 2 and "can't be read" in missing.stderr
    assert waybill("destinations", "update", "dst_1").exit_code == 2
    told, before = waybill("destinations", "update", "dst_1", "--set", "secret_access_key=hunter2"), len(fake.asked)
    assert (
        told.exit_code == 2 and "--secret secret_access_key" in told.stderr and "hunter2" not in told.output and len(fake.asked) == before
    )
    waybill("destinations", "update", "dst_1", "--set", "path=null", "--name", "Other")
    assert json.loads(fake.asked[-1][3]) == {"name": "Other", "config": {"path": None}}


def test_every_secret_field_of_a_destination_is_known() -> None:
    assert {f.name for kind in all_kinds().values() for f in kind.fields if f.secret} == SECRET | {"headers"}


def test_destinations_say_how_they_are(waybill: Waybill, fake: Fake) -> None:
    listed = waybill("destinations", "list").stdout
    assert "paused (failing)" in listed and "active" in listed and "\x1b[31m" not in listed
    shown = waybill("destinations", "show", "dst_1").stdout
    assert "3 deliveries in a row" in shown and "login_failed" in shown and "password" in shown
    tested = waybill("destinations", "test", "dst_1")
    assert tested.exit_code == 1 and "The server refused the password." in tested.stdout
    for what in ("pause", "resume"):
        assert waybill("destinations", what, "dst_1").exit_code == 0 and fake.asked[-1][1].endswith(f"/dst_1/{what}")
    assert waybill("destinations", "delete", "dst_1").exit_code == 0


def test_deliveries_are_found_shown_and_brought_again(waybill: Waybill, fake: Fake) -> None:
    listed = waybill("deliveries", "list", "--status", "failed", "--export", "exp_1").stdout
    assert "quota" in listed and "Warehouse" in listed and "status=failed" in fake.asked[-1][1] and "export_id=exp_1" in fake.asked[-1][1]
    shown = waybill("deliveries", "show", "dlv_1").stdout
    assert "The disk is full." in shown and "in/leads.csv" in shown
    assert json.loads(waybill("deliveries", "redeliver", "dlv_1", "--json").stdout)["id"] == "dlv_1"
