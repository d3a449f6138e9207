"""Alerts, their pages, the dashboard and the catalogue of metrics fit together."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.local.testing import promtool
from tests.conftest import ROOT
from tools.metrics_catalogue import PAGE, Entry, entries, page, problems

PROMETHEUS = ROOT / "deploy" / "prometheus"
RUNBOOK = ROOT / "docs" / "runbook"
METRIC = re.compile(r"\bwaybill_[a-z0-9_]+")


@pytest.fixture(scope="module")
def alerts() -> dict[str, dict[str, Any]]:
    groups = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text("utf-8"))["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


@pytest.fixture(scope="module")
def known() -> set[str]:
    """Every series' name that the code shows."""
    names = set()
    for entry in entries():
        names |= {f"{entry.name}_{part}" for part in ("bucket", "sum", "count")} if entry.kind == "histogram" else {entry.name}
    return names


def test_the_catalogue_is_up_to_date_and_every_metric_keeps_to_the_rules() -> None:
    found = entries()
    assert problems(found) == []
    assert PAGE.read_text("utf-8") == page(found), "python -m tools.metrics_catalogue --write"
    assert {e.module for e in found} >= {"shared.metrics", "services.ingest.metrics", "services.delivery.metrics"}


def test_the_rules_of_the_catalogue_refuse_what_they_are_for() -> None:
    module = "services.ingest.metrics"
    wrong = [
        Entry("other_things_total", "counter", (), "x", module), Entry("waybill_x_time", "histogram", (), "x", module),
        Entry("waybill_x_total", "counter", ("export_id",), "x", module), Entry("waybill_y_total", "counter", (), "x.", module),
        Entry("waybill_z_total", "counter", (), "x", "services.ingest.store"),
    ]  # fmt: skip
    assert len(problems(wrong)) == len(wrong)


def test_each_alert_has_its_page_and_each_page_its_alert(alerts: dict[str, dict[str, Any]]) -> None:
    pages = {path.stem for path in RUNBOOK.glob("*.md")} - {"README"}
    assert pages == set(alerts)
    index = (RUNBOOK / "README.md").read_text("utf-8")
    for name, rule in alerts.items():
        assert rule["annotations"]["runbook"] == f"docs/runbook/{name}.md"
        text = (RUNBOOK / f"{name}.md").read_text("utf-8")
        assert re.findall(r"^#+ (.*)$", text, re.M) == [name, "What it means", "What to look at", "What to do"]
        assert f"({name}.md)" in index


def test_each_metric_of_alerts_dashboard_and_runbook_exists(alerts: dict[str, dict[str, Any]], known: set[str]) -> None:
    dashboard = json.loads((ROOT / "deploy" / "grafana" / "waybill.json").read_text("utf-8"))
    expressions = [rule["expr"] for rule in alerts.values()]
    expressions += [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    used = {name for text in expressions for name in METRIC.findall(text)}
    assert used - known == set()
    families = known | {entry.name for entry in entries()}
    said = {name for path in RUNBOOK.glob("*.md") for name in re.findall(r"`(waybill_[a-z0-9_]+)", path.read_text("utf-8"))}
    assert said - families - {"waybill_migrations"} == set()
    assert len({panel["title"] for panel in dashboard["panels"]}) == len(dashboard["panels"]) == len({p["id"] for p in dashboard["panels"]})


def test_every_setting_that_the_runbook_names_exists() -> None:
    code = "\n".join(path.read_text("utf-8") for path in [*ROOT.glob("services/*/settings.py"), ROOT / "shared" / "settings.py"])
    for path in RUNBOOK.glob("*.md"):
        for name in re.findall(r"`WAYBILL_([A-Z0-9_]+)`", path.read_text("utf-8")):
            assert f"    {name.lower()}:" in code, (path.name, name)


def test_prometheus_takes_the_rules_and_each_alert_fires_on_what_it_is_for(alerts: dict[str, dict[str, Any]]) -> None:
    tool = str(promtool())
    for command in (["check", "config", "prometheus.yml"], ["check", "rules", "alerts.yml"], ["test", "rules", "alerts.test.yml"]):
        done = subprocess.run([tool, *command], cwd=PROMETHEUS, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    tests = yaml.safe_load((PROMETHEUS / "alerts.test.yml").read_text("utf-8"))["tests"]
    fired = {each["alertname"] for test in tests for each in test["alert_rule_test"] if each["exp_alerts"]}
    assert fired == set(alerts)


def test_the_tool_says_in_one_line_whether_all_is_well() -> None:
    done = subprocess.run([sys.executable, "-m", "tools.metrics_catalogue"], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout.count("\n")) == (0, 1)
    assert isinstance(PAGE, Path)
