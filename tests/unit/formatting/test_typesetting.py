"""Reports as PDFs: any script, any text, tagged, embedded, the same bytes."""

import base64
import hashlib
import io
import json
import os
import subprocess
import sys
from decimal import Decimal

import pypdf
import pytest

from shared.datasets.plan import Branding
from shared.errors import PermanentError, TransientError
from shared.formatting import typesetting
from shared.formatting.typesetting import can_draw, typeset
from tests.documents import JPEG, fonts, png, printed, tags, words
from tests.unit.formatting.test_report import content, plan

SCRIPTS = {
    "Latin": "Żółć Ærø Việt", "Greek": "Ελληνική Εταιρεία", "Cyrillic": "Компания Пример", "Arabic": "شركة الأمل للتجارة", "Hebrew": "חברת בדיקה",
    "Chinese": "示例有限公司", "Japanese": "株式会社サンプル", "Korean": "한국 회사", "Thai": "บริษัท ตัวอย่าง", "emoji": "Rocket 🚀",
}  # fmt: skip
HOSTILE = {
    "markup": '#import "@preview/cetz:0.3.0"; #read("/etc/passwd") $x$ *bold* _it_ `raw` <label> @ref \\ // /* "quoted" #panic() ]',
    "controls": "\u202egnp.exe\u202c \x00\x07\ufeff", "of no font": "\U00010000 \ue000 \u0378 \uffff 𝔘", "marks": "中\u0301\u0488" + "z" + "\u0301" * 60, "one word": "W" * 200, "old": "𒀀" * 50,
}  # fmt: skip


def data(kind: str, picture: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"


@pytest.mark.parametrize("name", SCRIPTS.values(), ids=list(SCRIPTS))
def test_a_name_in_any_script_is_read_as_it_is_and_embedded(name: str) -> None:
    pdf = typeset(content(plan(organisation_name=name)))
    text = words(pdf)
    assert all(word in text for word in name.split()), text[:200]
    assert "\N{REPLACEMENT CHARACTER}" not in text
    assert all(fonts(pdf).values())


@pytest.mark.parametrize("name", SCRIPTS.values(), ids=list(SCRIPTS))
def test_pdftotext_prints_what_was_put_in(name: str) -> None:
    """Name, title, range and what it is compared with; every figure of the summary; the rows of the table; notes; the foot of every page."""
    made = content(
        plan(organisation_name=name), rows=60, before={"total_leads": 1000, "conversion_rate": Decimal("52.10"), "qualified_leads": 0}
    )
    pdf = typeset(made)
    text, pages = printed(pdf), len(pypdf.PdfReader(io.BytesIO(pdf)).pages)
    assert text.startswith(f"{name} Analytics report 1 Mar 2026 By day · times in Europe/Brussels · compared with 28 Feb 2026 Summary ")
    for four in (made["cards"][:4], made["cards"][4:]):
        lines = [[card[part] for card in four] for part in ("label", "value")]
        lines.append([f"{card['change']} {card['was']}".strip() for card in four])
        assert " ".join(cell for line in lines for cell in line) in text
    (row,) = {tuple(row) for row in made["table"]["rows"]}
    assert text.count(" ".join(row)) == 60
    assert all(f"{note['term']}: {note['text']}" in text for note in made["notes"])
    assert text.count(name) == 1 + pages
    assert all(f"· 1 Mar 2026 Page {n} of {pages}" in text for n in range(1, pages + 1))


def test_it_is_tagged_titled_and_says_what_pictures_show() -> None:
    pdf = typeset(content(plan(branding=Branding(logo=data("png", png()), colours={"primary": "#1a73e8"})), rows=60))
    reader = pypdf.PdfReader(io.BytesIO(pdf))
    root = reader.trailer["/Root"]
    assert (root["/Lang"], root["/MarkInfo"]["/Marked"], root["/ViewerPreferences"]["/DisplayDocTitle"]) == ("en", True, True)
    assert reader.metadata is not None
    assert (reader.metadata.title, reader.metadata.author, reader.metadata.creation_date) == (
        "Analytics report, 1 Mar 2026, Acme",
        "Acme",
        None,
    )
    assert b"<pdfuaid:part>1</pdfuaid:part>" in reader.trailer["/Root"]["/Metadata"].get_object().get_data()
    found = tags(pdf)
    assert [kind for kind, _ in found if kind in ("H1", "H2")] == ["H1", "H2", "H2", "H2", "H2"]
    pictures = [alt for kind, alt in found if kind == "Figure"]
    assert pictures[0] == "Logo of Acme"
    assert len(pictures) == 7
    assert all(pictures)
    assert sum(kind == "TH" for kind, _ in found) == 8
    assert sum(kind == "TD" for kind, _ in found) == 8 * 60
    assert f"Page {len(reader.pages)} of {len(reader.pages)}" in words(pdf)


@pytest.mark.parametrize("name", HOSTILE.values(), ids=list(HOSTILE))
def test_hostile_text_comes_out_as_text(name: str) -> None:
    pdf = typeset(content(plan(organisation_name=name)))
    text = words(pdf)
    if name.startswith("#import"):
        assert '#read("/etc/passwd") $x$ *bold*' in text
    assert "Analytics report" in text
    assert "root:" not in text


def test_what_fails_says_why_and_no_more() -> None:
    assert typeset(content(plan(branding=Branding(logo=data("jpeg", JPEG)))))
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'
    for picture in (png()[:-40], png(data=b"\0\0"), svg, b""):
        with pytest.raises(PermanentError) as caught:
            typeset(content(plan(branding=Branding(logo=data("png", picture)))))
        assert caught.value.code == "logo_unreadable"
    with pytest.raises(PermanentError) as caught:
        typeset(content(plan()) | {"charts": None})
    assert caught.value.code == "report_failed"
    assert "/" not in caught.value.message, "no path"


def test_whether_a_picture_can_be_drawn_is_known_without_a_report() -> None:
    tables = JPEG.index(b"\xff\xc4") + 4
    nonsense = JPEG[:tables] + b"\xff" + JPEG[tables + 1 :]
    pictures = [
        data("png", png()),
        data("jpeg", JPEG),
        data("jpeg", nonsense),
        data("png", JPEG),
        data("png", png(data=b"\0")),
        "",
        "data:image/jpeg;base64,",
    ]
    assert [can_draw(each) for each in pictures] == [True, True, *[False] * 5]


def test_a_picture_that_nobody_got_to_is_not_called_damaged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(typesetting, "LOGO_SECONDS_MAX", 0)
    with pytest.raises(TransientError):
        can_draw(data("png", png()))


def test_the_same_bytes_whatever_the_process_and_its_surroundings(tmp_path: object) -> None:
    made = content(plan(organisation_name="Łódź 東京"), rows=40)
    script = "import json, sys; from shared.formatting.typesetting import typeset; sys.stdout.buffer.write(typeset(json.load(sys.stdin)))"
    surroundings = {"TZ": "Asia/Tokyo", "LANG": "C", "SOURCE_DATE_EPOCH": "1", "HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    other = subprocess.run(
        [sys.executable, "-c", script],
        input=json.dumps(made).encode(),
        capture_output=True,
        check=True,
        env=surroundings,
        cwd=str(tmp_path),
    )
    assert hashlib.sha256(other.stdout).hexdigest() == hashlib.sha256(typeset(made)).hexdigest()
