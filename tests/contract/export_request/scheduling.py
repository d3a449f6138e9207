"""What tests of schedules do: make one, let the scheduler work, look at what came of it."""

from datetime import UTC, datetime
from typing import Any

from tests.contract.export_request.conftest import Caller, World

LEADS: dict[str, Any] = {
    "name": "Leads, hourly",
    "export": {"dataset": "leads", "format": "csv"},
    "frequency": "hourly",
    "timezone": "Europe/Brussels",
    "sftp": True,
}
NOON = datetime(2026, 3, 28, 12, 20, tzinfo=UTC)
HOUR = 3600.0


async def make(caller: Caller, **changes: Any) -> dict[str, Any]:
    answer = await caller.call("POST", "/v1/schedules", json=LEADS | changes)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"/v1/schedules/{made['id']}"
    return made


async def look(caller: Caller, schedule_id: str) -> dict[str, Any]:
    answer = await caller.call("GET", f"/v1/schedules/{schedule_id}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def runs(caller: Caller, schedule_id: str, **query: Any) -> list[dict[str, Any]]:
    answer = await caller.call("GET", f"/v1/schedules/{schedule_id}/runs", params=query)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


async def tick(world: World) -> None:
    """The scheduler until there is nothing more to do, and every export that it began to its end."""
    while True:
        done = await world.parts.scheduler.step()
        running = await world.admin.fetch(
            "SELECT id FROM exports.exports WHERE status IN ('accepted', 'planning', 'formatting', 'assembling')"
        )
        if not done and not running:
            return
        for row in running:
            await world.drive(row["id"])


def windows_of(found: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(r["window"]["from"], r["window"]["to"]) for r in found]
