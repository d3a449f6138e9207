"""A server on loopback that answers as the HTTP contract says, for what a client has to cope with."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvicorn
from typer.testing import CliRunner, Result

from cli.main import app
from tests.unit.cli.fake_api import Fake, api_of


class _Server(uvicorn.Server):
    """Says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


@pytest.fixture
def fake() -> Iterator[Fake]:
    """The server's state; `fake.url` is where it listens."""
    state = Fake()
    listener = socket.create_server(("127.0.0.1", 0))
    server = _Server(uvicorn.Config(api_of(state), log_level="critical", lifespan="off", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    assert server.listening.wait(10)
    state.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    yield state
    server.should_exit = True
    thread.join(10)
    assert not thread.is_alive()


Waybill = Callable[..., Result]


@pytest.fixture
def waybill(fake: Fake, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Waybill:
    """Runs the command in an empty folder against the fake; waits between tries cost nothing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(time, "sleep", fake.waits.append)

    def run(*arguments: str, stdin: str | bytes | None = None, env: dict[str, str | None] | None = None) -> Result:
        settings = {"WAYBILL_URL": fake.url, "WAYBILL_API_KEY": "sk_live_test", "WAYBILL_OPERATOR_TOKEN": "operator", **(env or {})}
        return CliRunner().invoke(app, list(arguments), input=stdin, env=settings)

    return run
