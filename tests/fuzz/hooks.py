"""What schemathesis has to know of Waybill beyond the document. It is told in WAYBILL_FUZZ_* which organisation is its own."""

import atexit
import gzip
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

import schemathesis
from hypothesis import strategies as st
from schemathesis.core.failures import AcceptedNegativeData
from schemathesis.openapi.checks import EnsureResourceAvailability, RejectedPositiveData, UseAfterFree

from tests.fuzz.samples import HOST_KEY, certificate, private_key

OWN_KEY_ID = os.environ["WAYBILL_FUZZ_KEY"].split("_")[2]
OWN_ORGANISATION = os.environ["WAYBILL_FUZZ_ORGANISATION"]
CALLS: Counter[str] = Counter()
HOOK = "http://127.0.0.1:9/hook"  # nobody listens there: webhooks go nowhere
# Of destinations: what leads nowhere, and what no schema can tell apart from other text.
CONFIGS: dict[str, list[Any]] = {
    "host": ["127.0.0.1"], "port": [9], "endpoint": ["http://127.0.0.1:9", None], "ca_certificate": [certificate(), None], "private_key": [private_key(), None],
    "host_keys": [[], ["SHA256:uNiVztksCsDhcc0u9e8BrhGWBqV2a8vkXTNwlLPlX1k"], [HOST_KEY, f"files.example.com {HOST_KEY}"], None],
}  # fmt: skip
SECONDS_MAX = 30 * 86_400  # the organisation's retention
SCORINGS = [
    None,
    {"rules": []},
    {"rules": [{"rule": "a", "when": "status == lost", "points": -4.5}, {"rule": "b", "points": "0.5 * qualification_score"}]},
]
# What an export of any dataset may ask for. One parser reads them all, so the short run tries their edges in the bodies of one dataset.
COMMON = (
    "format", "formats", "timezone", "compression", "spreadsheet_safe", "max_rows_per_file", "expires_in_seconds", "labels", "destinations", "redaction",
)  # fmt: skip
SETTINGS: dict[str, Any] = {
    "require_purpose": {"enum": [False, None]}, "require_password": {"enum": [False, None]}, "approval_rows_threshold": {"enum": [None, 10**12]}, "retention_days": {"enum": [30, 3650, None]},
    "branding": {"enum": [None, {}, {"logo": None, "colours": {"primary": "#1a73e8"}}]},
    "redaction_profiles": {"enum": [None, [], [{"name": "a", "default": True, "columns": {"email": "mask"}, "detect": ["iban"], "patterns": [{"pattern": "[0-9]{9}"}]}]]},
    "alert_channels": {"enum": [None, [], [{"type": "email", "to": ["a@b.example"]}, {"type": "webhook", "url": "https://hooks.example.com/x"}]]},
    "operating_hours": {"enum": [None, {"timezone": "Europe/Brussels", "mon": [["09:00", "12:00"], ["13:00", "24:00"]], "sun": []}]},
}  # fmt: skip

schemathesis.openapi.format("iana-timezone", st.sampled_from(sorted(available_timezones() - {"localtime", "posixrules", "Factory"})))


@schemathesis.hook
def before_load_schema(context: Any, raw_schema: dict[str, Any]) -> None:
    """Answers may have no field that isn't documented; requests keep to what this organisation and machine allow."""
    schemas = raw_schema["components"]["schemas"]
    if os.environ.get("WAYBILL_FUZZ_SHORT"):
        _shorten(raw_schema["paths"], schemas)
    taken = set()
    for item in raw_schema["paths"].values():
        for said in item.values():
            _close(said["responses"])
            taken |= _named(said.get("requestBody", {}), schemas)
    for response in raw_schema["components"]["responses"].values():
        _close(response)
    for name, schema in schemas.items():
        if name not in taken and name != "Error":
            _close(schema)
    for name in taken:
        _narrow(schemas[name])
    content = raw_schema["paths"]["/v1/records"]["post"]["requestBody"]["content"]["application/x-ndjson"]
    content["schema"] = content["schema"]["contentSchema"]
    del content["example"]


def _shorten(paths: dict[str, Any], schemas: dict[str, Any]) -> None:
    """One parser reads the export in every body, so only POST /v1/exports tries the fields of each dataset; a preview and a schedule try those of one."""
    paths["/v1/exports/preview"]["post"]["requestBody"]["content"]["application/json"]["schema"] = {
        "$ref": "#/components/schemas/LeadsExportRequest"
    }
    schemas["ScheduledExport"] = {"$ref": "#/components/schemas/MessagesScheduledExport"}


