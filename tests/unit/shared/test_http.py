"""What every service's HTTP does with a request that it answers before all of it has come."""

from typing import Any

import pytest
from fastapi import Request
from fastapi.responses import Response

from shared.errors import unauthorized
from shared.http import HEAR_BYTES, create_api


class Wire:
    """A connection that hands over a body in pieces, and notes in which order things happen."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces, self.happened = pieces, [""]

    async def receive(self) -> dict[str, Any]:
        self.happened.append("heard")
        piece = self.pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(self.pieces)}

    async def send(self, message: dict[str, Any]) -> None:
        self.happened.append(str(message.get("status", "body")))


async def ask(wire: Wire, method: str, path: str, headers: list[tuple[bytes, bytes]]) -> list[str]:
    api = create_api("test")

    @api.post("/early")
    async def early(request: Request) -> Response:
        raise unauthorized()

    @api.post("/late")
    async def late(request: Request) -> Response:
        await request.body()
        return Response(status_code=204)

    @api.get("/early")
    async def get(request: Request) -> Response:
        return Response(status_code=204)

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"",
        "headers": headers, "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2), "scheme": "http", "root_path": "",
    }  # fmt: skip
    await api(scope, wire.receive, wire.send)  # type: ignore[arg-type]
    return wire.happened[1:]


@pytest.mark.parametrize("length", [(b"content-length", b"9"), (b"transfer-encoding", b"chunked")])
async def test_an_early_answer_waits_for_the_rest_of_its_request(length: tuple[bytes, bytes]) -> None:
    """A gateway that is still sending the body when the answer comes may cut the answer off."""
    assert await ask(Wire([b"one", b"two", b"end"]), "POST", "/early", [length]) == ["heard", "heard", "heard", "401", "body"]


async def test_a_request_that_was_read_is_not_waited_for() -> None:
    assert await ask(Wire([b"one", b"two"]), "POST", "/late", [(b"content-length", b"6")]) == ["heard", "heard", "204", "body"]


@pytest.mark.parametrize("headers", [[], [(b"content-length", b"0")]])
async def test_a_request_without_a_body_is_answered_at_once(headers: list[tuple[bytes, bytes]]) -> None:
    assert await ask(Wire([b""]), "GET", "/early", headers) == ["204", "body"]


async def test_what_is_very_long_is_answered_before_its_end() -> None:
    piece = bytes(HEAR_BYTES // 2)
    assert await ask(Wire([piece] * 9), "POST", "/early", [(b"transfer-encoding", b"chunked")]) == ["heard", "heard", "401", "body"]


async def test_the_answer_to_a_wrong_method_names_all_right_ones() -> None:
    api = create_api("test")
    for method in ("get", "post", "delete"):
        getattr(api, method)("/things/{id}")(lambda id: None)
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "PUT",
        "path": "/things/1",
        "headers": [],
        "query_string": b"",
        "http_version": "1.1",
        "root_path": "",
    }
    await api(scope, Wire([b""]).receive, send)
    assert sent[0]["status"] == 405
    assert dict(sent[0]["headers"])[b"allow"] == b"DELETE, GET, POST"
