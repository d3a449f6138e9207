"""Files of a schedule's run that are not brought: the run says it, the feed tells it, and webhooks hear of it once. The stack has no mail server, so mail is given up at once."""

from typing import Any

from tests.conftest import Stack
from tests.e2e.conftest import Organisation
from tests.e2e.test_schedules import run_of
from tests.e2e.test_webhooks import until
from tests.receiver import receiving

ADA = "ada@customer.example"


def test_a_delivery_that_is_given_up_is_told_everywhere_once(stack: Stack, organisation: Organisation) -> None:
    http = organisation.http
    with receiving() as receiver:
        hook = (
            http.post("/v1/webhook-endpoints", json={"url": receiver.url("/hook"), "events": ["schedule.delivery_failed"]})
            .raise_for_status()
            .json()
        )
        body: dict[str, Any] = {
            "name": "Leads to Ada", "frequency": "weekly", "timezone": "UTC", "export": {"dataset": "leads", "format": "csv"},
            "destinations": [{"type": "email", "to": [ADA]}],
        }  # fmt: skip
        schedule = http.post("/v1/schedules", json=body).raise_for_status().json()
        http.post(f"/v1/schedules/{schedule['id']}/run").raise_for_status()
        run = run_of(organisation, schedule["id"])
        assert run["status"] == "completed", run

        def failed() -> list[Any]:
            shown: list[Any] = http.get(f"/v1/schedules/{schedule['id']}/runs").json()["data"][0]["deliveries"]
            return [d for d in shown if d["status"] == "failed"]

        (delivery,) = until(failed)
        assert (delivery["destination"], delivery["type"], delivery["error"]["code"]) == (None, "email", "rejected")
        (received,) = until(lambda: receiver.at("/hook"))
        told = received.verified(hook["secret"])
        assert (told["type"], told["data"]["delivery_id"], told["data"]["schedule_id"]) == (
            "schedule.delivery_failed",
            delivery["id"],
            schedule["id"],
        )
        (notified,) = http.get("/v1/notifications", params={"kind": "delivery_failed"}).json()["data"]
        assert notified["subject"]["delivery_id"] == delivery["id"] and "no mail server" in notified["message"]
        assert ADA not in str(told) and ADA not in notified["message"]
        listed = until(
            lambda: [d for d in http.get(f"/v1/webhook-endpoints/{hook['id']}/deliveries").json()["data"] if d["status"] == "delivered"]
        )
        assert (len(listed), len(receiver.at("/hook"))) == (1, 1)
