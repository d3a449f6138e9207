"""Asking a process whether it is ready, whatever it answers."""

import socket
import threading

import pytest

from deploy.local.program import answers


def served(answer: bytes) -> str:
    """A URL at which one request is answered with this, and the connection closed."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listener, listener.accept()[0] as connection:
            connection.recv(65536)
            connection.sendall(answer)

    threading.Thread(target=serve, daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}/health/ready"


def test_an_answer_that_is_well_is_enough() -> None:
    assert answers(served(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")) is None


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 503 No\r\nContent-Length: 5\r\n\r\nkafka", "answers 503: kafka"),
        (
            b"HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nka",
            "answers 503",
        ),  # seed 2404: it broke off in the middle of saying why
        (b"", "does not answer"),
        (b"nonsense\r\n", "does not answer"),
    ],
)
def test_what_is_not_ready_is_said_and_never_raised(answer: bytes, said: str) -> None:
    assert said in (answers(served(answer)) or "")
