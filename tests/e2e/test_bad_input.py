"""What no operation takes, tried on each operation of the document: bodies that are too large or no good JSON, keys that are no good."""

import json
import secrets
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest

from shared.http import SCOPES
from tests.conftest import Stack
from tests.e2e.conftest import Organisation, new_organisation
from tools.openapi import FILE

DOCUMENT: dict[str, Any] = json.loads(FILE.read_text("utf-8"))
OPERATIONS = [(method.upper(), path, said) for path, item in DOCUMENT["paths"].items() for method, said in item.items()]
GUARDED = [each for each in OPERATIONS if each[2]["security"]]
SCOPED = [each for each in GUARDED if each[2]["security"][0].get("apiKey")]
JSON_BODIES = [each for each in OPERATIONS if "application/json" in each[2].get("requestBody", {}).get("content", {})]
REQUIRED_BODIES = [each for each in JSON_BODIES if each[2]["requestBody"]["required"]]
DEEP = b'{"a":' * 10_000 + b"1" + b"}" * 10_000
BAD_JSON = {
    "ten thousand deep": DEEP, "lists ten thousand deep": b"[" * 10_000, "a key twice": b'{"a": 1, "a": 1}', "a lone surrogate": b'{"a": "\\ud800"}',
    "a lone surrogate as a key": b'{"\\udfff": 1}', "U+0000": b'{"a": "\\u0000"}', "not UTF-8": b'{"a": "\xff"}', "NaN": b'{"a": NaN}', "a number beyond a double": b'{"a": 1e999}',
    "digits without end": b'{"a": ' + b"9" * 5_000 + b"}", "nothing": b"", "two values": b"{} {}", "a list": b"[]", "a byte order mark": b"\xef\xbb\xbf{}",
}  # fmt: skip


def name_of(operation: tuple[str, str, Any]) -> str:
    return f"{operation[0]} {operation[1]}"


def path_of(operation: tuple[str, str, Any]) -> str:
    return operation[1].replace("{", "no-such-").replace("}", "")


def token_for(operation: tuple[str, str, Any], stack: Stack, organisation: Organisation) -> dict[str, str]:
    operators = operation[2]["security"] == [{"operator": []}]
    return {"Authorization": f"Bearer {stack.env['WAYBILL_OPERATOR_TOKEN'] if operators else organisation.api_key}"}


@pytest.fixture(scope="module")
def http(stack: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.url, timeout=30) as client:
        yield client


def make_key(organisation: Organisation, scopes: list[str], **more: Any) -> dict[str, Any]:
    made = organisation.http.post("/v1/api-keys", json={"name": "one of a test", "scopes": scopes, **more})
    assert made.status_code == 201, made.text
    key: dict[str, Any] = made.json()
    return key


@pytest.fixture(scope="module")
def no_good_keys(stack: Stack, organisation: Organisation) -> dict[str, str]:
    """Why it is no good → the header."""
    revoked, expired = make_key(organisation, ["admin"]), make_key(organisation, ["admin"])
    assert organisation.http.delete(f"/v1/api-keys/{revoked['id']}").status_code == 204
    with psycopg.connect(stack.database_url, autocommit=True) as connection:
        connection.execute("UPDATE tenancy.api_keys SET expires_at = now() - interval '1 second' WHERE id = %s", [expired["id"]])
    return {
        "wrong secret": f"Bearer {organisation.api_key[:-1]}{'0' if organisation.api_key[-1] != '0' else '1'}", "unknown": f"Bearer sk_live_{secrets.token_hex(8)}_{secrets.token_hex(20)}",
        "revoked": f"Bearer {revoked['key']}", "expired": f"Bearer {expired['key']}", "another scheme": f"Basic {organisation.api_key}", "no key": "Bearer",
        "a very long one": f"Bearer sk_live_{'a' * 40}_{'b' * 5_000}",
    }  # fmt: skip


