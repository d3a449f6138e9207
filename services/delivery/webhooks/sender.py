"""One HTTP request to an endpoint: bounded in time and in what is read of the answer; no redirects, no proxies, no cookies."""

import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

import aiohttp
from yarl import URL

from services.delivery.core.addresses import AddressRule
from services.delivery.core.webhooks.life import Attempted
from services.delivery.guard import Guard, was_refused
from shared.clock import utc_now
from shared.retry_after import retry_after_seconds

USER_AGENT = "Waybill-Webhooks/1"
CONNECT_SECONDS = 5.0
KEEPALIVE_SECONDS = 3.0  # shorter than what servers commonly grant, so that no request goes into a connection that is being closed
EXCERPT_CHARACTERS = 256
ANSWER_BYTES_MAX = 16 << 10  # read so that the connection can be used again; what is longer is cut off


@dataclass(frozen=True)
class Sent:
    """What came of one attempt. `error_*` and `excerpt` are null where it succeeded."""

    attempt: Attempted
    milliseconds: int
    error_code: str | None = None
    error_message: str | None = None
    excerpt: str | None = None


class Sender:
    """Must be made and used in one event loop."""

    def __init__(self, timeout_seconds: float, addresses: AddressRule, clock: Callable[[], datetime] = utc_now) -> None:
        self._clock = clock
        self._guard = Guard(addresses)
        connector = self._guard.connector(keepalive_timeout=KEEPALIVE_SECONDS, ssl=ssl.create_default_context())
        self._session = aiohttp.ClientSession(
            connector=connector, trust_env=False, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar(), read_bufsize=ANSWER_BYTES_MAX,
            timeout=aiohttp.ClientTimeout(total=timeout_seconds, sock_connect=CONNECT_SECONDS),
            headers={"User-Agent": USER_AGENT, "Content-Type": "application/json", "Accept": "*/*"},
            skip_auto_headers=("Accept-Encoding",),
        )  # fmt: skip
        self._timeout_seconds = timeout_seconds

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Sent:
        """Never raises for what an endpoint does."""
        started = time.perf_counter()

        def failed(code: str, message: str) -> Sent:
            return Sent(Attempted(None), _milliseconds(started), code, message)

        try:
            async with self._session.post(URL(url, encoded=True), data=body, headers=headers, allow_redirects=False) as answer:
                text = await self._read(answer)
                return self._answered(answer, text, _milliseconds(started))
        except TimeoutError:
            return failed("timeout", f"No answer within {self._timeout_seconds:g} seconds.")
        except aiohttp.ClientConnectorCertificateError:
            return failed("tls_failed", "The certificate is not valid for this host.")
        except aiohttp.ClientSSLError:
            return failed("tls_failed", "No TLS connection could be made.")
        except aiohttp.ClientConnectorError as error:
            if was_refused(error):
                return failed("address_refused", "The host has an address that is not public.")
            if isinstance(error, aiohttp.ClientConnectorDNSError):
                return failed("dns_failed", "The host's name could not be resolved.")
            return failed("connect_failed", "No connection could be made.")
        except aiohttp.InvalidURL:  # an odd way of writing an address, which is refused unseen
            return failed("address_refused", "The host is not a name or an address that may be called.")
        except (aiohttp.ClientConnectionError, ConnectionError):
            return failed("disconnected", "The connection ended before there was an answer.")
        except (aiohttp.ClientError, ValueError):
            return failed("bad_answer", "The answer is not HTTP that can be read.")

    async def _read(self, answer: aiohttp.ClientResponse) -> bytes:
        """The beginning of the body. Whatever happens to it, the status has been said; a long one is cut off by closing the connection."""
        try:
            body = b""
            while piece := await answer.content.read(ANSWER_BYTES_MAX - len(body)):
                body += piece
                if len(body) >= ANSWER_BYTES_MAX:
                    answer.close()
                    break
            return body
        except (TimeoutError, aiohttp.ClientError):
            answer.close()
            return b""

    def _answered(self, answer: aiohttp.ClientResponse, body: bytes, milliseconds: int) -> Sent:
        attempt = Attempted(answer.status, retry_after_seconds(answer.headers.get("Retry-After"), self._clock()))
        if attempt.succeeded:
            return Sent(attempt, milliseconds)
        code = "redirected" if 300 <= answer.status < 400 else "http_error"
        message = "Redirects are not followed: change the endpoint's URL." if code == "redirected" else f"It answered {answer.status}."
        return Sent(attempt, milliseconds, code, message, excerpt_of(body))

    async def close(self) -> None:
        await self._session.close()
        await self._guard.close()


def excerpt_of(body: bytes) -> str | None:
    """The first characters of an answer, on one line and without what could steer a terminal or not be stored."""
    text = body[: 4 * EXCERPT_CHARACTERS].decode("utf-8", "replace")
    shown = "".join(c if c.isprintable() else " " for c in text)[:EXCERPT_CHARACTERS].strip()
    return shown or None


def _milliseconds(started: float) -> int:
    return round((time.perf_counter() - started) * 1000)
