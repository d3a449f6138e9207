"""An organisation's settings: what each may be, and what it is where nobody has said anything. docs/settings.md says what each is for."""

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from services.export_request.core import images, profiles, tenancy
from shared.checks import Check, is_email, known_fields, matches
from shared.errors import Detail

RETENTION_DAYS_MAX = 3_650
THRESHOLD_MAX = 2**53 - 1
LOGO_BYTES_MAX = 256 << 10
COLOURS = ("primary", "secondary", "background", "text")
CHANNELS_MAX, ADDRESSES_MAX, URL_MAX = 10, 20, 2_048
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
SPANS_MAX = 6
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]|24:00")
_LOGO = re.compile(r"data:image/(png|jpeg);base64,([A-Za-z0-9+/]+={0,2})")
_LOGO_IS = f"must be a PNG or JPEG of at most {LOGO_BYTES_MAX} bytes and {images.SIDE_MAX} pixels a side, as data:image/png;base64,…"
LOGO_UNREADABLE = Detail("branding.logo", f"is damaged: reports can't show it; it {_LOGO_IS}")
_MAGIC = {"png": b"\x89PNG\r\n\x1a\n", "jpeg": b"\xff\xd8\xff"}


# ---- each by itself


def retention_days(value: Any) -> list[Detail]:
    return _whole("retention_days", value, 1, RETENTION_DAYS_MAX)


def qualification_threshold(value: Any) -> list[Detail]:
    return _whole("qualification_threshold", value, 0, 100)


def require_purpose(value: Any) -> list[Detail]:
    return [] if isinstance(value, bool) else [Detail("require_purpose", "must be true or false")]


def require_password(value: Any) -> list[Detail]:
    return [] if isinstance(value, bool) else [Detail("require_password", "must be true or false")]


def approval_rows_threshold(value: Any) -> list[Detail]:
    return _whole("approval_rows_threshold", value, 0, THRESHOLD_MAX)


def branding(value: Any) -> list[Detail]:
    """`{"logo", "colours"}`: the logo in the setting itself, so that a report needs nobody's server; colours as #rrggbb."""
    wrong = known_fields("branding", value, ("logo", "colours"))
    if not isinstance(value, dict):
        return wrong
    if value.get("logo") is not None:
        wrong += _logo(value["logo"])
    if (colours := value.get("colours")) is not None:
        wrong += known_fields("branding.colours", colours, COLOURS)
        given = colours.items() if isinstance(colours, dict) else ()
        wrong += [
            Detail(f"branding.colours.{n}", "must be a colour such as #1a73e8")
            for n, c in given
            if n in COLOURS and not matches(_COLOUR, c)
        ]
    return wrong


def _logo(value: Any) -> list[Detail]:
    problem = [Detail("branding.logo", _LOGO_IS)]
    found = _LOGO.fullmatch(value) if isinstance(value, str) and len(value) <= 2 * LOGO_BYTES_MAX else None
    if found is None:
        return problem
    try:
        image = base64.b64decode(found[2], validate=True)
    except binascii.Error:
        return problem
    if len(image) > LOGO_BYTES_MAX or not image.startswith(_MAGIC[found[1]]):
        return problem
    wrong = images.problem_with(image)
    return [Detail("branding.logo", f"{wrong}: it {_LOGO_IS}")] if wrong else []


def alert_channels(value: Any) -> list[Detail]:
    """`[{"type": "email", "to": […]}, {"type": "webhook", "url"}, {"type": "slack", "url"}]`."""
    if not isinstance(value, list) or len(value) > CHANNELS_MAX:
        return [Detail("alert_channels", f"must be a list of at most {CHANNELS_MAX} channels")]
    return [detail for i, each in enumerate(value) for detail in _channel(f"alert_channels.{i}", each)]


def _channel(field: str, value: Any) -> list[Detail]:
    kind = value.get("type") if isinstance(value, dict) else None
    match kind:
        case "email":
            to = value.get("to")
            good = isinstance(to, list) and 1 <= len(to) <= ADDRESSES_MAX
            wrong = [] if good else [Detail(f"{field}.to", f"must be a list of 1 to {ADDRESSES_MAX} e-mail addresses")]
            wrong += (
                [
                    Detail(f"{field}.to.{i}", "is not an e-mail address")
                    for i, a in enumerate(to)
                    if not isinstance(a, str) or not is_email(a)
                ]
                if good
                else []
            )
            return known_fields(field, value, ("type", "to")) + wrong
        case "webhook" | "slack":
            wrong = (
                []
                if _is_https(value.get("url"))
                else [Detail(f"{field}.url", "must be a URL that begins with https://, without user name and password")]
            )
            return known_fields(field, value, ("type", "url")) + wrong
        case _:
            return [Detail(f"{field}.type" if isinstance(value, dict) else field, "must be one of email, webhook, slack")]


def _is_https(value: Any) -> bool:
    if not isinstance(value, str) or len(value) > URL_MAX or not value.isascii() or not value.isprintable() or " " in value:
        return False
    try:
        parts = urlsplit(value)
        return parts.scheme == "https" and bool(parts.hostname) and parts.username is None and (parts.port or 1) > 0
    except ValueError:
        return False


