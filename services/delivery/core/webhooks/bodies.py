"""The bodies of the webhook endpoints' HTTP API, field by field."""

from datetime import datetime
from typing import Any

from services.delivery.core.urls import UrlRules, problem_with
from services.delivery.core.webhooks.events import EVENTS
from shared.checks import Check, checked, line
from shared.datasets.instants import resolve_instant
from shared.errors import Detail

DESCRIPTION_MAX = 200
OVERLAP_SECONDS_MAX = 7 * 86_400


def endpoint_body(body: Any, rules: UrlRules) -> dict[str, Any]:
    """A new endpoint. Raises ApiError 400 naming every field that is wrong."""
    return {"description": None, "events": list(EVENTS), **checked(body, _fields(rules, "url", "description", "events"), ("url",))}


def endpoint_changes(body: Any, rules: UrlRules) -> dict[str, Any]:
    return checked(body, _fields(rules, "url", "description", "events", "enabled"))


def rotation_body(body: Any, overlap_seconds: int) -> int:
    """For how long the old secret signs beside the new one."""
    return int(checked(body, {"overlap_seconds": _overlap}).get("overlap_seconds", overlap_seconds))


def recovery_body(body: Any) -> datetime:
    """Since when what failed is sent again."""
    checked(body, {"since": _since}, ("since",))
    return resolve_instant(body["since"], "UTC")


def _fields(rules: UrlRules, *names: str) -> dict[str, Check]:
    def url(value: Any) -> list[Detail]:
        problem = problem_with(value, rules)
        return [Detail("url", problem)] if problem else []

    known: dict[str, Check] = {"url": url, "description": _description, "events": _events, "enabled": _enabled}
    return {name: known[name] for name in names}


def _description(value: Any) -> list[Detail]:
    return [] if value is None else line("description", value, DESCRIPTION_MAX)


def _events(value: Any) -> list[Detail]:
    if not isinstance(value, list) or not value:
        return [Detail("events", f"must be a list with at least one of {', '.join(EVENTS)}")]
    wrong = [Detail(f"events.{i}", f"is not an event; there are {', '.join(EVENTS)}") for i, e in enumerate(value[:100]) if e not in EVENTS]
    return wrong or ([Detail("events", "holds an event twice")] if len(set(value)) != len(value) else [])


def _enabled(value: Any) -> list[Detail]:
    return [] if isinstance(value, bool) else [Detail("enabled", "must be true or false")]


def _overlap(value: Any) -> list[Detail]:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= OVERLAP_SECONDS_MAX:
        return []
    return [Detail("overlap_seconds", f"must be a whole number between 0 and {OVERLAP_SECONDS_MAX}")]


def _since(value: Any) -> list[Detail]:
    try:
        resolve_instant(value if isinstance(value, str) else "", "UTC")
    except ValueError as error:
        return [Detail("since", str(error))]
    return []
