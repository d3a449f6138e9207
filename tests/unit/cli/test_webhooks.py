"""`waybill webhooks`: what it asks for and what it says."""

import json

from tests.unit.cli.conftest import Waybill
from tests.unit.cli.fake_api import Fake


def test_making_and_rotating_show_the_secret_once(waybill: Waybill, fake: Fake) -> None:
    made = waybill("webhooks", "create", "https://hooks.example/x", "--event", "export.completed,export.failed", "--description", "CRM")
    assert made.exit_code == 0, made.stderr
    assert "whsec_once" in made.stdout and "shown only now" in made.stderr
    assert json.loads(fake.asked[-1][3]) == {
        "url": "https://hooks.example/x", "events": ["export.completed", "export.failed"], "description": "CRM",
    }  # fmt: skip
    assert json.loads(waybill("webhooks", "create", "https://hooks.example/x", "--json").stdout)["secret"] == "whsec_once"
    assert json.loads(fake.asked[-1][3]) == {"url": "https://hooks.example/x"}
    rotated = waybill("webhooks", "rotate-secret", "whe_1", "--overlap", "60")
    assert "whsec_new" in rotated.stdout and "old secret until" in rotated.stdout
    assert json.loads(fake.asked[-1][3]) == {"overlap_seconds": 60}


def test_lists_say_what_is_disabled_and_why(waybill: Waybill) -> None:
    listed = waybill("webhooks", "list").stdout
    assert "disabled (gone)" in listed
    assert "\x1b[31m" not in listed, "a description can't steer the terminal"
    assert "It is gone." in waybill("webhooks", "show", "whe_2").stdout
    assert [e["id"] for e in json.loads(waybill("webhooks", "list", "--json").stdout)["data"]] == ["whe_1", "whe_2"]


def test_changing_sends_what_is_named_and_nothing_else(waybill: Waybill, fake: Fake) -> None:
    assert waybill("webhooks", "update", "whe_1", "--enable").exit_code == 0
    assert (fake.asked[-1][0], json.loads(fake.asked[-1][3])) == ("PATCH", {"enabled": True})
    waybill("webhooks", "update", "whe_1", "--to", "https://b.example/", "--description", "", "--disable")
    assert json.loads(fake.asked[-1][3]) == {"url": "https://b.example/", "description": None, "enabled": False}
    nothing = waybill("webhooks", "update", "whe_1")
    assert (nothing.exit_code, "--enable" in nothing.stderr) == (2, True)
    assert "Deleted whe_1." in waybill("webhooks", "delete", "whe_1").stderr


def test_a_test_that_is_not_taken_fails(waybill: Waybill) -> None:
    good, bad = waybill("webhooks", "test", "whe_1"), waybill("webhooks", "test", "whe_2")
    assert (good.exit_code, good.stderr) == (0, "Delivered: answered 204 (12 ms)\n")
    assert (bad.exit_code, bad.stderr) == (1, "Not delivered: It answered 503. (12 ms)\n")
    assert json.loads(waybill("webhooks", "test", "whe_2", "--json").stdout)["delivered"] is False


def test_deliveries_and_the_ways_to_send_again(waybill: Waybill, fake: Fake) -> None:
    assert "answered 204" in waybill("webhooks", "deliveries", "whe_1", "--status", "failed").stdout
    assert fake.asked[-1][1].endswith("/deliveries?status=failed")
    assert len(json.loads(waybill("webhooks", "deliveries", "whe_1", "--all", "--json").stdout)["data"]) == 3
    assert "3 deliveries are sent again" in waybill("webhooks", "recover", "whe_1", "--since", "2026-03-01").stderr
    assert json.loads(fake.asked[-1][3]) == {"since": "2026-03-01"}
    assert "evt_1" in waybill("webhooks", "redeliver", "whe_1", "whd_1").stderr
