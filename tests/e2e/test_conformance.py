"""The contract of an export's life, walked over HTTP as a client of somebody else would: asked for, watched, taken, cancelled, expired, deleted.

At every step another organisation finds nothing there.
"""

import json
import time
from collections.abc import Iterator
from typing import Any

import boto3
import httpx
import pytest

from tests.conftest import Stack
from tests.e2e.conftest import ENDED, WAIT_SECONDS, Organisation, new_organisation

LEADS: dict[str, Any] = {"dataset": "leads", "format": "csv"}


@pytest.fixture(scope="module")
def stranger(stack: Stack) -> Iterator[Organisation]:
    """Another organisation, with a key that may do everything there."""
    made = new_organisation(stack, "Stranger")
    yield made
    made.http.close()


def path(export: dict[str, Any]) -> str:
    return f"/v1/exports/{export['id']}"


def shown(organisation: Organisation, export: dict[str, Any]) -> dict[str, Any]:
    answer = organisation.http.get(path(export))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def polled(organisation: Organisation, export: dict[str, Any]) -> dict[str, Any]:
    """The export once it has ended, looked at as often as Retry-After allows; what counts up never goes back."""
    deadline, written = time.monotonic() + WAIT_SECONDS, 0
    while (answer := organisation.http.get(path(export))).json()["status"] not in ENDED:
        assert time.monotonic() < deadline, answer.text
        assert answer.json()["progress"]["rows_written"] >= written
        written = answer.json()["progress"]["rows_written"]
        time.sleep(int(answer.headers["retry-after"]))  # the contract's own pause
    assert "retry-after" not in answer.headers
    found: dict[str, Any] = answer.json()
    return found


def becomes(organisation: Organisation, export: dict[str, Any], status: str) -> dict[str, Any]:
    deadline = time.monotonic() + WAIT_SECONDS
    while (found := shown(organisation, export))["status"] != status:
        assert time.monotonic() < deadline, found
    return found


def answers(organisation: Organisation, export: dict[str, Any]) -> list[int]:
    """What the export, its manifest and its first file answer; files of an export that has none are asked for by the name they would have."""
    name = f"{export['dataset']}_{export['id']}.{export['format']}"
    return [organisation.http.get(f"{path(export)}{more}").status_code for more in ("", "/manifest", f"/files/{name}")]


def not_there(stranger: Organisation, export: dict[str, Any]) -> None:
    """Whatever is asked of another organisation's export."""
    assert answers(stranger, export) == [404] * 3
    assert stranger.http.get(f"{path(export)}/events").status_code == 404
    assert stranger.http.post(f"{path(export)}/rerun").status_code == 404
    assert stranger.http.delete(path(export)).status_code == 404
    assert export["id"] not in stranger.http.get("/v1/exports").text


def cancelled(organisation: Organisation) -> dict[str, Any]:
    """An export that was cancelled before it ended by itself."""
    while True:
        export = organisation.ask({"dataset": "conversations", "format": "jsonl"})
        answer = organisation.http.delete(path(export))
        if answer.status_code == 202:
            return export
        assert answer.status_code == 204, answer.text  # it was quicker than we were: then it is deleted


def test_asked_for_watched_taken_and_deleted(sample: Organisation, stranger: Organisation) -> None:
    answer = sample.http.post("/v1/exports", json=LEADS)
    assert answer.status_code == 202, answer.text
    export = answer.json()
    assert answer.headers["location"].endswith(path(export))
    assert int(answer.headers["retry-after"]) >= 1
    not_there(stranger, export)
    done = polled(sample, export)
    assert (done["status"], done["progress"]["percent"]) == ("completed", 100)
    assert done["completed_at"] >= done["started_at"] >= done["created_at"]
    assert done["progress"]["rows_planned"] == done["progress"]["rows_written"] + sum(each["rows"] for each in done["excluded"])
    manifest = sample.http.get(done["manifest_url"]).json()
    named = [{name: file[name] for name in ("name", "rows", "bytes", "sha256")} for file in manifest["files"]]
    assert named == [{name: file[name] for name in ("name", "rows", "bytes", "sha256")} for file in done["files"]]
    assert len(sample.download(done)) == done["files"][0]["bytes"]
    assert answers(sample, done) == [200] * 3
    not_there(stranger, done)
    assert sample.http.delete(path(done)).status_code == 204
    for organisation in (sample, stranger):
        assert answers(organisation, done) == [404] * 3
    assert sample.http.get(done["files"][0]["url"]).status_code == 404
    assert sample.http.delete(path(done)).status_code == 404
    assert done["id"] not in sample.http.get("/v1/exports").text


