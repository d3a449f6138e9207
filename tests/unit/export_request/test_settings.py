"""Settings: what each may be, every wrong part of it named; what is stored and shown; what the audit trail is told."""

import base64
import json
from typing import Any

import pytest

from services.export_request.core import settings
from shared.checks import checked
from shared.errors import ApiError
from shared.patterns import problem_with
from tests.documents import png

PNG = "data:image/png;base64," + base64.b64encode(png()).decode()
GOOD: dict[str, Any] = {
    "name": "Acme", "timezone": "Europe/Brussels", "branding": {"logo": PNG, "colours": {"primary": "#1A73e8"}}, "retention_days": 1,
    "redaction_profiles": [
        {"name": "support", "default": True, "columns": {"email": "mask", "custom_budget": "hash"}, "detect": ["phone"], "patterns": [{"pattern": "[0-9]{9}"}]},
        {"name": "bare"},
    ],
    "require_purpose": True, "require_password": True, "approval_rows_threshold": 1_000, "alert_channels": [{"type": "email", "to": ["a.b+c@d.example"]}, {"type": "webhook", "url": "https://hooks.example.com/secret?k=1"}, {"type": "slack", "url": "https://hooks.slack.com/services/T/B/x"}],
    "custom_properties": [{"name": "budget"}], "qualification_threshold": 0,
    "operating_hours": {"timezone": "Europe/Brussels", "mon": [["09:00", "12:30"], ["12:30", "24:00"]], "sun": []}, "scoring": None,
}  # fmt: skip


def wrong(body: Any) -> list[str]:
    try:
        checked(body, settings.CHECKS)
    except ApiError as error:
        return [d.field for d in error.details]
    return []


def row(changes: dict[str, Any]) -> dict[str, Any]:
    """A row as the database would have it."""
    return settings.stored({name: None for name in settings.SETTINGS} | {"name": "x"} | changes)


def test_everything_that_is_right_is_taken_and_shown_whole() -> None:
    assert wrong(GOOD) == []
    shown = settings.view(row(GOOD))
    assert shown.keys() == settings.SETTINGS.keys()
    assert shown["redaction_profiles"][1] == {"name": "bare", "default": False, "columns": {}, "detect": [], "patterns": []}
    assert shown["redaction_profiles"][0]["patterns"] == [{"pattern": "[0-9]{9}", "replacement": "[REDACTED]"}]
    assert wrong(shown) == [], "what is shown can be sent back"
    assert settings.view(row(shown)) == shown


def test_null_brings_the_default_back() -> None:
    for name, setting in settings.SETTINGS.items():
        assert wrong({name: None}) == (["name"] if setting.required else [])
    assert settings.view(row({})) == {"name": "x"} | {n: s.default for n, s in settings.SETTINGS.items() if n != "name"}


@pytest.mark.parametrize(
    ("name", "value", "fields"),
    [
        ("retention_days", True, [""]), ("retention_days", 3651, [""]), ("retention_days", 1.5, [""]), ("qualification_threshold", 101, [""]),
        ("require_purpose", "yes", [""]), ("branding", [], [""]), ("branding", {"logo": "https://x/logo.png", "colours": {"primary": "red", "x": 1}}, [".logo", ".colours.x", ".colours.primary"]),
        ("branding", {"logo": "data:image/png;base64,AAAA"}, [".logo"]), ("branding", {"logo": "data:image/png;base64,A" }, [".logo"]), ("branding", {"font": 1}, [".font"]),
        ("branding", {"logo": "data:image/png;base64," + "A" * 400_000}, [".logo"]), ("branding", {"logo": PNG[:-40]}, [".logo"]),
        ("branding", {"logo": PNG.replace("png", "jpeg")}, [".logo"]), ("branding", {"logo": PNG.replace("png", "svg+xml")}, [".logo"]),
        ("redaction_profiles", [{"name": "A b", "columns": {"email": "delete"}, "detect": ["dna"], "patterns": [{"pattern": "(?=x)"}]}],
         [".0.name", ".0.columns.email", ".0.detect", ".0.patterns.0.pattern"]),
        ("redaction_profiles", [{"name": "a", "default": True}, {"name": "a", "default": True}], [".1.name", ""]),
        ("redaction_profiles", [1, {"name": "a", "patterns": [{"pattern": "a", "replacement": 1, "x": 1}]}], [".0", ".1.patterns.0.x", ".1.patterns.0.replacement"]),
        ("redaction_profiles", [{"name": "a", "detect": ["iban", "iban"]}], [".0.detect"]), ("redaction_profiles", [{"name": "a", "detect": [[]]}], [".0.detect"]),
        ("redaction_profiles", [{"name": "a", "columns": {"email": []}}], [".0.columns.email"]),
        ("redaction_profiles", [{"name": "a", "columns": {"phone": "mask"}}, {"name": "b", "columns": {"emial": "mask", "email": "mask", "x\n": "mask"}}],
         [".1.columns.emial", ".1.columns.x\n", ".1.columns.x\n"]),
        ("alert_channels", [{"type": "sms"}, 1, {"type": "email", "to": ["x", 1]}, {"type": "email", "to": []}], [".0.type", ".1", ".2.to.0", ".2.to.1", ".3.to"]),
        ("alert_channels", [{"type": "webhook", "url": "http://x"}, {"type": "webhook", "url": "https://u:p@x"}, {"type": "webhook", "url": "https://x:99999"}, {"type": "webhook", "url": "https://x", "y": 1}],
         [".0.url", ".1.url", ".2.url", ".3.y"]),
        ("operating_hours", {"mon": [["09:00", "17:30"]]}, [".timezone"]), ("operating_hours", {"timezone": "UTC"}, [""]), ("operating_hours", "always", [""]),
        ("operating_hours", {"timezone": "Mars", "mon": [["9:00", "17:30"]], "tue": [["17:00", "09:00"]], "wed": [["09:00", "12:00"], ["11:00", "13:00"]], "fry": []},
         [".fry", ".timezone", ".mon.0", ".tue.0", ".wed.1"]),
        ("operating_hours", {"timezone": "UTC", "mon": [["09:00"]], "tue": {}, "wed": [["24:00", "24:00"]]}, [".mon.0", ".tue", ".wed.0"]),
    ],
)  # fmt: skip
def test_every_wrong_part_is_named(name: str, value: Any, fields: list[str]) -> None:
    assert wrong({name: value}) == [name + field for field in fields]


@pytest.mark.parametrize(
    ("pattern", "good"),
    [
        ("[A-Z]{2}\\d+", True),
        ("(?i)secret", True),
        ("(a+)+$", True),
        ("(?<=a)b", False),
        (r"(a)\1", False),
        ("[", False),
        ("a*", False),
        ("", False),
        (1, False),
        ("a{1001}", False),
    ],
)
def test_patterns_are_re2(pattern: Any, good: bool) -> None:
    assert (problem_with(pattern) is None) == good


def test_the_audit_trail_hears_what_changed_and_no_secret() -> None:
    told = settings.changed(settings.view(row({})), settings.view(row(GOOD)))
    assert told.keys() == settings.SETTINGS.keys() - {"scoring"}
    assert told["retention_days"] == {"old": 30, "new": 1}
    assert told["alert_channels"]["new"] == [
        {"type": "email", "addresses": 1},
        {"type": "webhook", "url": "hooks.example.com"},
        {"type": "slack", "url": "hooks.slack.com"},
    ]
    text = json.dumps(told)
    assert "secret?k" not in text and "a.b+c" not in text and PNG not in text
    assert settings.changed(settings.view(row(GOOD)), settings.view(row(GOOD))) == {}
