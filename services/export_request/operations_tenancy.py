"""What the HTTP operations on settings, API keys and organisations say of themselves (see shared/openapi.py)."""

from typing import Any

from services.export_request.core import images, profiles, settings
from services.export_request.core.limits import MOST
from services.export_request.core.tenancy import KEY_DAYS_MAX, NAME_MAX, ORG_ID, PROPERTIES_MAX, PROPERTY_NAME_MAX, PROPERTY_TYPES
from shared.datasets.plan import REDACTED
from shared.http import SCOPES
from shared.openapi import (
    BOOLEAN,
    COUNT,
    INSTANT,
    LOCATION,
    PAGING,
    TIMEZONE,
    Component,
    answer,
    body,
    etag,
    following,
    if_match,
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
from shared.patterns import PATTERN_MAX
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
_COLOURS = taken({name: {"type": "string", "pattern": "^#[0-9a-fA-F]{6}$"} for name in settings.COLOURS})
_BRANDING = taken(
    {"logo": nullable(text(f"A PNG or JPEG of at most {settings.LOGO_BYTES_MAX} bytes and {images.SIDE_MAX} pixels a side.", pattern="^data:image/(png|jpeg);base64,")), "colours": nullable(_COLOURS)},
    description="What reports look like.",
)  # fmt: skip
_PROFILE = taken(
    {
        "name": {"type": "string", "pattern": f"^{profiles.PROFILE_NAME.pattern}$"},
        "default": {**BOOLEAN, "default": False, "description": "What exports get that ask for none; nobody can ask for less. One profile at most."},
        "columns": {"type": "object", "maxProperties": profiles.COLUMNS_MAX, "additionalProperties": one_of(profiles.ACTIONS), "description": "Key of a column of any dataset, or custom_<name>, profile.<key>, events.<key> → what becomes of its values: docs/redaction.md."},
        "detect": listed(one_of(profiles.DETECTORS), uniqueItems=True, description="What is blacked out wherever it is found in texts."),
        "patterns": listed(
            taken({"pattern": text("RE2 syntax.", minLength=1, maxLength=PATTERN_MAX, examples=["[A-Z]{2}[0-9]{6}"]), "replacement": text(maxLength=100, default=REDACTED)}, ["pattern"]),
            maxItems=profiles.PATTERNS_MAX,
        ),
    },
    ["name"],
)  # fmt: skip
_CHANNEL = {
    "oneOf": [
        taken({"type": {"const": "email"}, "to": listed(text(format="email"), minItems=1, maxItems=settings.ADDRESSES_MAX)}, ["type", "to"]),
        taken({"type": {"enum": ["webhook", "slack"]}, "url": text(format="uri", pattern="^https://", maxLength=settings.URL_MAX)}, ["type", "url"]),
    ],
}  # fmt: skip
_SPAN = listed(text(pattern="^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"), minItems=2, maxItems=2)
_HOURS = taken(
    {"timezone": TIMEZONE, **{day: listed(_SPAN, maxItems=settings.SPANS_MAX) for day in settings.DAYS}}, ["timezone"],
    description="When people answer; a day that isn't named is closed. Null: always.",
)  # fmt: skip
_TAKEN: dict[str, Any] = {
    "timezone": TIMEZONE, "branding": _BRANDING, "retention_days": whole(1, settings.RETENTION_DAYS_MAX, description="How long files are kept, and exports may ask for."),
    "redaction_profiles": listed(_PROFILE, maxItems=profiles.PROFILES_MAX), "require_purpose": {**BOOLEAN, "description": "Exports must say why."},
    "require_password": {**BOOLEAN, "description": "Exports must bring a password, which encrypts their files."},
    "approval_rows_threshold": whole(0, settings.THRESHOLD_MAX, description="Exports of more rows wait until somebody else than who asked approves them; null: none does."),
    "alert_channels": listed(_CHANNEL, maxItems=settings.CHANNELS_MAX, description="Who is told when something keeps failing."),
    "custom_properties": _PROPERTIES_TAKEN, "qualification_threshold": whole(0, 100, description="The score from which a lead counts as qualified."), "operating_hours": _HOURS,
}  # fmt: skip
_SETTINGS_EXAMPLE = {
    "name": "Synaptiq", "timezone": "Europe/Brussels", "branding": {"logo": None, "colours": {"primary": "#1a73e8"}}, "retention_days": 30,
    "redaction_profiles": [{"name": "support", "default": False, "columns": {"phone": "remove"}, "detect": ["email"], "patterns": []}], "require_purpose": False, "require_password": False, "approval_rows_threshold": None,
    "alert_channels": [{"type": "email", "to": ["ops@synaptiq.example"]}], "custom_properties": [{"name": "budget", "type": "number"}], "qualification_threshold": 70,
    "operating_hours": {"timezone": "Europe/Brussels", "mon": [["09:00", "12:30"], ["13:30", "17:30"]]},
    "scoring": {"rules": [{"rule": "engagement", "points": "min(visitor_message_count, 10)"}, {"rule": "lost", "when": "status == lost", "points": -40}]},
}  # fmt: skip
_SETTINGS: dict[str, Any] = {
    "name": text(), **{name: nullable(schema) if name in ("operating_hours", "approval_rows_threshold") else schema for name, schema in _TAKEN.items()},
    "custom_properties": listed(shown({"name": text(), "type": one_of(PROPERTY_TYPES)})), "scoring": SCORING,
}  # fmt: skip
SETTINGS = Component("Settings", shown(_SETTINGS, examples=[_SETTINGS_EXAMPLE]))
SETTINGS_CHANGES = Component(
    "SettingsChanges", taken({"name": _NAME, **{name: nullable(schema) for name, schema in _TAKEN.items()}, "scoring": SCORING})
)
_ETAG = etag("Names the settings as they are, for `If-Match`.")
GET_SETTINGS = operation("Look at the settings", "Organisation", {200: answer("The settings.", SETTINGS, headers=_ETAG)})
PATCH_SETTINGS = operation(
    "Change settings", "Organisation", {200: answer("The settings as they are now.", SETTINGS, headers=_ETAG)}, body=body(SETTINGS_CHANGES, {"timezone": "Europe/Brussels"}),
    parameters=[if_match("settings'")], errors=[412],
    description="Fields that aren't given stay as they are, null brings a default back. Exports that were accepted keep the settings of then. "
    "Other rules of scoring score every lead again, in the background: `GET /v1/scoring` says how far that is.",
)  # fmt: skip


# ---- API keys

_KEY_EXAMPLE: dict[str, Any] = {
    "id": "8c1f0a9b2d3e4f50", "prefix": "sk_live_8c1f0a9b2d3e4f50_", "last_used_at": None, "name": "nightly exports", "scopes": ["exports:read", "exports:write"], "created_at": "2026-04-01T06:00:00Z", "expires_at": None, "revoked_at": None,
}  # fmt: skip
_KEY: dict[str, Any] = {
    "id": text(), "prefix": text("What every use of the key begins with."), "name": text(), "scopes": listed(one_of(SCOPES)), "created_at": INSTANT, "expires_at": nullable(INSTANT), "revoked_at": nullable(INSTANT),
    "last_used_at": nullable({**INSTANT, "description": "To the minute."}),
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

_LIMITS = {name: nullable(whole(0, most)) for name, most in MOST.items()}
_ORGANISATION: dict[str, Any] = {
    "org_id": text(), "name": text(), "timezone": TIMEZONE,
    "limits": shown(_LIMITS, description="Null: the operator's default; 0: none (docs/limits.md)."), "created_at": INSTANT,
}  # fmt: skip
_ORGANISATION_EXAMPLE = {
    "org_id": "org_synaptiq",
    "name": "Synaptiq",
    "timezone": "Europe/Brussels",
    "limits": {"requests_per_second": None, "exports_at_once": 20, "rows_a_day": 0},
    "created_at": "2026-04-01T06:00:00Z",
}
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
PATCH_ORGANISATION = operation(
    "Change an organisation's name or limits", "Operator", {200: answer("The organisation as it is now.", ORGANISATION)},
    parameters=[path("org_id", "The organisation's id.", "org_synaptiq")],
    body=body(Component("OrganisationChanges", taken({"name": _NAME, "limits": taken(_LIMITS)})), {"limits": {"exports_at_once": 20}}),
)  # fmt: skip

# ---- usage

_USAGE = Component("Usage", shown(
    {
        "exports": shown({"running": COUNT, "limit": nullable(COUNT)}), "rows": shown({"today": COUNT, "limit": nullable(COUNT), "resets_at": INSTANT}),
        "requests": shown({"available": nullable(COUNT), "limit_per_second": nullable(COUNT)}),
    },
    description="What is used of the organisation's limits; a limit that is null isn't there.",
    examples=[{
        "exports": {"running": 2, "limit": 20}, "rows": {"today": 120000, "limit": None, "resets_at": "2026-04-02T00:00:00.000Z"},
        "requests": {"available": 499, "limit_per_second": 500},
    }],
))  # fmt: skip
GET_USAGE = operation("What is used, and how much may be", "Organisation", {200: answer("Usage and limits.", _USAGE)})
