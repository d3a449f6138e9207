"""An export's life over HTTP: submit, watch, cancel, expire, delete, and who may see it."""

import json
import time
from typing import Any

import httpx
import pytest

from tests.conftest import Stack
from tests.e2e.conftest import Organisation, new_organisation

LEADS: dict[str, Any] = {"dataset": "leads", "format": "csv"}


def test_submit_answers_where_to_look_and_when(sample: Organisation) -> None:
    response = sample.http.post("/v1/exports", json=LEADS)
    assert response.status_code == 202
    export = response.json()
    assert response.headers["location"].endswith(f"/v1/exports/{export['id']}")
    assert int(response.headers["retry-after"]) >= 1
    done = sample.ended(export["id"])
    assert done["progress"]["percent"] == 100
    assert done["completed_at"] >= done["started_at"] >= done["created_at"]


def test_events_tell_progress_and_the_end(sample: Organisation) -> None:
    export = sample.ask(LEADS)
    with sample.http.stream("GET", f"/v1/exports/{export['id']}/events") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        data = [json.loads(line[5:]) for line in response.iter_lines() if line.startswith("data:") and line[5:].strip()]
    assert data[-1]["status"] == "completed"


def test_a_deleted_export_is_gone_with_its_files(sample: Organisation) -> None:
    export = sample.completed(LEADS)
    assert sample.http.delete(f"/v1/exports/{export['id']}").status_code == 204
    for url in (f"/v1/exports/{export['id']}", export["files"][0]["url"], export["manifest_url"]):
        assert sample.http.get(url).status_code == 404


def test_ranges_etags_and_names(sample: Organisation) -> None:
    export = sample.completed(LEADS)
    url, content = export["files"][0]["url"], sample.download(export)
    whole = sample.http.get(url)
    assert export["files"][0]["name"] in whole.headers["content-disposition"]
    part = sample.http.get(url, headers={"Range": "bytes=3-9"})
    assert (part.status_code, part.content, part.headers["content-range"]) == (206, content[3:10], f"bytes 3-9/{len(content)}")
    assert sample.http.get(url, headers={"If-None-Match": whole.headers["etag"]}).status_code == 304
    assert sample.http.get(url, headers={"Range": f"bytes={len(content)}-"}).status_code == 416
    link = sample.http.get(url, params={"redirect": "true"})
    assert link.status_code == 307
    assert httpx.get(link.headers["location"]).content == content


def test_another_organisation_sees_nothing(stack: Stack, sample: Organisation) -> None:
    export = sample.completed(LEADS)
    other = new_organisation(stack, "Other")
    base = f"/v1/exports/{export['id']}"
    assert [other.http.get(p).status_code for p in (base, f"{base}/events", f"{base}/manifest", export["files"][0]["url"])] == [404] * 4
    assert other.http.delete(base).status_code == 404
    assert export["id"] not in other.http.get("/v1/exports").text
    assert other.download(other.completed({"dataset": "leads", "format": "json"})) == b"[]\n"
    assert sample.http.get(base).json()["status"] == "completed"


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"dataset": "nothing", "format": "csv"}, 400, "dataset"),
        ({"dataset": "leads", "format": "docx"}, 400, "format"),
        ({"dataset": "leads", "format": "txt"}, 422, "format"),
        ({"dataset": "leads", "format": "csv", "columns": ["id", "id"]}, 400, "columns.1"),
        ({"dataset": "leads", "format": "csv", "columns": ["idd"]}, 400, "columns.0"),
        ({"dataset": "leads", "format": "csv", "timezone": "Mars/Olympus"}, 400, "timezone"),
        ({"dataset": "leads", "format": "csv", "filter": {"status": ["'; DROP TABLE leads"]}}, 400, "filter.status.0"),
        ({"dataset": "leads", "format": "csv", "filter": {"colour": "red"}}, 400, "filter.colour"),
        ({"dataset": "messages", "format": "csv", "from": "2026-04-01", "to": "2026-03-01"}, 422, "to"),
        ({"dataset": "messages", "format": "csv"}, 422, "from"),
        ({"dataset": "leads", "format": "csv", "password": "Abcd1234"}, 400, "password"),
        ({"dataset": "leads", "format": "csv", "surprise": 1}, 400, "surprise"),
    ],
)
def test_a_wrong_field_is_named(sample: Organisation, body: dict[str, Any], status: int, field: str) -> None:
    response = sample.http.post("/v1/exports", json=body)
    assert response.status_code == status, response.text
    assert field in [d["field"] for d in response.json()["error"]["details"]]


def test_without_a_key_nothing_is_told(stack: Stack) -> None:
    for headers in ({}, {"Authorization": "Bearer sk_live_0123456789abcdef_0123456789012345678901234567890123456789"}):
        response = httpx.get(f"{stack.url}/v1/exports", headers=headers)
        assert (response.status_code, response.json()["error"]["code"]) == (401, "unauthorized")


def test_an_expired_export_stays_readable_and_its_files_go(sample: Organisation) -> None:
    export = sample.completed(LEADS | {"expires_in_seconds": 1})
    deadline = time.monotonic() + 30
    while (status := sample.http.get(f"/v1/exports/{export['id']}").json()["status"]) != "expired":
        assert time.monotonic() < deadline, status
    gone = sample.http.get(export["files"][0]["url"])
    assert (gone.status_code, gone.json()["error"]["code"]) == (410, "gone")
    assert sample.http.get(export["manifest_url"]).status_code == 410


def test_a_cancelled_export_ends_and_publishes_nothing(sample: Organisation) -> None:
    export = sample.ask({"dataset": "conversations"})
    answer = sample.http.delete(f"/v1/exports/{export['id']}")
    if answer.status_code == 204:  # it was quicker than we were: then it is deleted
        assert sample.http.get(f"/v1/exports/{export['id']}").status_code == 404
        return
    assert answer.status_code == 202
    ended = sample.ended(export["id"])
    assert (ended["status"], ended["files"]) == ("cancelled", [])
    assert sample.http.get(f"/v1/exports/{export['id']}/manifest").status_code == 404
