"""A report through the whole system: branded, beside its csv, again the same, encrypted where the organisation wants that; and what is refused."""

import base64
import gzip
import hashlib
import io
import json
from collections.abc import Iterator

import pytest
import pyzipper

from tests.conftest import Stack
from tests.documents import fonts, png, tags, words
from tests.e2e.conftest import EXAMPLES, Organisation, with_examples

CASES = json.loads((EXAMPLES / "cases.json").read_text("utf-8"))
REQUEST = next(c["request"] for c in CASES["cases"] if c["file"] == "analytics.csv")
REPORT = {k: v for k, v in REQUEST.items() if k != "format"} | {"format": "pdf"}
LOGO = "data:image/png;base64," + base64.b64encode(png(200, 80)).decode()


@pytest.fixture(scope="module")
def branded(stack: Stack) -> Iterator[Organisation]:
    made = with_examples(stack, CASES)
    made.settled(CASES["scores"])
    settings = {"name": "شركة Acme 東京", "branding": {"logo": LOGO, "colours": {"primary": "#7a1fa2"}}}
    assert made.http.patch("/v1/settings", json=settings).status_code == 200
    yield made
    made.http.close()


def test_a_report_beside_its_csv_and_again(branded: Organisation) -> None:
    both = {k: v for k, v in REPORT.items() if k != "format"} | {"formats": ["csv", "pdf"], "compression": "gzip"}
    export = branded.completed(both)
    assert [f["name"].partition(".")[2] for f in export["files"]] == ["csv.gz", "pdf"]
    assert gzip.decompress(branded.download(export, 0)) == (EXAMPLES / "files" / "analytics.csv").read_bytes()
    pdf = branded.download(export, 1)
    file = export["files"][1]
    assert (file["media_type"], file["rows"], file["bytes"], file["sha256"]) == (
        "application/pdf",
        6,
        len(pdf),
        hashlib.sha256(pdf).hexdigest(),
    )
    text = words(pdf)
    assert all(word in text for word in ("شركة", "Acme", "東京", "1 Jan 2026 – 30 Jun 2026", "March 2026"))
    assert next(alt for kind, alt in tags(pdf) if kind == "Figure") == "Logo of شركة Acme 東京"
    assert all(fonts(pdf).values())
    assert branded.http.patch("/v1/settings", json={"branding": None}).status_code == 200
    again = branded.http.post(f"/v1/exports/{export['id']}/rerun").json()
    assert branded.ended(again["id"])["files"][1]["sha256"] == file["sha256"], "its plan keeps the branding"
    assert branded.completed(REPORT)["files"][0]["sha256"] != file["sha256"]


def test_what_cant_be_is_refused_by_field(branded: Organisation) -> None:
    for more, field in (
        ({"compression": "gzip"}, "compression"),
        ({"max_rows_per_file": 5}, "max_rows_per_file"),
        ({"dataset": "messages"}, "format"),
    ):
        answer = branded.http.post(
            "/v1/exports", json={k: v for k, v in REPORT.items() if k != "granularity" or more.get("dataset") is None} | more
        )
        assert (answer.status_code, [d["field"] for d in answer.json()["error"]["details"]]) == (422, [field])
    for logo in (
        LOGO[:-60],
        "data:image/svg+xml;base64,PHN2Zy8+",
        "data:image/png;base64," + base64.b64encode(png(9_999, 9_999, b"")).decode(),
    ):
        answer = branded.http.patch("/v1/settings", json={"branding": {"logo": logo}})
        assert (answer.status_code, answer.json()["error"]["details"][0]["field"]) == (400, "branding.logo")


def test_an_encrypted_report(branded: Organisation) -> None:
    password = "Abcd" + "12345"
    assert branded.http.patch("/v1/settings", json={"require_password": True}).status_code == 200
    export = branded.completed(REPORT | {"password": password})
    assert export["files"][0]["name"].endswith(".pdf.zip")
    with pyzipper.AESZipFile(io.BytesIO(branded.download(export))) as archive:
        assert archive.read(archive.namelist()[0], password.encode()).startswith(b"%PDF-1.7")