def test_a_key_means_one_export(sample: Organisation, stranger: Organisation) -> None:
    first = sample.ask(LEADS, key="conformance")
    assert sample.ask({"format": "csv", "dataset": "leads"}, key="conformance")["id"] == first["id"]
    other = sample.http.post("/v1/exports", json=LEADS | {"format": "json"}, headers={"Idempotency-Key": "conformance"})
    assert (other.status_code, other.json()["error"]["code"]) == (409, "conflict")
    assert stranger.ask(LEADS, key="conformance")["id"] != first["id"], "keys are each organisation's own"
    polled(sample, first)
    assert sample.ask(LEADS, key="conformance")["id"] == first["id"], "also once it has ended"


def test_cancelled_it_ends_without_files_and_stays_readable(stack: Stack, sample: Organisation, stranger: Organisation) -> None:
    export = cancelled(sample)
    ended = sample.ended(export["id"])
    assert (ended["status"], ended["files"], ended["manifest_url"], ended["error"]) == ("cancelled", [], None, None)
    assert answers(sample, export) == [200, 404, 404]
    not_there(stranger, export)
    store = boto3.client(
        "s3", endpoint_url=stack.env["WAYBILL_S3_ENDPOINT"], region_name="us-east-1",
        aws_access_key_id=stack.env["WAYBILL_S3_ACCESS_KEY"], aws_secret_access_key=stack.env["WAYBILL_S3_SECRET_KEY"],
    )  # fmt: skip
    deadline = time.monotonic() + WAIT_SECONDS
    for prefix in (f"parts/{export['id']}/", f"files/{sample.org_id}/{export['id']}/"):
        while store.list_objects_v2(Bucket=stack.env["WAYBILL_S3_BUCKET"], Prefix=prefix).get("KeyCount"):
            assert time.monotonic() < deadline, "its parts are still there"
    assert shown(sample, export)["status"] == "cancelled"
    assert sample.http.delete(path(export)).status_code == 204
    assert answers(sample, export) == [404] * 3


def test_expired_it_stays_readable_and_its_files_are_gone(sample: Organisation, stranger: Organisation) -> None:
    done = sample.completed(LEADS | {"expires_in_seconds": 1})
    expired = becomes(sample, done, "expired")
    assert expired["manifest_url"] is None
    gone = sample.http.get(done["files"][0]["url"])
    assert (gone.status_code, gone.json()["error"]["code"]) == (410, "gone")
    assert answers(sample, done) == [200, 410, 410]
    not_there(stranger, done)
    assert sample.http.delete(path(done)).status_code == 204
    assert answers(sample, done) == [404] * 3


def test_a_strangers_attempts_changed_nothing(sample: Organisation, stranger: Organisation) -> None:
    done = sample.completed(LEADS)
    not_there(stranger, done)
    assert answers(sample, done) == [200] * 3
    assert stranger.download(stranger.completed({"dataset": "leads", "format": "json"})) == b"[]\n"


def test_events_tell_progress_and_the_end(sample: Organisation) -> None:
    export = sample.ask(LEADS)
    with sample.http.stream("GET", f"/v1/exports/{export['id']}/events") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        data = [json.loads(line[5:]) for line in response.iter_lines() if line.startswith("data:") and line[5:].strip()]
    assert data[-1]["status"] == "completed"


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


def test_without_a_key_nothing_is_told(stack: Stack) -> None:
    for headers in ({}, {"Authorization": "Bearer sk_live_0123456789abcdef_0123456789012345678901234567890123456789"}):
        response = httpx.get(f"{stack.url}/v1/exports", headers=headers)
        assert (response.status_code, response.json()["error"]["code"]) == (401, "unauthorized")


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
        ({"dataset": "leads", "format": "csv", "password": "Abcd1234"}, 422, "password"),
        ({"dataset": "leads", "format": "csv", "password": "short"}, 400, "password"),
        ({"dataset": "chat-data", "from": "2026-01-01", "to": "2026-02-01", "purpose": "why"}, 422, "password"),
        ({"dataset": "chat-data", "from": "2026-01-01", "to": "2026-02-01", "password": "Abcd1234"}, 422, "purpose"),
        ({"dataset": "leads", "format": "csv", "surprise": 1}, 400, "surprise"),
    ],
)
def test_a_wrong_field_is_named(sample: Organisation, body: dict[str, Any], status: int, field: str) -> None:
    response = sample.http.post("/v1/exports", json=body)
    assert response.status_code == status, response.text
    assert field in [d["field"] for d in response.json()["error"]["details"]]
