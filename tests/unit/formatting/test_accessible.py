"""Reports are what PDF/UA-1 asks for, as a checker that we didn't write sees it."""

from pathlib import Path

import typst

from shared.datasets.plan import Branding
from shared.formatting.typesetting import typeset
from tests.documents import JPEG, png
from tests.pdfua import verdicts
from tests.unit.formatting.test_report import content, plan
from tests.unit.formatting.test_typesetting import HOSTILE, SCRIPTS, data

NAMES = [SCRIPTS[name] for name in ("Latin", "Cyrillic", "Arabic", "Chinese", "Japanese", "Korean")]
COLOURS = {"primary": "#7a1fa2", "background": "#fff8e1"}
LOGOS = [None, data("png", png()), data("jpeg", JPEG)]


def test_reports_in_any_script_are_accessible(tmp_path: Path) -> None:
    """With a logo and without, of one period, of a month and of many pages, with and without figures; and what isn't tagged is told from them."""
    plans = [
        plan(organisation_name=name, branding=Branding(logo=LOGOS[n % 3], colours=COLOURS))
        for n, name in enumerate([*NAMES, HOSTILE["controls"]])
    ]
    reports = [content(spec, rows=(1, 12)[n % 2]) for n, spec in enumerate(plans)]
    reports += [content(plan(), rows=120), content(plan(columns=["date"]), rows=3)]
    plain = typst.compile(b"= Not for everyone\n#image(bytes(json(bytes(sys.inputs.b))))", sys_inputs={"b": str(list(png()))}, format="pdf")
    assert isinstance(plain, bytes)
    *found, untagged = verdicts(tmp_path, *map(typeset, reports), plain)
    assert [each.failed for each in found] == [()] * len(reports)
    assert min(each.checks for each in found) > 500
    assert untagged.failed
