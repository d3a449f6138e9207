"""What people and machines see of a diff, and how one that breaks off is told."""

import json

from tests.unit.cli.conftest import Waybill
from tests.unit.cli.fake_api import Fake

LINES = [
    {"op": "changed", "key": "lead_1", "before": {"name": "A\u2028\x1b[31m", "score": 1}, "after": {"name": None, "score": 2}},
    {"op": "added", "key": "lead_2", "before": None, "after": {"id": "lead_2", "name": None}},
    {"op": "removed", "key": None, "before": {"id": "lead_3"}, "after": None},
]
NDJSON = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in LINES).encode()


def test_people_see_signs_and_fields(waybill: Waybill, fake: Fake) -> None:
    fake.diff = NDJSON
    result = waybill("diff", "exp_1", "exp_2", "--purpose", "to look")
    assert result.exit_code == 0, result.output
    assert result.stdout.split("\n")[2:-1] == ["    score  1 → 2", "+ lead_2", "    id    lead_2", "- ", "    id  lead_3"]
    assert "\x1b" not in result.stdout
    assert "1 added, 1 removed, 1 changed" in result.stderr
    assert fake.asked[0][:2] == ("GET", "/v1/exports/exp_1/diff/exp_2?purpose=to+look")


def test_machines_get_the_lines_or_the_counts(waybill: Waybill, fake: Fake) -> None:
    fake.diff = NDJSON
    assert [json.loads(line) for line in waybill("diff", "exp_1", "exp_2", "--json").stdout.split("\n")[:-1]] == LINES
    assert json.loads(waybill("diff", "exp_1", "exp_2", "--json", "--counts").stdout) == {"added": 1, "removed": 1, "changed": 1}
    assert waybill("diff", "exp_1", "exp_2", "--counts").stdout == "1 added, 1 removed, 1 changed\n"
    fake.diff = b""
    assert "Nothing differs." in waybill("diff", "exp_1", "exp_2").stderr


def test_what_breaks_off_or_is_refused_is_an_error(waybill: Waybill, fake: Fake) -> None:
    fake.diff, fake.cuts = NDJSON, [30]
    result = waybill("diff", "exp_1", "exp_2")
    assert result.exit_code == 1
    assert "not all" in result.stderr
    assert waybill("diff", "exp_1", "exp_gone").exit_code == 1
