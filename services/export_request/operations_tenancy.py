"""What the HTTP operations on settings, API keys and organisations say of themselves (see shared/openapi.py)."""

from typing import Any

from services.export_request.core.tenancy import KEY_DAYS_MAX, NAME_MAX, ORG_ID, PROPERTIES_MAX, PROPERTY_NAME_MAX, PROPERTY_TYPES
from shared.http import SCOPES
from shared.openapi import (
    INSTANT,
    LOCATION,
    PAGING,
    TIMEZONE,
    Component,
    answer,
    body,
    following,
    line,
    link,
    listed,
    nullable,
    one_of,
    operation,
    page,
    path,
    shown,
    taken,
    text,
    whole,
)
from shared.scoring.rules import NAME_MAX as RULE_NAME_MAX
from shared.scoring.rules import RULES_MAX, WHEN_MAX

_NAME = line(NAME_MAX)
_KEY_ID = path("key_id", "The key's id: the part between `sk_live_` and the secret.", "8c1f0a9b2d3e4f50")


# ---- settings

_PROPERTIES_TAKEN = listed(
    taken({"name": line(PROPERTY_NAME_MAX), "type": one_of(PROPERTY_TYPES, default="text")}, ["name"]), maxItems=PROPERTIES_MAX,
    description="The custom properties of leads, in the order of their columns.",
)  # fmt: skip
_RULE = taken(
    {
        "rule": line(RULE_NAME_MAX, description="The rule's name."),
        "when": nullable(text("Left out: always.", maxLength=WHEN_MAX, examples=["title has a word of [ceo, cto] (any case)"])),
        "points": {
            "anyOf": [{"type": "number", "exclusiveMinimum": -(10**7), "exclusiveMaximum": 10**7}, text()],
            "description": "A number, `n * fact` or `min(fact, n)`.", "examples": ["min(visitor_message_count, 10)"],
        },
    },
    ["rule", "points"],
)  # fmt: skip
SCORING = Component("Scoring", nullable(taken(
    {"rules": listed(_RULE, maxItems=RULES_MAX)}, ["rules"], description="The rules that leads are scored by (docs/scoring.md); null: the default model.",
)))  # fmt: skip
_SETTINGS_EXAMPLE = {
    "name": "Synaptiq", "timezone": "Europe/Brussels", "custom_properties": [{"name": "budget", "type": "number"}],
    "scoring": {"rules": [{"rule": "engagement", "points": "min(visitor_message_count, 10)"}, {"rule": "lost", "when": "status == lost", "points": -40}]},
}  # fmt: skip
_SETTINGS: dict[str, Any] = {
    "name": text(), "timezone": TIMEZONE, "custom_properties": listed(shown({"name": text(), "type": one_of(PROPERTY_TYPES)})), "scoring": SCORING,
}  # fmt: skip
SETTINGS = Component("Settings", shown(_SETTINGS, examples=[_SETTINGS_EXAMPLE]))
SETTINGS_CHANGES = Component(
    "SettingsChanges", taken({"name": _NAME, "timezone": TIMEZONE, "custom_properties": _PROPERTIES_TAKEN, "scoring": SCORING})
)
GET_SETTINGS = operation("Look at the settings", "Organisation", {200: answer("The settings.", SETTINGS)})
PATCH_SETTINGS = operation(
    "Change settings", "Organisation", {200: answer("The settings as they are now.", SETTINGS)}, body=body(SETTINGS_CHANGES, {"timezone": "Europe/Brussels"}),
    description="Fields that aren't given stay as they are. Exports that were accepted keep the settings of then.",
)  # fmt: skip


# ---- API keys