@pytest.mark.parametrize("operation", GUARDED, ids=name_of)
def test_keys_that_are_no_good_are_told_nothing(operation: tuple[str, str, Any], http: httpx.Client, no_good_keys: dict[str, str]) -> None:
    answers = [http.request(operation[0], path_of(operation), headers={"Authorization": each}) for each in no_good_keys.values()]
    answers.append(http.request(operation[0], path_of(operation)))
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.content for answer in answers}) == 1
    assert {answer.headers["www-authenticate"] for answer in answers} == {"Bearer"}


@pytest.mark.parametrize("operation", SCOPED, ids=name_of)
def test_the_scope_that_is_documented_is_the_one_that_is_asked_for(
    operation: tuple[str, str, Any], http: httpx.Client, organisation: Organisation
) -> None:
    wanted = operation[2]["security"][0]["apiKey"]
    for lacking in wanted:
        others = make_key(organisation, [scope for scope in SCOPES if scope not in (lacking, "admin")])
        refused = http.request(operation[0], path_of(operation), headers={"Authorization": f"Bearer {others['key']}"})
        assert refused.status_code == 403
        assert operation[0] == "HEAD" or lacking in refused.json()["error"]["message"]
    own = make_key(organisation, wanted)
    assert http.request(operation[0], path_of(operation), headers={"Authorization": f"Bearer {own['key']}"}).status_code not in (401, 403)


@pytest.mark.parametrize("operation", JSON_BODIES, ids=name_of)
def test_a_body_of_ten_megabytes_is_too_large(
    operation: tuple[str, str, Any], http: httpx.Client, stack: Stack, organisation: Organisation
) -> None:
    headers = token_for(operation, stack, organisation) | {"Content-Type": "application/json"}
    answer = http.request(operation[0], path_of(operation), headers=headers, content=b'{"a": "' + b"x" * 10_000_000 + b'"}')
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")


@pytest.mark.parametrize("operation", REQUIRED_BODIES, ids=name_of)
def test_json_that_is_no_good_is_refused(
    operation: tuple[str, str, Any], http: httpx.Client, stack: Stack, organisation: Organisation
) -> None:
    headers = token_for(operation, stack, organisation) | {"Content-Type": "application/json"}
    for why, content in BAD_JSON.items():
        answer = http.request(operation[0], path_of(operation), headers=headers, content=content)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request"), (why, answer.text)
        assert answer.json()["error"]["details"], why


@pytest.mark.parametrize("operation", REQUIRED_BODIES, ids=name_of)
def test_other_kinds_of_bodies_are_refused(
    operation: tuple[str, str, Any], http: httpx.Client, stack: Stack, organisation: Organisation
) -> None:
    for kind in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=a",
        "application/xml",
        "application/jsonp",
    ):
        answer = http.request(
            operation[0], path_of(operation), headers=token_for(operation, stack, organisation) | {"Content-Type": kind}, content=b"{}"
        )
        assert (answer.status_code, answer.json()["error"]["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize("operation", [each for each in OPERATIONS if each[0] != "HEAD"], ids=name_of)
def test_unknown_parameters_are_refused_by_name(
    operation: tuple[str, str, Any], http: httpx.Client, stack: Stack, organisation: Organisation
) -> None:
    said = operation[2]
    headers = token_for(operation, stack, organisation) if said["security"] else {}
    if "requestBody" in said and "example" in (content := said["requestBody"]["content"].get("application/json", {})):
        answer = http.request(operation[0], path_of(operation), params={"nonsense": "1"}, headers=headers, json=content["example"])
    else:
        answer = http.request(operation[0], path_of(operation), params={"nonsense": "1"}, headers=headers)
    assert answer.status_code == 400, answer.text
    assert "nonsense" in [each["field"] for each in answer.json()["error"]["details"]]


def test_an_organisation_of_its_own_is_asked(stack: Stack) -> None:
    """A key opens its own organisation and no other: another one's things aren't there, whoever asks."""
    mine, other = new_organisation(stack), new_organisation(stack)
    export = mine.ask({"dataset": "leads"})
    assert other.http.get(f"/v1/exports/{export['id']}").status_code == 404
    assert mine.http.get(f"/v1/exports/{export['id']}").status_code == 200
