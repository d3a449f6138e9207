"""A schedule of deltas on the real stack: its runs' files, one applied after the other, are at every moment what a whole export holds."""

import json
import random
from typing import Any

from tests.e2e.conftest import Organisation
from tests.e2e.test_schedules import run_of

EXPORT: dict[str, Any] = {
    "dataset": "leads",
    "format": "jsonl",
    "columns": ["id", "email", "status"],
    "filter": {"status": ["new", "qualified"]},
}
ROUNDS, LEADS = 6, 12


def changes(chance: random.Random) -> bytes:
    """Some leads written, changed, taken out of the filter and brought back, deleted and made anew."""
    lines = []
    for number in chance.sample(range(LEADS), chance.randrange(LEADS)):
        if chance.random() < 0.3:
            lines.append({"type": "lead", "id": f"lead_{number}", "op": "delete"})
        else:
            status = chance.choice(["new", "qualified", "lost"])
            data = {
                "email": f"{number}.{chance.randrange(3)}@b.example",
                "status": status,
                "created_at": f"2026-03-{number + 1:02}T00:00:00Z",
            }
            lines.append({"type": "lead", "id": f"lead_{number}", "data": data})
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def lines_of(organisation: Organisation, export: dict[str, Any], number: int = 0) -> dict[str, bytes]:
    return {json.loads(line)["id"]: line for line in organisation.download(export, number).splitlines()}


def test_applied_one_after_the_other_the_files_are_the_whole(organisation: Organisation) -> None:
    chance = random.Random(7)
    body = {"name": "Leads", "frequency": "weekly", "export": {**EXPORT, "since": "previous"}}
    schedule = organisation.http.post("/v1/schedules", json=body).raise_for_status().json()
    held: dict[str, bytes] = {}
    deltas, base = 0, None
    for _ in range(ROUNDS):
        organisation.send(changes(chance))
        organisation.http.post(f"/v1/schedules/{schedule['id']}/run").raise_for_status()
        run = run_of(organisation, schedule["id"])
        assert (run["status"], run["delta"]["since"]) == ("completed", base), run
        export = organisation.http.get(f"/v1/exports/{run['export_id']}").json()
        if run["delta"]["whole"]:
            held = {}
        else:
            deltas += 1
            assert export["files"][1]["name"] == "deleted.jsonl"
            for gone in lines_of(organisation, export, 1):
                del held[gone]
        held |= lines_of(organisation, export)
        whole = organisation.completed(EXPORT)
        assert sorted(held.values()) == sorted(lines_of(organisation, whole).values())
        base = run["export_id"]
    assert (deltas, bool(held)) == (ROUNDS - 1, True)
