"""A canary: every operation of every service, with the ids of another organisation. It finds nothing, changes nothing, and is told nothing; and no key may more than it says."""

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from shared.http import SCOPES
from tests.conftest import Stack
from tests.e2e.conftest import Organisation, new_organisation
from tests.e2e.test_webhooks import until
from tools.openapi import Route, routes

CANARY = "canary-7f3a"
# Operations with ids in the path that are no organisation's: the token is the credential, the keys that sign are the operator's.
NOBODYS = {
    "/v1/operator/reconciliations/{reconciliation_id}",
    "/v1/downloads/{token}",
    "/v1/signing-keys/{key_id}/revoke",
    "/v1/organisations/{org_id}",
}
BODIES: dict[str, Any] = {
    "PATCH /v1/webhook-endpoints/{endpoint_id}": {"enabled": False}, "POST /v1/webhook-endpoints/{endpoint_id}/recover": {"since": "2026-01-01"},
    "PATCH /v1/leads/{lead_id}": {"name": "stolen"}, "PUT /v1/exports/{export_id}/hold": {"reason": "stolen"}, "PATCH /v1/schedules/{schedule_id}": {"name": "stolen"},
    "POST /v1/schedules/{schedule_id}/backfill": {"from": "2026-01-01", "to": "2026-02-01"}, "PATCH /v1/sftp-users/{user_id}": {"allowed_networks": []},
    "PATCH /v1/destinations/{destination_id}": {"name": "stolen"},
}  # fmt: skip
ROUTES = [route for route in routes() if route.guard is not None]


class Victim:
    """An organisation that has one of everything, and the ids of it by the names that paths give them."""

    def __init__(self, organisation: Organisation) -> None:
        self.organisation, http = organisation, organisation.http
        contacts = [
            {"type": "contact", "id": f"{name}_{CANARY}", "data": {"name": CANARY, "created_at": "2026-03-01T00:00:00Z"}}
            for name in ("contact", "gone")
        ]
        organisation.send("\n".join(map(json.dumps, contacts)).encode())
        erased = http.delete(f"/v1/contacts/gone_{CANARY}").raise_for_status().json()  # before the export, which would be recalled
        organisation.send(
            json.dumps(
                {
                    "type": "lead",
                    "id": f"lead_{CANARY}",
                    "data": {"email": f"{CANARY}@example.org", "name": CANARY, "created_at": "2026-03-01T00:00:00Z"},
                }
            ).encode()
        )
        wanted = {"name": CANARY, "type": "sftp", "config": {"host": "127.0.0.1", "username": CANARY, "password": CANARY}}
        destination = http.post("/v1/destinations", json=wanted).raise_for_status().json()["id"]
        http.post(f"/v1/destinations/{destination}/pause").raise_for_status()  # what is brought there is held, and stays as it is
        brought = [{"type": "sftp", "id": destination}]
        self.export = organisation.completed({"dataset": "leads", "format": "csv", "labels": {"x": CANARY}, "destinations": brought})
        deliveries = f"/v1/deliveries?export_id={self.export['id']}"
        held = until(lambda: http.get(deliveries).raise_for_status().json()["data"])
        key = http.post("/v1/api-keys", json={"name": CANARY, "scopes": ["exports:read"]}).raise_for_status().json()
        hook = http.post("/v1/webhook-endpoints", json={"url": "http://127.0.0.1:9/x", "description": CANARY}).raise_for_status().json()
        test = http.post(f"/v1/webhook-endpoints/{hook['id']}/test").raise_for_status().json()
        asked = {"name": CANARY, "frequency": "weekly", "export": {"dataset": "leads"}}
        schedule = http.post("/v1/schedules", json=asked).raise_for_status().json()
        http.post(f"/v1/schedules/{schedule['id']}/pause").raise_for_status()
        user = http.post("/v1/sftp-users", json={"username": f"{CANARY}-{organisation.org_id[-8:]}"}).raise_for_status().json()
        http.patch("/v1/settings", json={"name": CANARY}).raise_for_status()
        self.ids = {
            "export_id": self.export["id"], "a": self.export["id"], "b": self.export["id"], "name": self.export["files"][0]["name"], "key_id": key["id"], "endpoint_id": hook["id"],
            "delivery_id": test["delivery"]["id"], "lead_id": f"lead_{CANARY}", "contact_id": f"contact_{CANARY}", "erasure_id": erased["id"], "schedule_id": schedule["id"], "user_id": user["id"],
            "destination_id": destination, "held_id": held[0]["id"],
        }  # fmt: skip

    def everything(self) -> dict[str, Any]:
        """All that its own key is shown, but for what time or looking changes."""
        seen = {}
        for route in ROUTES:
            if (
                route.method == "get"
                and not route.path.startswith(("/v1/operator", "/v1/organisations", "/v1/signing", "/v1/usage", "/v1/audit"))
                and "events" not in route.path
            ):
                answer = self.organisation.http.get(path_of(route, self.ids), params=parameters(route))
                seen[route.path] = (
                    answer.status_code,
                    re.sub(r'"(last_used_at|next_cursor|at|next_attempt_at)": ?"[^"]*"', "", answer.text),
                )
        return seen