_KEY_EXAMPLE: dict[str, Any] = {
    "id": "8c1f0a9b2d3e4f50", "name": "nightly exports", "scopes": ["exports:read", "exports:write"], "created_at": "2026-04-01T06:00:00Z", "expires_at": None, "revoked_at": None,
}  # fmt: skip
_KEY: dict[str, Any] = {
    "id": text(), "name": text(), "scopes": listed(one_of(SCOPES)), "created_at": INSTANT, "expires_at": nullable(INSTANT), "revoked_at": nullable(INSTANT),
}  # fmt: skip
_SECRET = {"key": text("Shown only now.", pattern="^sk_live_[0-9A-Za-z]+_[0-9A-Za-z_-]+$")}
_SHOWN_ONCE = {"key": "sk_live_8c1f0a9b2d3e4f50_0123456789abcdef0123456789abcdef01234567"}
API_KEY = Component("ApiKey", shown(_KEY, examples=[_KEY_EXAMPLE]))
NEW_API_KEY = Component("NewApiKey", shown(_KEY | _SECRET, examples=[_KEY_EXAMPLE | _SHOWN_ONCE]))
ROTATED_API_KEY = Component("RotatedApiKey", shown(
    _KEY | _SECRET | {"replaces": text("The old key's id."), "old_expires_at": INSTANT},
    examples=[_KEY_EXAMPLE | _SHOWN_ONCE | {"replaces": "0a1b2c3d4e5f6071", "old_expires_at": "2026-04-02T06:00:00Z"}],
))  # fmt: skip
_OF_KEY = {
    "Revoke": link("delete_key", "The key works no more.", key_id="$response.body#/id"), "Rotate": link("rotate_key", "A new key in its place.", key_id="$response.body#/id"),
}  # fmt: skip
POST_KEY = operation(
    "Make an API key", "Organisation", {201: answer("The key, shown only now.", NEW_API_KEY, headers=LOCATION, links=_OF_KEY)},
    body=body(
        Component("ApiKeyRequest", taken(
            {
                "name": _NAME, "scopes": listed(one_of(SCOPES), minItems=1, uniqueItems=True),
                "expires_in_seconds": whole(1, KEY_DAYS_MAX * 86_400, description="Without it the key doesn't expire."),
            },
            ["name", "scopes"],
        )),
        {"name": "nightly exports", "scopes": ["exports:read", "exports:write"]},
    ),
)  # fmt: skip
LIST_KEYS = operation(
    "List API keys",
    "Organisation",
    {200: answer("A page of them, without secrets.", page(API_KEY), links=following("list_keys"))},
    parameters=PAGING,
)
DELETE_KEY = operation("Revoke an API key", "Organisation", {204: answer("It works no more.")}, parameters=[_KEY_ID])
ROTATE_KEY = operation(
    "Rotate an API key", "Organisation", {201: answer("A new key of the same name and scopes, shown only now. The old one works on for a while.", ROTATED_API_KEY, headers=LOCATION, links=_OF_KEY)},
    parameters=[_KEY_ID],
)  # fmt: skip


# ---- organisations

_ORGANISATION: dict[str, Any] = {"org_id": text(), "name": text(), "timezone": TIMEZONE, "created_at": INSTANT}
_ORGANISATION_EXAMPLE = {"org_id": "org_synaptiq", "name": "Synaptiq", "timezone": "Europe/Brussels", "created_at": "2026-04-01T06:00:00Z"}
ORGANISATION = Component("Organisation", shown(_ORGANISATION, examples=[_ORGANISATION_EXAMPLE]))
POST_ORGANISATION = operation(
    "Make an organisation", "Operator",
    {201: answer("The organisation with its first key (admin), shown only now.", Component("NewOrganisation", shown(
        _ORGANISATION | {"api_key": _SECRET["key"]}, examples=[_ORGANISATION_EXAMPLE | {"api_key": _SHOWN_ONCE["key"]}],
    )))},
    body=body(
        Component("OrganisationRequest", taken(
            {"org_id": text(pattern=f"^{ORG_ID.pattern}$"), "name": _NAME, "timezone": {**TIMEZONE, "default": "UTC"}}, ["org_id", "name"],
        )),
        {"org_id": "org_synaptiq", "name": "Synaptiq", "timezone": "Europe/Brussels"},
    ),
    errors=[409],
)  # fmt: skip
LIST_ORGANISATIONS = operation(
    "List organisations",
    "Operator",
    {200: answer("A page of them.", page(ORGANISATION), links=following("list_organisations"))},
    parameters=PAGING,
)
