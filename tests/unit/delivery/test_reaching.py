"""What is wrong with the way to a destination, in one word."""

import socket
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.delivery.core.addresses import PUBLIC_ONLY, AddressRule
from services.delivery.core.destinations.problems import Code, Undelivered
from services.delivery.destinations.reaching import reach, unreached
from services.delivery.guard import AddressRefused, Guard


@pytest.fixture
async def guard() -> AsyncIterator[Guard]:
    made = Guard(AddressRule(loopback=True))
    yield made
    await made.close()


async def test_who_listens_is_reached_and_gone_again_when_closed(guard: Guard) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        with await reach(guard, "localhost", server.getsockname()[1]) as connected:
            other, _ = server.accept()
            assert connected.getblocking() is False
            assert connected.getpeername() == other.getsockname()
        assert other.recv(1) == b""
        other.close()


async def test_nobody_listens(guard: Guard) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(Undelivered) as caught:
        await reach(guard, "127.0.0.1", port)
    assert (caught.value.code, caught.value.again) == (Code.refused, True)
    assert f"127.0.0.1:{port}" in caught.value.message


async def test_a_server_that_takes_no_more_connections_is_waited_for_so_long(guard: Guard, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: Any) -> socket.socket:
        raise TimeoutError

    monkeypatch.setattr(guard, "connect", never)
    with pytest.raises(Undelivered) as caught:
        await reach(guard, "127.0.0.1", 9, seconds=0.5)
    assert (caught.value.code, caught.value.message) == (Code.timeout, "127.0.0.1:9 did not answer within 0.5 seconds.")


@pytest.mark.parametrize("name", ["no-such-host.invalid", "a" * 64 + ".example", ".", "x..example"])
async def test_a_name_that_is_nobodys(guard: Guard, name: str) -> None:
    with pytest.raises(Undelivered) as caught:
        await reach(guard, name, 22)
    assert caught.value.code is Code.name_not_found


async def test_an_address_that_is_refused_is_not_tried_again_and_not_named() -> None:
    guard = Guard(PUBLIC_ONLY)
    try:
        with pytest.raises(Undelivered) as caught:
            await reach(guard, "localhost", 22)
    finally:
        await guard.close()
    assert (caught.value.code, caught.value.again) == (Code.address_refused, False)
    assert "127.0.0.1" not in caught.value.message


def grouped(*errors: OSError) -> BaseException:
    group: BaseException = ExceptionGroup("all of them", errors)
    return group


def behind(cause: BaseException) -> BaseException:
    error = OSError("a library's own")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ssl.SSLError(1, "wrong version number"), Code.tls_failed),
        (behind(ssl.SSLCertVerificationError(1, "x")), Code.tls_failed),
        (grouped(ConnectionRefusedError(), AddressRefused()), Code.address_refused),
        (grouped(ConnectionRefusedError(), ConnectionRefusedError()), Code.refused),
        (OSError(101, "unreachable"), Code.refused),
        (ConnectionResetError(), Code.disconnected),
        (behind(socket.gaierror(-2, "x")), Code.name_not_found),
    ],
    ids=["tls", "certificate", "one-inside", "refused", "unreachable", "reset", "name"],
)
def test_what_libraries_wrap_is_found(error: BaseException, code: Code) -> None:
    assert unreached(error, "files.example:22").code is code
