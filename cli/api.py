"""The client of the HTTP API: authentication, errors as one line, Retry-After with a bounded number of tries."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import httpx

from cli.core.retry import delay_seconds
from cli.errors import ApiRefusal, CliError, refusal_of
from cli.frame import Run
from shared.retry_after import retry_after_seconds

IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE"})
TIMEOUT = httpx.Timeout(60.0, connect=5.0)


class Api:
    """One base URL and one token. Use as a context manager."""

    def __init__(self, run: Run, token: str) -> None:
        self._run = run
        self._url = run.settings.url
        try:
            self._client = httpx.Client(base_url=self._url, headers={"Authorization": f"Bearer {token}"}, timeout=TIMEOUT)
        except (httpx.InvalidURL, ValueError, TypeError) as error:
            raise CliError(f"WAYBILL_URL: '{self._url}' is not an address ({error}).") from None

    def __enter__(self) -> "Api":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def call(self, method: str, path: str, *, idempotent: bool | None = None, **options: Any) -> httpx.Response:
        """The answer, below 400. Raises ApiRefusal for an error answer, CliError where there is none.

        429, 503 and a broken connection are tried again where the call is idempotent (by its method, or by `idempotent`).
        """
        again = method in IDEMPOTENT if idempotent is None else idempotent
        attempt = 0
        while True:
            attempt += 1
            try:
                answer = self._client.request(method, path, **options)
            except httpx.HTTPError as error:
                # Nobody listening is told at once; a connection that broke in the middle is worth another try.
                wait = None if isinstance(error, httpx.ConnectError) else delay_seconds(attempt, None, None, idempotent=again)
                if wait is None:
                    raise self.unreachable(error) from None
            else:
                if answer.status_code < 400:
                    return answer
                asked = retry_after_seconds(answer.headers.get("retry-after"), datetime.now(UTC))
                wait = delay_seconds(attempt, answer.status_code, asked, idempotent=again)
                if wait is None:
                    raise refusal(answer)
                self._run.out.note(f"The server is busy ({answer.status_code}); trying again in {wait:.0f} s.")
            time.sleep(wait)

    def json(self, method: str, path: str, **options: Any) -> Any:
        """The answer's body, decoded."""
        return decoded(self.call(method, path, **options))

    @contextmanager
    def stream(self, path: str, *, headers: dict[str, str] | None = None, read_timeout_seconds: float = 60.0) -> Iterator[httpx.Response]:
        """A GET whose body is read as a stream, redirects followed (httpx drops our token when the host changes). Any status."""
        timeout = httpx.Timeout(read_timeout_seconds, connect=5.0)
        with self._client.stream("GET", path, headers=headers, follow_redirects=True, timeout=timeout) as answer:
            yield answer

    def unreachable(self, error: httpx.HTTPError) -> CliError:
        if isinstance(error, httpx.UnsupportedProtocol | httpx.InvalidURL):
            return CliError(f"WAYBILL_URL: '{self._url}' is not an http address.", "usage")
        reason = str(error) or type(error).__name__
        return CliError(f"WAYBILL_URL: no answer from {self._url} ({reason}); is it running? `waybill doctor` says more.", "unreachable")


def api(run: Run) -> Api:
    """The API as an organisation's key."""
    return Api(run, run.settings.need("WAYBILL_API_KEY", "--api-key"))


def operator_api(run: Run) -> Api:
    """The API as the operator, who makes organisations."""
    return Api(run, run.settings.need("WAYBILL_OPERATOR_TOKEN", "--operator-token"))


def decoded(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        raise CliError(
            f"{answer.request.url} answered {answer.status_code} with something that isn't JSON; is WAYBILL_URL right?"
        ) from None


def refusal(answer: httpx.Response) -> ApiRefusal:
    """The error of an answer at or above 400; reads the body of a streamed one."""
    try:
        answer.read()
        return refusal_of(answer.status_code, answer.json())
    except (ValueError, httpx.HTTPError):
        return refusal_of(answer.status_code, None)
