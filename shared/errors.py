"""What can go wrong, as classes: the class, never a string, decides between try again, dead letter and an HTTP status."""

from dataclasses import dataclass, field

DOC_URL = "https://waybill.example/docs/errors"
DETAILS_MAX = 200  # wrong fields that are named: a body of many must not be answered by a larger one, nor by one that no message takes


class WaybillError(Exception):
    """Something failed in a way that Waybill knows."""


class TransientError(WaybillError):
    """A dependency is away or busy; the same work can succeed later, unchanged."""

    def __init__(self, message: str, dependency: str = "", retry_after_seconds: int = 2) -> None:
        super().__init__(message)
        self.dependency = dependency
        self.retry_after_seconds = retry_after_seconds


class PermanentError(WaybillError):
    """Doing it again can't help: the message goes to the dead-letter topic, or the export ends as failed, with this code and message."""

    def __init__(self, code: str, message: str, field: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field


@dataclass(frozen=True)
class Detail:
    """One wrong field: a dotted path (`filter.status.0`) and what is wrong with it."""

    field: str
    message: str


@dataclass
class ApiError(WaybillError):
    """An answer of the HTTP contract: `{"error": {"code", "message", "details", "doc_url"}}` with its status.

    `headers` go out with the answer (`Retry-After`); `extra` joins the error object (`existingLeadId`).
    """

    status: int
    code: str
    message: str
    details: list[Detail] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    extra: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.message

    def body(self) -> dict[str, object]:
        error: dict[str, object] = {"code": self.code, "message": self.message}
        if self.details:
            error["details"] = [{"field": d.field, "message": d.message} for d in self.details]
        return {"error": {**error, **self.extra, "doc_url": f"{DOC_URL}#{self.code}"}}


def invalid_request(*details: Detail, message: str = "") -> ApiError:
    """400: a field is wrong by itself. All wrong fields are named at once."""
    return ApiError(400, "invalid_request", message or _summary(details), _bounded(details))


def unprocessable(*details: Detail, message: str = "") -> ApiError:
    """422: each field is right, not together."""
    return ApiError(422, "unprocessable", message or _summary(details), _bounded(details))


def unauthorized() -> ApiError:
    """401: the same words for a missing, wrong, revoked or expired key, so that nothing is told."""
    return ApiError(401, "unauthorized", "Invalid or missing API key.", headers={"WWW-Authenticate": "Bearer"})


def forbidden(scope: str) -> ApiError:
    return ApiError(403, "forbidden", f"This API key lacks the scope '{scope}'.")


def not_found(what: str) -> ApiError:
    """404: also for what belongs to another organisation."""
    return ApiError(404, "not_found", f"{what} does not exist.")


def conflict(message: str, **extra: str) -> ApiError:
    return ApiError(409, "conflict", message, extra=extra)


def gone(message: str) -> ApiError:
    return ApiError(410, "gone", message)


def too_large(message: str) -> ApiError:
    return ApiError(413, "too_large", message)


def unavailable(dependency: str, retry_after_seconds: int = 2) -> ApiError:
    """503: a dependency is down. Says which, and when to come back."""
    return ApiError(503, "unavailable", f"{dependency} is not reachable; try again.", headers={"Retry-After": str(retry_after_seconds)})


def _bounded(details: tuple[Detail, ...]) -> list[Detail]:
    rest = len(details) - DETAILS_MAX
    return [*details[:DETAILS_MAX], *([Detail("", f"{rest} more are wrong")] if rest > 0 else [])]


def _summary(details: tuple[Detail, ...]) -> str:
    if not details:
        return "The request is not valid."
    first = details[0]
    more = f" ({len(details) - 1} more)" if len(details) > 1 else ""
    return f"{first.field}: {first.message}{more}" if first.field else f"{first.message}{more}"
