"""A schedule from the API to the file, over HTTP and in the SFTP server's folder."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncssh

from tests.conftest import Stack
from tests.e2e.conftest import WAIT_SECONDS, Organisation

HOUR = timedelta(hours=1)


def run_of(organisation: Organisation, schedule_id: str) -> dict[str, Any]:
    """The newest run once it has ended."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        run: dict[str, Any] = organisation.http.get(f"/v1/schedules/{schedule_id}/runs").raise_for_status().json()["data"][0]
        if run["status"] not in ("waiting", "running"):
            return run
        assert time.monotonic() < deadline, run
        time.sleep(0.05)


async def test_a_run_ends_as_a_file_of_its_window_in_its_folder(stack: Stack, organisation: Organisation) -> None:
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    for number, at in enumerate([end - HOUR, end - timedelta(milliseconds=1), end - HOUR - timedelta(milliseconds=1), end]):
        lead = f'{{"type": "lead", "id": "lead_{number}", "data": {{"email": "a{number}@b.example", "created_at": "{at.isoformat()}"}}}}'
        organisation.send(lead.encode())
    body = {
        "name": "Leads",
        "export": {"dataset": "leads", "format": "csv", "columns": ["id"]},
        "frequency": "hourly",
        "timezone": "Asia/Kolkata",
        "sftp": True,
    }
    made = organisation.http.post("/v1/schedules", json=body | {"timezone": "UTC"})
    assert made.status_code == 201, made.text
    schedule_id = made.json()["id"]
    asked = organisation.http.post(f"/v1/schedules/{schedule_id}/run")
    assert asked.status_code == 202, asked.text
    run = run_of(organisation, schedule_id)
    assert (run["status"], run["kind"], run["rows"]) == ("completed", "manual", 2), run
    export = organisation.http.get(f"/v1/exports/{run['export_id']}").json()
    assert export["schedule_id"] == schedule_id and export["files"][0]["name"] == run["file_name"]
    assert run["file_name"].startswith(f"{organisation.org_id}_leads_{end - HOUR:%d%m%Y%H%M%S}_{end:%d%m%Y%H%M%S}_")
    content = organisation.download(export)
    assert content.decode("utf-8-sig") == '"id"\r\n"lead_0"\r\n"lead_1"\r\n', "from the first instant to the last, and no other"

    user = organisation.http.post("/v1/sftp-users", json={"username": organisation.org_id.replace("_", "-")}).raise_for_status().json()
    host, _, port = stack.env["WAYBILL_SFTP"].rpartition(":")
    login = {
        "username": user["username"],
        "password": user["password"],
        "known_hosts": None,
        "client_keys": None,
        "config": None,
        "agent_path": None,
    }
    async with asyncssh.connect(host, int(port), **login) as connection, connection.start_sftp_client() as client:
        assert run["file_name"] in await client.listdir("/export/leads")
        async with client.open(f"/export/leads/{run['file_name']}", "rb") as file:
            assert await file.read() == content
    assert organisation.http.delete(f"/v1/schedules/{schedule_id}").status_code == 204
