"""The OpenAPI document is what the routes say, all of it, and what it shows is true by its own schemas."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from deploy.local.gateway import ROUTES
from shared.http import SCOPES
from shared.openapi import TAGS
from tools.openapi import FILE, METHODS, Route, document, render, routes

# Who may ask, by the contract: a scope, the operator, any key, or nobody who has to say who they are.
OPERATOR, ANY_KEY, NOBODY = "operator", "any key", "nobody"
WHO = {
    "POST /v1/records": "records:write",
    "DELETE /v1/leads/{lead_id}": "leads:write", "DELETE /v1/contacts/{contact_id}": "leads:write", "GET /v1/erasures/{erasure_id}": "leads:read",
    "GET /v1/leads": "leads:read", "GET /v1/leads/search": "leads:read", "POST /v1/leads": "leads:write", "GET /v1/leads/{lead_id}": "leads:read", "PATCH /v1/leads/{lead_id}": "leads:write",
    "POST /v1/exports": "exports:write", "POST /v1/exports/{export_id}/approve": "admin", "POST /v1/exports/{export_id}/reject": "admin", "PUT /v1/exports/{export_id}/hold": "admin", "DELETE /v1/exports/{export_id}/hold": "admin", "POST /v1/exports/preview": "exports:write exports:download",
     "POST /v1/exports/{export_id}/rerun": "exports:write", "DELETE /v1/exports/{export_id}": "exports:write",
    "GET /v1/exports": "exports:read", "GET /v1/exports/{export_id}": "exports:read", "GET /v1/exports/{export_id}/events": "exports:read",
    "GET /v1/exports/{a}/diff/{b}": "exports:read exports:download",
    "GET /v1/exports/{export_id}/manifest": "exports:read", "GET /v1/datasets": "exports:read",
    "GET /v1/exports/{export_id}/files/{name}": "exports:download", "GET /v1/downloads/{token}": NOBODY,
    "GET /v1/leads/{lead_id}/score": "leads:read", "GET /v1/scoring": "leads:read",
    "/v1/export/": "admin",
    "GET /v1/settings": ANY_KEY, "PATCH /v1/settings": "settings:write",
    "POST /v1/api-keys": "admin", "GET /v1/api-keys": "admin", "DELETE /v1/api-keys/{key_id}": "admin", "POST /v1/api-keys/{key_id}/rotate": "admin",
    "GET /v1/audit": "audit:read", "GET /v1/audit/export": "audit:read", "GET /v1/audit/checkpoints": "audit:read", "/v1/operator": OPERATOR,
    "POST /v1/organisations": OPERATOR, "PATCH /v1/organisations/{org_id}": OPERATOR, "GET /v1/usage": ANY_KEY, "GET /v1/organisations": OPERATOR,
    "GET /v1/signing-keys": OPERATOR, "POST /v1/signing-keys/rotate": OPERATOR, "POST /v1/signing-keys/{key_id}/revoke": OPERATOR,
    "/v1/webhook-endpoints": "webhooks:write", "GET /v1/notifications": "exports:read", "POST /v1/settings/alert-channels/test": "settings:write",
    "/v1/destinations": "destinations:write", "GET /v1/deliveries": "exports:read", "GET /v1/deliveries/{delivery_id}": "exports:read",
    "POST /v1/deliveries/{delivery_id}/redeliver": "destinations:write", "/v1/schedules": "schedules:write", "/v1/sftp-users": "sftp:write", "GET /v1/sftp-host-keys": NOBODY, "POST /v1/sftp-host-keys/rotate": OPERATOR,
    "GET /.well-known/waybill-signing-keys.json": NOBODY, "GET /openapi.json": NOBODY, "GET /docs": NOBODY,
}  # fmt: skip


def who_may(method: str, path: str) -> str:
    """By the table; a path without a method stands for all that begins with it."""
    method = "get" if method == "head" else method
    exact = WHO.get(f"{method.upper()} {path}")
    return exact or next((who for prefix, who in WHO.items() if prefix.startswith("/") and path.startswith(prefix)), "not in the table")


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    return document()


def operations(made: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in made["paths"].items():
        for method, said in item.items():
            yield method, path, said


def resolved(made: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    """What a reference stands for."""
    for part in value["$ref"].removeprefix("#/").split("/") if "$ref" in value else ():
        made = made[part]
    return made if "$ref" in value else value


def validator(made: dict[str, Any], schema: Any) -> Draft202012Validator:
    """Of a schema inside the document."""
    rooted = json.loads(json.dumps(schema).replace('"#/', '"urn:document#/'))
    registry: Registry[Any] = Registry().with_resource("urn:document", Resource(contents=made, specification=DRAFT202012))
    return Draft202012Validator(rooted, registry=registry, format_checker=Draft202012Validator.FORMAT_CHECKER)


def test_the_document_is_up_to_date_and_valid(made: dict[str, Any]) -> None:
    assert FILE.read_text("utf-8") == render(made), "python -m tools.openapi --write"
    assert [error.message for error in OpenAPIV31SpecValidator(made).iter_errors()] == []


def test_every_route_is_in_it_and_nothing_else(made: dict[str, Any]) -> None:
    there = {(route.method, route.path) for route in routes()}
    assert {(method, path) for method, path, _ in operations(made)} == there
    assert {method for method, _ in there} <= set(METHODS)
    assert {route.service for route in routes()} == {"ingest", "export_request", "delivery"}


def test_the_gateway_leads_to_the_service_that_has_the_route() -> None:
    """A path of the contract whose service isn't the one that the gateway asks would be documented and not there."""

    def asked(path: str) -> str:
        return next((name for name, patterns in ROUTES.items() if any(_fits(path, pattern) for pattern in patterns)), "export_request")

    wrong = [route.place for route in routes() if asked(route.path.replace("{", "").replace("}", "")) != route.service]
    assert wrong == []


