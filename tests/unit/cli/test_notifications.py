"""`waybill notifications`: what it asks for and what it says."""

import json

from tests.unit.cli.conftest import Waybill
from tests.unit.cli.fake_api import Fake


def test_the_feed_says_what_happened_and_who_was_told(waybill: Waybill, fake: Fake) -> None:
    listed = waybill("notifications", "--kind", "delivery_failed", "--after", "2026-03-01")
    assert listed.exit_code == 0, listed.stderr
    assert "Nobody listens." in listed.stdout and "slack sent" in listed.stdout and "\x1b[31m" not in listed.stdout
    assert fake.asked[-1][1].endswith("/v1/notifications?kind=delivery_failed&created_after=2026-03-01")
    assert [n["id"] for n in json.loads(waybill("notifications", "--all", "--json").stdout)["data"]] == ["ntf_1", "ntf_1"]
