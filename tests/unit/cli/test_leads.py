"""`waybill leads`: what it asks for and what it says."""

import json

from tests.unit.cli.conftest import Waybill
from tests.unit.cli.fake_api import Fake


def test_a_list_says_where_it_goes_on(waybill: Waybill, fake: Fake) -> None:
    listed = waybill("leads", "list", "--status", "qualified", "--sort", "score", "--created-after", "2026-04-01", "--limit", "1")
    assert fake.asked[-1][1].endswith("/v1/leads?status=qualified&sortBy=score&createdAfter=2026-04-01&page=1&limit=1")
    assert "sarah.chen@acmecorp.example" in listed.stdout and "\x1b[31m" not in listed.stdout
    assert "Page 1 of 3" in listed.stderr and "--page 2" in listed.stderr
    assert json.loads(waybill("leads", "list", "--json").stdout)["pagination"]["total"] == 3


def test_a_lead_shows_its_custom_fields(waybill: Waybill) -> None:
    shown = waybill("leads", "get", "lead 7").stdout
    assert "lead 7" in shown and "custom industry" in shown and "enterprise, demo" in shown


def test_a_score_says_why(waybill: Waybill, fake: Fake) -> None:
    shown = waybill("leads", "score", "lead 7")
    assert shown.exit_code == 0, shown.stderr
    assert "business_email" in shown.stdout and "-40" in shown.stdout
    assert json.loads(waybill("leads", "score", "lead 7", "--json").stdout)["leadId"] == "lead 7"


def test_creating_sends_what_is_given(waybill: Waybill, fake: Fake) -> None:
    made = waybill(
        "leads", "create", "a@x.example", "--name", "A", "--tag", "one,two", "--field", "industry=FinTech", "--field", '{"seats": 5}', "--idempotency-key", "k1",
    )  # fmt: skip
    assert made.exit_code == 0, made.stderr
    assert json.loads(fake.asked[-1][3]) == {
        "email": "a@x.example", "name": "A", "tags": ["one", "two"], "customFields": {"industry": "FinTech", "seats": 5},
    }  # fmt: skip
    taken = waybill("leads", "create", "taken@x.example")
    assert (taken.exit_code, "already exists" in taken.stderr) == (1, True)
    assert waybill("leads", "create", "a@x.example", "--field", "nonsense").exit_code == 2


def test_changing_sends_what_is_named_and_nothing_else(waybill: Waybill, fake: Fake) -> None:
    assert waybill("leads", "update", "lead_1", "--status", "lost", "--company", "", "--if-match", '"7"').exit_code == 0
    assert (fake.asked[-1][0], json.loads(fake.asked[-1][3])) == ("PATCH", {"company": None, "status": "lost"})
    assert waybill("leads", "update", "lead_1").exit_code == 2


def test_searching_and_erasing(waybill: Waybill, fake: Fake) -> None:
    assert "company" in waybill("leads", "search", "acme", "--status", "qualified").stdout
    assert fake.asked[-1][1].endswith("/v1/leads/search?q=acme&status=qualified&page=1")
    refused, done = waybill("leads", "delete", "lead_1"), waybill("leads", "delete", "lead_1", "--yes")
    assert (refused.exit_code, done.exit_code, "era_1" in done.stderr) == (2, 0, True)
    assert fake.asked[-1][0] == "DELETE"
