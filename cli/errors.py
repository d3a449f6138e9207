"""What the command can say when it fails: one line and an exit code, never a traceback."""

from collections.abc import Mapping
from typing import Any

FAILED = 1
USAGE = 2
INTERRUPTED = 130


class CliError(Exception):
    """The command can't go on. `str()` is the line that the user reads; `code` the machine's word for it."""

    exit_code = FAILED

    def __init__(self, message: str, code: str = "failed", details: list[dict[str, str]] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.details = details or []


class UsageError(CliError):
    """The command was called wrongly: exit code 2."""

    exit_code = USAGE

    def __init__(self, message: str) -> None:
        super().__init__(message, "usage")


class ApiRefusal(CliError):
    """The API answered with an error. `status` is the HTTP status."""

    def __init__(self, status: int, code: str, message: str, details: list[dict[str, str]]) -> None:
        super().__init__(message, code, details)
        self.status = status


def refusal_of(status: int, body: object) -> ApiRefusal:
    """The error in an answer's decoded `body`, or one made of the status where the body isn't the contract's (a proxy's page)."""
    error = body.get("error") if isinstance(body, Mapping) else None
    if not isinstance(error, Mapping):
        return ApiRefusal(status, "unexpected_answer", f"The server answered {status} without saying why.", [])
    details = [_detail(each) for each in error.get("details") or [] if isinstance(each, Mapping)]
    words = "; ".join(f"{d['field']}: {d['message']}" if d["field"] else d["message"] for d in details)
    return ApiRefusal(status, str(error.get("code", "")), f"{words or error.get('message', '')} ({error.get('code')}, {status})", details)


def _detail(raw: Mapping[str, Any]) -> dict[str, str]:
    return {"field": str(raw.get("field") or ""), "message": str(raw.get("message") or "")}