def _fits(path: str, pattern: str) -> bool:
    """As Caddy matches: `*` stands for anything but, at the end, for anything at all."""
    head, star, rest = pattern.partition("*")
    if not star:
        return path == pattern
    return path.startswith(head) and (not rest or (rest.partition("*")[0] in path[len(head) :] or path.endswith(rest)))


@pytest.mark.parametrize("route", list(routes()), ids=lambda route: route.place)
def test_who_may_ask_is_what_the_contract_says(route: Route, made: dict[str, Any]) -> None:
    """The document's scopes are read from the very thing that guards the route; this is the contract's side."""
    security = made["paths"][route.path][route.method]["security"]
    expected = {OPERATOR: [{"operator": []}], ANY_KEY: [{"apiKey": []}], NOBODY: []}
    who = who_may(route.method, route.path)
    assert security == expected.get(who, [{"apiKey": who.split()}])
    assert who in expected or set(who.split()) <= set(SCOPES)


def test_operations_have_a_name_a_subject_and_every_answer(made: dict[str, Any]) -> None:
    ids = [said["operationId"] for _, _, said in operations(made)]
    assert len(set(ids)) == len(ids)
    for method, path, said in operations(made):
        assert said["summary"] and set(said["tags"]) <= TAGS.keys(), path
        statuses = set(said["responses"])
        assert statuses >= {"400", "503"} | ({"401"} if said["security"] else set()) | (
            {"413", "415"} if "requestBody" in said else set()
        ), path
        assert any(status.startswith("2") for status in statuses), path
        assert (
            method != "post"
            or not path.endswith("s")
            or "201" in statuses
            or "202" in statuses
            or path in ("/v1/records", "/v1/operator/mail/bounces")
        )
    used = {tag for _, _, said in operations(made) for tag in said["tags"]}
    assert used == TAGS.keys()


def test_links_lead_to_operations_and_their_parameters(made: dict[str, Any]) -> None:
    by_id = {said["operationId"]: said for _, _, said in operations(made)}
    found = 0
    for _, path, said in operations(made):
        for response in said["responses"].values():
            for link in resolved(made, response).get("links", {}).values():
                target = {resolved(made, p)["name"] for p in by_id[link["operationId"]].get("parameters", ())}
                assert link["parameters"].keys() <= target, path
                found += 1
    assert found >= 10


def test_bodies_have_examples_that_their_schemas_take(made: dict[str, Any]) -> None:
    for method, path, said in operations(made):
        for media, content in said.get("requestBody", {}).get("content", {}).items():
            if media == "application/json" and said["requestBody"]["required"]:
                assert "example" in content, f"{method} {path}"
            if "example" in content:
                assert [e.message for e in validator(made, content["schema"]).iter_errors(content["example"])] == [], path


def test_examples_of_answers_are_answers(made: dict[str, Any]) -> None:
    """Every JSON answer has an example: of its own, or of what it holds."""
    for name, schema in made["components"]["schemas"].items():
        for example in schema.get("examples", ()):
            assert [e.message for e in validator(made, schema).iter_errors(example)] == [], name
    for method, path, said in operations(made):
        for status, response in said["responses"].items():
            content = resolved(made, response).get("content", {}).get("application/json")
            if content is not None and content and path != "/openapi.json":
                assert "example" in content or '"examples"' in json.dumps(_opened(made, content["schema"])), f"{method} {path} {status}"


def _opened(made: dict[str, Any], value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _opened(made, each) for name, each in resolved(made, value).items()}
    return [_opened(made, each) for each in value] if isinstance(value, list) else value


def test_errors_have_the_contracts_shape(made: dict[str, Any]) -> None:
    for name, response in made["components"]["responses"].items():
        content = response["content"]["application/json"]
        assert content["schema"] == {"$ref": "#/components/schemas/Error"}
        assert [e.message for e in validator(made, content["schema"]).iter_errors(content["example"])] == [], name
    assert made["components"]["responses"]["Unavailable"]["headers"].keys() == {"Retry-After"}