def path_of(route: Route, ids: dict[str, str]) -> str:
    names = re.findall(r"{(\w+)}", route.path)
    if route.path.startswith("/v1/deliveries"):  # webhooks have deliveries of their own
        ids = ids | {"delivery_id": ids["held_id"]}
    unknown = [name for name in names if name not in ids and route.path not in NOBODYS]
    assert not unknown, f"{route.place}: the canary has no id for {unknown}; make one of it in Victim"
    return route.path.format(**{name: ids.get(name, "x") for name in names})


def parameters(route: Route) -> dict[str, str]:
    return {"q": CANARY} if route.path == "/v1/leads/search" else {}


@pytest.fixture(scope="module")
def victim(stack: Stack) -> Victim:
    return Victim(new_organisation(stack, "Victim"))


@pytest.fixture(scope="module")
def stranger(stack: Stack) -> Iterator[Organisation]:
    made = new_organisation(stack, "Stranger")
    yield made
    made.http.close()


def test_another_organisation_s_ids_find_nothing_and_nothing_is_told_or_changed(victim: Victim, stranger: Organisation) -> None:
    before = victim.everything()
    assert CANARY in str(before)
    for route in ROUTES:
        operators = route.path in NOBODYS or route.path.startswith(("/v1/operator", "/v1/organisations", "/v1/signing-keys"))
        body = BODIES.get(f"{route.method.upper()} {route.path}") if route.method in ("patch", "post", "put") else None
        headers = {"Accept": "text/event-stream"} if "events" in route.path else {}
        answer = stranger.http.request(route.method, path_of(route, victim.ids), json=body, params=parameters(route), headers=headers)
        if operators:
            assert answer.status_code == 401, route.place
        elif "{" in route.path:
            assert answer.status_code == 404, (route.place, answer.text)
        else:
            assert answer.status_code < 500, (route.place, answer.text)
        told = answer.text
        for name in re.findall(r"{(\w+)}", route.path):  # what was asked for may be said again
            told = told.replace(victim.ids.get(name, "{none}"), "")
        assert not [
            secret for secret in (CANARY, victim.organisation.org_id, *(v for v in victim.ids.values() if len(v) > 8)) if secret in told
        ], (route.place, answer.text)
    assert victim.everything() == before


def test_a_key_may_what_its_scopes_say_on_every_route(victim: Victim) -> None:
    """Each route, by a key that has every scope but the one it needs: 403 that names it, before anything else is looked at."""
    without: dict[str, httpx.Client] = {}
    for route in ROUTES:
        scopes = getattr(route.guard, "scopes", ())
        for scope in scopes:
            if scope not in without:
                others = [s for s in SCOPES if s not in (scope, "admin")]
                key = (
                    victim.organisation.http.post("/v1/api-keys", json={"name": f"all but {scope}", "scopes": others})
                    .raise_for_status()
                    .json()["key"]
                )
                without[scope] = httpx.Client(
                    base_url=victim.organisation.http.base_url, headers={"Authorization": f"Bearer {key}"}, timeout=30
                )
            answer = without[scope].request(route.method, path_of(route, victim.ids))
            assert answer.status_code == 403, (route.place, answer.text)
            assert route.method == "head" or f"'{scope}'" in answer.json()["error"]["message"], route.place


@pytest.mark.parametrize("kind", ["none", "wrong", "unknown", "revoked", "expired", "garbage"])
def test_a_key_that_is_not_good_is_told_the_same_everywhere(victim: Victim, kind: str) -> None:
    http = victim.organisation.http
    made = (
        http.post("/v1/api-keys", json={"name": "k", "scopes": ["admin"], **({"expires_in_seconds": 1} if kind == "expired" else {})})
        .raise_for_status()
        .json()
    )
    key_id, secret = made["key"].removeprefix("sk_live_").split("_")
    if kind == "revoked":
        http.delete(f"/v1/api-keys/{made['id']}").raise_for_status()
    authorization = {
        "none": None, "wrong": f"Bearer sk_live_{key_id}_{secret[::-1]}", "unknown": f"Bearer sk_live_{key_id[::-1]}_{secret}",
        "garbage": "Bearer sk_live_\u00e9".encode("latin-1").decode("latin-1"),
    }.get(kind, f"Bearer {made['key']}")  # fmt: skip
    headers = {} if authorization is None else {"Authorization": authorization.encode("latin-1")}
    with httpx.Client(base_url=http.base_url, timeout=30) as client:
        while kind == "expired" and client.get("/v1/settings", headers=headers).status_code != 401:
            pass
        answers = {
            (a.status_code, a.headers["www-authenticate"], a.text)
            for r in ROUTES
            if r.method != "head"
            for a in [client.request(r.method, path_of(r, victim.ids), headers=headers)]
        }
    expected = {"code": "unauthorized", "message": "Invalid or missing API key."}
    assert [
        (status, challenge, {k: v for k, v in json.loads(text)["error"].items() if k != "doc_url"}) for status, challenge, text in answers
    ] == [(401, "Bearer", expected)]
