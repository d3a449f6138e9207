"""Webhook endpoints and deliveries for people, or as JSON."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import typer

from cli.errors import FAILED
from cli.output import Output

Row = Mapping[str, Any]


def path_of(endpoint_id: str) -> str:
    return f"/v1/webhook-endpoints/{quote(endpoint_id, safe='')}"


def _state(endpoint: Row) -> str:
    disabled = endpoint.get("disabled") or {}
    if disabled:
        return f"disabled ({disabled.get('reason')})"
    return f"failing since {endpoint['failing_since']}" if endpoint.get("failing_since") else "enabled"


def _fields(endpoint: Row) -> list[tuple[str, object]]:
    disabled = endpoint.get("disabled") or {}
    return [
        ("id", endpoint.get("id")), ("url", endpoint.get("url")), ("description", endpoint.get("description")), ("state", _state(endpoint)),
        ("disabled", f"{disabled['at']}: {disabled['message']}" if disabled else None), ("events", ", ".join(endpoint.get("events") or [])),
        ("old secret until", endpoint.get("old_secret_expires_at")), ("created", endpoint.get("created_at")),
    ]  # fmt: skip


def list_endpoints(out: Output, endpoints: Sequence[Row]) -> None:
    if out.json_mode:
        out.document({"data": list(endpoints)})
        return
    rows = [[e.get("id"), e.get("url"), _state(e), len(e.get("events") or []), e.get("description")] for e in endpoints]
    out.table(["id", "url", "state", "events", "description"], rows, "No webhook endpoint.")


def show_endpoint(out: Output, endpoint: Row) -> None:
    if out.json_mode:
        out.document(endpoint)
    else:
        out.fields(_fields(endpoint))


def show_secret(out: Output, endpoint: Row) -> None:
    """An endpoint whose secret was made just now."""
    if out.json_mode:
        out.document(endpoint)
        return
    out.fields([*_fields(endpoint), ("secret", endpoint.get("secret"))])
    out.note("The secret is shown only now: the receiver verifies with it.")


def list_deliveries(out: Output, deliveries: Sequence[Row]) -> None:
    if out.json_mode:
        out.document({"data": list(deliveries)})
        return
    rows = [[d.get("id"), d.get("event"), d.get("status"), d.get("attempt_count"), _last(d), d.get("next_attempt_at")] for d in deliveries]
    out.table(["id", "event", "status", "attempts", "last answer", "next attempt"], rows, "Nothing was sent.")


def show_test(out: Output, answer: Row) -> None:
    """Ends with exit code 1 where the endpoint didn't take it."""
    if out.json_mode:
        out.document(answer)
    else:
        out.note(("Delivered: " if answer.get("delivered") else "Not delivered: ") + _last(answer.get("delivery") or {}))
    if not answer.get("delivered"):
        raise typer.Exit(FAILED)


def _last(delivery: Row) -> str:
    """What came of the last attempt, in a few words."""
    attempts = delivery.get("attempts") or [{}]
    last = attempts[0]
    error = last.get("error") or {}
    said = error.get("message") or (f"answered {last['response_code']}" if last.get("response_code") else "")
    return f"{said} ({last['duration_ms']} ms)" if said else ""