def operating_hours(value: Any) -> list[Detail]:
    """`{"timezone", "mon": [["09:00", "17:30"]], …}`: spans of a day in order; a day that isn't named is closed."""
    wrong = known_fields("operating_hours", value, ("timezone", *DAYS))
    if not isinstance(value, dict):
        return wrong
    wrong += [Detail("operating_hours.timezone", each.message) for each in tenancy.timezone(value.get("timezone"))]
    for day in DAYS:
        wrong += _spans(f"operating_hours.{day}", value.get(day, []))
    if not wrong and not any(value.get(day) for day in DAYS):
        wrong.append(Detail("operating_hours", "are never open; null means always"))
    return wrong


def _spans(field: str, value: Any) -> list[Detail]:
    if not isinstance(value, list) or len(value) > SPANS_MAX:
        return [Detail(field, f"must be a list of at most {SPANS_MAX} spans")]
    end = ""
    for i, span in enumerate(value):
        if not isinstance(span, list) or len(span) != 2 or not all(matches(_CLOCK, t) for t in span) or span[0] >= span[1]:
            return [
                Detail(f"{field}.{i}", 'must be a span such as ["09:00", "17:30"], which ends after it begins, at "24:00" at the latest')
            ]
        if span[0] < end:
            return [Detail(f"{field}.{i}", "begins before the one before it has ended")]
        end = span[1]
    return []


def _whole(field: str, value: Any, low: int, high: int) -> list[Detail]:
    good = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
    return [] if good else [Detail(field, f"must be a whole number between {low} and {high}")]


# ---- all of them


def _as_it_is(value: Any) -> Any:
    return value


def _full_properties(value: Any) -> Any:
    return [{"name": each["name"], "type": each.get("type", "text")} for each in value]


def _full_branding(value: Any) -> Any:
    return {"logo": value.get("logo"), "colours": value.get("colours") or {}}


@dataclass(frozen=True)
class Setting:
    """`default` where it is null or was never set; `full` says what was left out; `is_json`: its column is JSON as text."""

    check: Check
    default: Any = None
    full: Callable[[Any], Any] = _as_it_is
    is_json: bool = False
    required: bool = False


SETTINGS: dict[str, Setting] = {
    "name": Setting(tenancy.name, required=True),
    "timezone": Setting(tenancy.timezone, "UTC"),
    "branding": Setting(branding, {"logo": None, "colours": {}}, _full_branding, is_json=True),
    "retention_days": Setting(retention_days, 30),
    "redaction_profiles": Setting(profiles.check, [], profiles.full, is_json=True),
    "require_purpose": Setting(require_purpose, False),
    "require_password": Setting(require_password, False),
    "approval_rows_threshold": Setting(approval_rows_threshold, None),
    "alert_channels": Setting(alert_channels, [], is_json=True),
    "custom_properties": Setting(tenancy.custom_properties, [], _full_properties, is_json=True),
    "qualification_threshold": Setting(qualification_threshold, 70),
    "operating_hours": Setting(operating_hours, None, is_json=True),
    "scoring": Setting(tenancy.scoring, None, is_json=True),
}


def _or_null(name: str, setting: Setting) -> Check:
    return lambda value: [] if value is None and not setting.required else setting.check(value)


CHECKS: dict[str, Check] = {name: _or_null(name, setting) for name, setting in SETTINGS.items()}


def stored(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Checked changes as their columns hold them; null brings a default back. One text for one value, so that what changes nothing is seen to."""
    return {name: _stored(SETTINGS[name], value) for name, value in changes.items()}


def _stored(setting: Setting, value: Any) -> Any:
    value = setting.default if value is None else setting.full(value)
    if not setting.is_json or value is None:
        return value
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def view(row: Mapping[str, Any]) -> dict[str, Any]:
    """All settings as GET /v1/settings shows them."""
    return {name: json.loads(row[name]) if s.is_json and row[name] is not None else row[name] for name, s in SETTINGS.items()}


def without_secrets(view: Mapping[str, Any]) -> dict[str, Any]:
    """As keys see them that may not change them: who knows an alert channel's URL can write to it, so only where it leads is shown."""
    channels = [each | {"url": f"https://{urlsplit(each['url']).netloc}/"} if "url" in each else each for each in view["alert_channels"]]
    return {**view, "alert_channels": channels}


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """For the audit trail: each field that is another one now, old and new; of a logo how long it is, of a webhook where it leads, of e-mail to how many."""
    return {name: {"old": _told(name, before[name]), "new": _told(name, after[name])} for name in after if before[name] != after[name]}


def _told(name: str, value: Any) -> Any:
    if name == "branding":
        return value | {"logo": f"{len(value['logo'])} characters" if value["logo"] else None}
    if name == "alert_channels":
        return [
            each | {"url": urlsplit(each["url"]).netloc} if "url" in each else {"type": each["type"], "addresses": len(each["to"])}
            for each in value
        ]
    return value
