"""Webhook endpoints and deliveries for people, or as JSON."""

from collections.abc import Sequence

import typer

from cli.errors import FAILED
from cli.output import Output, Row


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
    out.listed(
        endpoints, {"id": "id", "url": "url", "state": _state, "events": lambda e: len(e.get("events") or []), "description": "description"}, "No webhook endpoint.",
    )  # fmt: skip


def show_endpoint(out: Output, endpoint: Row) -> None:
    out.one(endpoint, _fields)


def show_secret(out: Output, endpoint: Row) -> None:
    """An endpoint whose secret was made just now."""
    out.one(endpoint, lambda shown: [*_fields(shown), ("secret", shown.get("secret"))])
    out.hint("The secret is shown only now: the receiver verifies with it.")


def list_deliveries(out: Output, deliveries: Sequence[Row]) -> None:
    out.listed(
        deliveries,
        {
            "id": "id",
            "event": "event",
            "status": "status",
            "attempts": "attempt_count",
            "last answer": _last,
            "next attempt": "next_attempt_at",
        },
        "Nothing was sent.",
    )


def show_test(out: Output, answer: Row) -> None:
    """Ends with exit code 1 where the endpoint didn't take it."""
    out.done(answer, ("Delivered: " if answer.get("delivered") else "Not delivered: ") + _last(answer.get("delivery") or {}))
    if not answer.get("delivered"):
        raise typer.Exit(FAILED)


def _last(delivery: Row) -> str:
    """What came of the last attempt, in a few words."""
    attempts = delivery.get("attempts") or [{}]
    last = attempts[0]
    error = last.get("error") or {}
    said = error.get("message") or (f"answered {last['response_code']}" if last.get("response_code") else "")
    return f"{said} ({last['duration_ms']} ms)" if said else ""
