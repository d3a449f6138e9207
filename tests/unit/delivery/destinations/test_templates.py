"""Paths at destinations: what could lead out is refused with its reason, and what is filled in never brings it back."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from services.delivery.core.destinations.templates import NONE, PLACEHOLDERS, fill, fill_text, problem_with, problem_with_text
from shared.checks import is_seen

OWN = "org_acme"
NAMES = {
    "org_id": OWN, "dataset": "messages", "path": "message", "export_id": "exp_1", "schedule_id": NONE, "year": "2026", "month": "03", "day": "01",
    "hour": "00", "from": "2026-03-01T00-00-00", "to": "2026-04-01T00-00-00",
}  # fmt: skip

GOOD = [
    ("", "messages.csv"),
    ("exports", "exports/messages.csv"),
    ("exports/", "exports/messages.csv"),
    ("{org_id}/{dataset}/year={year}/month={month}", "org_acme/messages/year=2026/month=03/messages.csv"),
    ("org_acme/in", "org_acme/in/messages.csv"),
    ("{path}/{from}_{file}", "message/2026-03-01T00-00-00_messages.csv"),
    ("déjà vu/数据/.hidden", "déjà vu/数据/.hidden/messages.csv"),
    ("reorg_chart/{schedule_id}", "reorg_chart/none/messages.csv"),
]  # fmt: skip

BAD = [
    ("..", "segments"), ("a/../b", "segments"), ("./a", "segments"), ("a/‥/b", "segments"), ("．．/a", "segments"), ("/etc", "relative"),
    ("／etc", "relative"), ("a//b", "empty segment"), ("//", "relative"), ("a\\b", "backslash"), ("a/%2e%2e/b", "backslash or '%'"),
    ("a\nb", "control"), ("a\x00b", "control"), ("a\r", "control"), ("a\u202eb", "control"), ("a/ b", "space"), ("a./b", "dot"), ("... ", "space"),
    ("{customer}", "{customer}"), ("{}", "{}"), ("{org_id", "single"), ("a}", "single"), ("{{dataset}}", "single"), ("{file}/{dataset}", "last segment"),
    ("{file}{file}", "last segment"), ("org_other/x", "another organisation"), ("x/ORG_other", "another organisation"), ("x-org_other", "another organisation"),
    ("org_acme2", "another organisation"), ("org_acme_eu/x", "another organisation"), ("org_{dataset}", "another organisation"),
    ("org_acme{day}", "another organisation"), ("{org_id}2", "behind '{org_id}'"), ("{org_id}_eu", "behind '{org_id}'"), ("{org_id}{day}", "behind '{org_id}'"),
    ("{file}" + "x" * 100, "255 bytes"), ("é" * 128, "255 bytes"), ("a" * 501, "at most"), (7, "at most"), (None, "at most"),
]  # fmt: skip


@pytest.mark.parametrize(("template", "path"), GOOD, ids=[template or "nothing" for template, _ in GOOD])
def test_a_template_becomes_a_path(template: str, path: str) -> None:
    assert problem_with(template, OWN) is None
    assert fill(template, NAMES, "messages.csv") == path


@pytest.mark.parametrize(("template", "reason"), BAD, ids=[f"{ascii(template)[:20]}-{i}" for i, (template, _) in enumerate(BAD)])
def test_what_could_lead_out_is_refused_with_its_reason(template: object, reason: str) -> None:
    assert reason in (problem_with(template, OWN) or "")


PIECES = st.one_of(
    st.sampled_from([f"{{{name}}}" for name in PLACEHOLDERS]),
    st.sampled_from(["/", ".", "..", "org_", "-", " ", "x", "\\", "%2e"]),
    st.text(max_size=4),
)
TEMPLATES = st.lists(PIECES, max_size=8).map("".join)
VALUES = st.one_of(
    st.sampled_from(["..", ".", "", "/", "../../etc", "org_other", "g_other", "\n", "{org_id}", "e%2e", "‥", " "]), st.text(max_size=12)
)


@given(TEMPLATES, st.fixed_dictionaries({name: VALUES for name in NAMES}), VALUES)
def test_no_value_leads_out_of_the_place(template: str, values: dict[str, str], file: str) -> None:
    assume(problem_with(template, OWN) is None)
    path = fill(template, {**values, "org_id": OWN}, file)
    segments = path.split("/")
    assert not {"", ".", ".."} & set(segments) and len(segments) == template.removesuffix("/").count("/") + 1 + (
        bool(template) and "{file}" not in template
    )
    assert problem_with(path.replace(OWN, "own"), "own") is None


@given(st.text(max_size=30), st.fixed_dictionaries({name: st.text(max_size=20) for name in NAMES}))
def test_a_line_of_text_stays_one_line(template: str, values: dict[str, str]) -> None:
    assume(problem_with_text(template, 30) is None)
    text = fill_text(template, values)
    assert is_seen(text)


def test_wrong_lines_of_text_are_refused() -> None:
    assert problem_with_text("a\r\nBcc: x@example.com", 80) and problem_with_text("  ", 80) and problem_with_text("x" * 81, 80)
    assert "{nobody}" in (problem_with_text("For {nobody}", 80) or "")
    assert fill_text("{dataset} of {from}", NAMES) == "messages of 2026-03-01T00-00-00"
