"""A person who is in finished exports is erased while the store deletes nothing and delivery is killed: in the end all of it has happened, once."""

import json

import pytest

from tests.e2e.conftest import new_organisation
from tests.e2e.test_webhooks import deliveries, subscribe
from tests.operate.conftest import Own, until
from tests.operate.test_dependencies import nothing_left
from tests.receiver import receiving

AT = "2026-03-15T09:00:00Z"
RANGE = {"from": "2026-03-01", "to": "2026-04-01"}
RECORDS = [
    {"type": "lead", "id": "l", "data": {"email": "a@acme.example", "name": "Ada", "created_at": AT}},
    {"type": "contact", "id": "p", "data": {"name": "Ada", "lead_id": "l", "created_at": AT}},
    {"type": "conversation", "id": "c", "data": {"lead_id": "l", "contact_id": "p", "created_at": AT}},
    {"type": "message", "id": "m", "data": {"conversation_id": "c", "created_at": AT, "sender": {"kind": "visitor", "name": "Ada"}, "content": "Hello"}},
]  # fmt: skip


@pytest.mark.parametrize("path", ["/v1/leads/l", "/v1/contacts/p"])
def test_a_recall_survives_a_store_that_refuses_and_a_delivery_that_dies(own: Own, path: str) -> None:
    made = new_organisation(own.stack)
    assert made.send("\n".join(map(json.dumps, RECORDS)).encode())["refused_count"] == 0
    asked = [{"dataset": "leads", "formats": ["csv", "jsonl"]}, {"dataset": "messages", "format": "csv", **RANGE}]
    exports = [made.completed(body) for body in asked]
    with receiving() as receiver:
        endpoint = subscribe(made, receiver.url("/recalls"), events=["export.recalled"])
        with own.door.refusing("?delete", 503, "SlowDown") as refused:
            answer = made.http.delete(path)
            assert answer.status_code == 202
            until(lambda: len(refused) > 1)
            own.kill("delivery")
            before = len(refused)
            until(lambda: len(refused) > before, 60)
            assert not any(nothing_left(own, made, export["id"]) for export in exports)
            for export in exports:  # what still lies in the store can't be had any more
                until(lambda export=export: made.http.get(export["files"][0]["url"]).status_code == 410)  # type: ignore[misc]
        for export in exports:
            until(lambda export=export: nothing_left(own, made, export["id"]), 60)  # type: ignore[misc]
        until(lambda: [each["status"] for each in deliveries(made, endpoint)] == ["delivered"] * len(exports), 120)
        heard = {(json.loads(each.body)["data"]["id"], each.webhook_id) for each in receiver.at("/recalls")}
    assert sorted(export_id for export_id, _ in heard) == sorted(export["id"] for export in exports), (
        "one event each, however often it is sent"
    )
    erasure = made.http.get(answer.headers["location"]).json()
    listed = {each["export_id"]: (each["was"], sorted(each["files"])) for each in erasure["exports"]}
    assert listed == {export["id"]: ("completed", sorted(file["name"] for file in export["files"])) for export in exports}
    assert {made.http.get(f"/v1/exports/{export['id']}").json()["status"] for export in exports} == {"expired"}
    made.http.close()