def _close(schema: Any) -> None:
    if isinstance(schema, dict):
        if schema.get("type") == "object" and "properties" in schema and "additionalProperties" not in schema:
            schema["additionalProperties"] = False
        for name, each in schema.items():
            if name not in ("example", "examples"):
                _close(each)
    elif isinstance(schema, list):
        for each in schema:
            _close(each)


def _named(value: Any, schemas: dict[str, Any]) -> set[str]:
    """The names of all schemas that `value` refers to."""
    found = {
        part.rpartition('"')[0].partition('"')[0] for part in json.dumps(value).split("#/components/schemas/")[1:] for part in [part + '"']
    }
    new = {name for name in found if name in schemas}
    for name in new:
        new = new | (_named(schemas[name], {k: v for k, v in schemas.items() if k != name}) if name in schemas else set())
    return new


def _narrow(schema: dict[str, Any]) -> None:
    properties = schema.get("properties", {})
    if "url" in properties:
        properties["url"] = {"type": "string", "enum": [HOOK, HOOK + "?x=%20"]}
    properties |= {name: {"enum": values} for name, values in CONFIGS.items() if name in properties}
    if "expires_in_seconds" in properties and "dataset" in properties:
        properties["expires_in_seconds"]["maximum"] = SECONDS_MAX
    if os.environ.get("WAYBILL_FUZZ_SHORT") and properties.get("dataset", {}).get("const", "leads") != "leads":
        for name in COMMON:
            properties.pop(name, None)
    if "scoring" in properties:
        properties["scoring"] = {"enum": SCORINGS}
    if "require_purpose" in properties:  # what would make other operations refuse, and what JSON Schema can't say
        properties |= SETTINGS
    if "columns" in properties:
        columns = properties["columns"]["items"]
        properties["columns"]["items"] = columns["anyOf"][0]  # the organisation has no properties of its own, or others


@schemathesis.serializer("application/x-ndjson")
def lines(context: Any, value: Any) -> Any:
    """Records, one a line; anything else as it comes."""
    return "\n".join(json.dumps(each) for each in value).encode() if isinstance(value, list) else _bytes(value)


@schemathesis.serializer("message/rfc822")
def mail(context: Any, value: Any) -> Any:
    return _bytes(value)


@schemathesis.serializer("application/gzip")
def packed(context: Any, value: Any) -> Any:
    return gzip.compress(_bytes(value))


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")


@schemathesis.hook
def filter_failure(context: Any, failure: Any, case: Any, response: Any) -> bool:
    """Whether a failure is one. No schema can say all that is wrong with a request; and of exports the contract says more than that they are there or not."""
    match failure:
        case RejectedPositiveData():
            details = json.loads(response.content)["error"].get("details", [])
            return not details or not all(_unsayable(case.operation, each["field"], each["message"]) for each in details)
        case EnsureResourceAvailability():  # manifest and files are there once the export has completed
            return not case.operation.path.startswith("/v1/exports/{export_id}/")
        case AcceptedNegativeData():  # what we left out of the document so that other operations aren't refused
            return case.operation.path != "/v1/settings" or b'"require_purpose":true' not in response.content
        case UseAfterFree():  # who deletes a running export cancels it: it stays readable; what was released can be held again
            return b'"status":"cancelled"' not in response.content and not case.operation.path.endswith("/hold")
        case _:
            return True


# Fields whose rules no schema can tell: `prefix`, `path` and `subject` hold placeholders, `headers` names that are ours.
UNSAYABLE = {"cursor", "If-Match", "q", "redaction", "cron", "allowed_networks", "public_keys", "prefix", "path", "subject", "headers"}
WORDS = ("twice", "can't have two values", "U+0000", "is not an e-mail address", "this installation has none")


def _unsayable(operation: Any, field: str, message: str) -> bool:
    named = field.split(".")
    if operation.method == "patch" and named[0] == "config" and (message == "unknown field" or named[1:] == ["send"]):
        return True  # of another type than the destination's own
    return not UNSAYABLE.isdisjoint(named) or any(words in message for words in WORDS)


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """The key that asks is not to be revoked, nor its organisation limited."""
    if case.operation.method == "patch" and (case.path_parameters or {}).get("org_id") == OWN_ORGANISATION:
        case.path_parameters["org_id"] = "0"
    if case.operation.method == "delete" and (case.path_parameters or {}).get("key_id") == OWN_KEY_ID:
        case.path_parameters["key_id"] = "0"


@schemathesis.hook
def after_call(context: Any, case: Any, response: Any) -> None:
    CALLS[case.operation.label] += 1


@atexit.register
def _tell_calls() -> None:
    """How often each operation was called, for whoever runs us."""
    if told := os.environ.get("WAYBILL_FUZZ_CALLS"):
        Path(told).write_text(json.dumps(CALLS))
