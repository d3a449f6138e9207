"""A stack of these tests' own, whose parts are stopped, hung and started again; no other test sees it."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import patch

import httpx
import psycopg
import pytest

from deploy.local import lifecycle, stack
from deploy.local.keeper import Keeper
from deploy.local.ports import Door, free_base, resolve
from deploy.local.processes import pid_of
from deploy.local.state import State
from tests.conftest import ROOT, Stack, read_environment
from tests.e2e.conftest import EXAMPLES, Organisation, new_organisation
from tests.operate.collector import Collector
from tests.store_door import StoreDoor

T = TypeVar("T")
Process = subprocess.Popen[bytes]
LARGE_ROWS = 6000
START_SECONDS = 120  # of a process, on a machine that has more to do
LARGE = {"dataset": "messages", "format": "jsonl", "from": "2026-03-01", "to": "2026-04-01"}
SERVICES = ("ingest", "lead_scoring", "export_request", "formatter-1", "formatter-2", "delivery")
WITH_DATABASE = tuple(name for name in SERVICES if name != "lead_scoring")


def until(found: Callable[[], T], seconds: float = 30) -> T:
    """What `found` answers as soon as it is true."""
    end = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
    return value


@dataclass
class Own:
    """The stack, and what is done to it. `started`: processes that a test runs by hand, from the same settings with some changed."""

    state: State
    env: dict[str, str]
    door: StoreDoor
    started: list[Process] = field(default_factory=list)

    @property
    def stack(self) -> Stack:
        return Stack(self.env)

    @property
    def keeper(self) -> Keeper:
        return Keeper(self.state)

    def stop(self, name: str) -> tuple[float, int]:
        """Stop one process as an operator does (SIGTERM); how long it took, and its exit status."""
        began = time.monotonic()
        self.keeper.stop([name])
        took = time.monotonic() - began
        return took, next(i["exitstatus"] for i in self.keeper._call().getAllProcessInfo() if i["name"] == name)

    def start(self, *names: str) -> None:
        for name in names:
            self.keeper.start(name)
        for name in names:
            if name in (*SERVICES, "ingest-2", "export_request-2", "delivery-2"):
                until(lambda name=name: self.ready(name)[0] == 200, START_SECONDS)  # type: ignore[misc]

    def address(self, name: str) -> str:
        ports: list[int] = self.specification(name)["ports"]
        return f"127.0.0.1:{ports[0]}"

    def specification(self, name: str) -> dict[str, Any]:
        """What the process is started with."""
        loaded: dict[str, Any] = json.loads((self.state.run / f"{name}.json").read_text("utf-8"))
        return loaded

    def ready(self, name: str) -> tuple[int, dict[str, str]]:
        """/health/ready: the status and what is down; (0, {}) where nobody answers."""
        try:
            answer = httpx.get(f"http://{self.address(name)}/health/ready", timeout=5)
        except httpx.HTTPError:
            return 0, {}
        return answer.status_code, answer.json()["down"]

    def metrics(self, name: str) -> str:
        return httpx.get(f"http://{self.address(name)}/metrics", timeout=5).text

    def log(self, name: str) -> str:
        return (self.state.log / f"{name}.log").read_text("utf-8", errors="replace")

    @contextmanager
    def away(self, name: str) -> Iterator[None]:
        """Stopped, and started again whatever happens."""
        self.stop(name)
        try:
            yield
        finally:
            self.start(name)

    def kill(self, name: str) -> None:
        """kill -9; returns once the keeper has started another in its place."""
        pid = pid_of(self.state, name)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        until(lambda: (now := pid_of(self.state, name)) is not None and now != pid, START_SECONDS)

    @contextmanager
    def hung(self, name: str) -> Iterator[None]:
        """The process and its children take connections and say nothing."""
        parent = pid_of(self.state, name)
        assert parent is not None
        pids = [parent, *map(int, Path(f"/proc/{parent}/task/{parent}/children").read_text().split())]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in reversed(pids):
                os.kill(pid, signal.SIGCONT)

    def run(
        self, *names: str, code: Path = ROOT, python: Path | None = None, file_bytes_max: int | None = None, **changed: str
    ) -> list[Process]:
        """Processes by hand, as these are started but for some settings, or of other code; those themselves must not run."""
        made = []
        for name in names:
            spec = self.specification(name)
            command = [str(python), *spec["command"][1:]] if python else spec["command"]
            if file_bytes_max is not None:
                command = ["prlimit", f"--fsize={file_bytes_max}", *command]
            with (self.state.log / f"{name}.log").open("ab") as log:
                made.append(subprocess.Popen(command, env=spec["environment"] | changed, cwd=code, stdout=log, stderr=log))
        self.started += made
        for name, process in zip(names, made, strict=True):
            until(lambda name=name, process=process: self.ready(name)[0] or process.poll() is not None, START_SECONDS)  # type: ignore[misc]
            assert process.poll() is None, self.log(name)[-3000:]
        return made

    def end(self, process: Process) -> None:
        """SIGTERM to a process that runs by hand; it ends well."""
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
        self.started.remove(process)

    @contextmanager
    def instead(self, name: str, file_bytes_max: int | None = None, **changed: str) -> Iterator[Process]:
        """The process stopped, and one like it with some settings changed run by hand in its place."""
        self.stop(name)
        (process,) = self.run(name, file_bytes_max=file_bytes_max, **changed)
        try:
            yield process
        finally:
            self.end(process)
            self.start(name)


def _environment(base: int, collector: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WAYBILL_")}
    # Groups hear of who came, left or died within seconds.
    small = {"WAYBILL_DEAD_LETTERS_MAX": "5", "WAYBILL_CHUNK_ROWS_MAX": "200", "WAYBILL_KAFKA_SESSION_SECONDS": "6"}
    return kept | small | {"WAYBILL_PORT_BASE": str(base), "WAYBILL_OTLP_ENDPOINT": collector, "OTEL_BSP_SCHEDULE_DELAY": "500"}


@pytest.fixture(scope="package")
def collector() -> Iterator[Collector]:
    """Where the stack's spans go."""
    made = Collector()
    yield made
    made.close()


