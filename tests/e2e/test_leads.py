"""Leads over HTTP, from the API to the file."""

import json
from typing import Any

from tests.conftest import Stack
from tests.e2e.conftest import new_organisation


def test_a_lead_created_here_is_in_the_next_export(stack: Stack) -> None:
    organisation = new_organisation(stack)
    http = organisation.http
    fields = {"budget": "$5k-$10k/mo", "industry": "FinTech", "seats": 12.5, "éa": None, "z": 1e-7}
    made = http.post(
        "/v1/leads", json={"email": "james@techstart.example", "name": "James Rodriguez", "tags": ["inbound"], "customFields": fields}
    )
    assert made.status_code == 201, made.text
    lead = made.json()
    first = organisation.completed({"dataset": "leads", "format": "jsonl"})
    assert http.patch(f"/v1/leads/{lead['id']}", json={"status": "qualified"}).status_code == 200
    record: dict[str, Any] = {"type": "conversation", "id": "c1", "data": {"lead_id": lead["id"], "created_at": "2026-04-05T15:10:00Z"}}
    organisation.send(json.dumps(record).encode())
    second = organisation.completed({"dataset": "leads", "format": "jsonl"})
    before, after = (json.loads(organisation.download(export)) for export in (first, second))
    assert (before["id"], before["email"], before["status"], before["conversations"]) == (lead["id"], "james@techstart.example", "new", [])
    assert (after["status"], [c["id"] for c in after["conversations"]]) == ("qualified", ["c1"])
    canonical = '{"budget":"$5k-$10k/mo","industry":"FinTech","seats":12.5,"z":1e-7,"éa":null}'
    assert f'"custom_properties":{canonical}'.encode() in organisation.download(second)
    shown = http.get(f"/v1/leads/{lead['id']}").json()
    assert (shown["conversationCount"], shown["status"], shown["customFields"]) == (1, "qualified", fields)
    assert http.get("/v1/leads", params={"status": "qualified"}).json()["pagination"]["total"] == 1