@pytest.fixture(scope="package")
def own(collector: Collector) -> Iterator[Own]:
    """WAYBILL_OPERATE_KEEP=PORT keeps the stack from one run to the next."""
    state = State(ROOT / ".local-operate")
    keep = os.environ.get("WAYBILL_OPERATE_KEEP")
    start = int(os.environ.get("WAYBILL_PORT_BASE") or 28000) + 25
    environment = _environment(int(keep or free_base(start)), collector.url)
    with patch.dict(os.environ, environment, clear=True):
        door = StoreDoor(resolve(os.environ)["s3"])
        doors = {name: {"s3": Door(door.port, door.target)} for name in ("formatter-1", "formatter-2", "delivery", "delivery-2")}
        if not keep:
            stack.clean(state)
        lifecycle.up(state, [], doors)
    made = Own(state, read_environment(state.env_file), door)
    try:
        yield made
    finally:
        for process in made.started:
            process.kill()  # of a test that failed
        if not keep:
            lifecycle.down(state)
        door.close()


@pytest.fixture(scope="package")
def organisation(own: Own) -> Iterator[Organisation]:
    """An organisation with the example's records."""
    made = new_organisation(own.stack)
    assert made.send((EXAMPLES / "records.ndjson").read_bytes())["refused_count"] == 0
    yield made
    made.http.close()


@pytest.fixture(scope="package")
def large(own: Own) -> Iterator[Organisation]:
    """An organisation whose messages are a hundred chunks and a file of more than sockets hold."""
    made = new_organisation(own.stack)
    lines = [{"type": "channel", "id": "ch", "data": {"medium": "Web chat", "name": "Site"}}]
    lines.append({"type": "conversation", "id": "conv", "data": {"channel_id": "ch", "created_at": "2026-03-01T00:00:00Z"}})
    for number in range(LARGE_ROWS):
        at = f"2026-03-{1 + number % 28:02}T{number % 24:02}:00:00Z"
        data = {"conversation_id": "conv", "created_at": at, "sender": {"kind": "visitor"}, "content": f"{number} " + "x" * 2500}
        lines.append({"type": "message", "id": f"m{number}", "data": data})
    assert made.send("\n".join(map(json.dumps, lines)).encode())["refused_count"] == 0
    yield made
    made.http.close()


@pytest.fixture
def database(own: Own) -> Iterator["psycopg.Connection[tuple[Any, ...]]"]:
    """The stack's database, as superuser."""
    with psycopg.connect(own.stack.database_url, autocommit=True) as connection:
        yield connection
