"""The suite's own stack (deploy/local, in a directory and on ports of its own), with a proxy in front of every dependency for every service."""

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psycopg

from deploy.local import bootstrap, lifecycle, stack
from deploy.local.lifecycle import read_environment
from deploy.local.ports import BLOCK, HOST, Door, Ports, free_base, resolve
from deploy.local.processes import pid_of
from deploy.local.program import answers
from deploy.local.state import ROOT, State
from tests.faults.names import Names
from tests.faults.network import Network, Proxy
from tests.faults.plan import LINKS, SERVICES

PROXIES_FROM = BLOCK  # the proxy and its links lie behind the block of ports that the stack takes
SESSION_SECONDS = 3.0
# What a round would otherwise wait for, and exports of many chunks from few rows.
SETTINGS = {
    "WAYBILL_KAFKA_SESSION_SECONDS": str(SESSION_SECONDS),
    "WAYBILL_PLAN_LEASE_SECONDS": "3",
    "WAYBILL_DELIVERY_LEASE_SECONDS": "3",
    "WAYBILL_DELIVERY_SWEEP_SECONDS": "1",
    "WAYBILL_DELIVERY_UPLOAD_HOURS_MAX": "0.003",
    "WAYBILL_WEBHOOK_TIMEOUT_SECONDS": "2",
    "WAYBILL_WEBHOOK_LEASE_SECONDS": "3",
    "WAYBILL_WEBHOOK_TIME_SCALE": "0.1",
    "WAYBILL_DESTINATION_LEASE_SECONDS": "3",
    "WAYBILL_DESTINATION_TIME_SCALE": "0.003",
    "WAYBILL_CHUNK_ROWS_MAX": "30",
    "WAYBILL_CHUNK_BYTES_MAX": str(6 << 20),
    "WAYBILL_EXPRESS_ROWS_MAX": "40",
    "WAYBILL_EXPRESS_BYTES_MAX": str(1 << 20),
    "WAYBILL_INGEST_RECORDS_MAX": "200",
    "WAYBILL_RECONCILE_GRACE_HOURS": "0",
    "WAYBILL_SMTP_HOST": HOST,
    "WAYBILL_SMTP_SECURITY": "none",
    "WAYBILL_SMTP_FROM": "Waybill <exports@waybill.example>",
    "WAYBILL_SMTP_TIMEOUT_SECONDS": "2",
}


@dataclass
class FaultStack:
    """Processes by name, and where they are. `up` and `down` are its life; between them rounds come and go."""

    directory: Path = ROOT / ".local-faults"
    env: dict[str, str] = field(default_factory=dict)
    network: Network | None = None

    def __post_init__(self) -> None:
        self.state = State(self.directory.resolve())
        self.ports = Ports({})
        self.names = Names(self.state.directory / "names")
        self.mail_port = 0  # where the stack's mail server is, as soon as somebody is one

    def up(self) -> None:
        """A fresh stack. Raises StackError where it can't be."""
        bootstrap.check_prerequisites()
        bootstrap.set_up_kafka()
        stack.clean(self.state)
        base = int(os.environ.get("WAYBILL_PORT_BASE") or free_base())
        kept = {name: value for name, value in os.environ.items() if not name.startswith("WAYBILL_")}
        doors = doors_from(base)
        self.mail_port = 1 + max(each for seen in doors.values() for door in seen.values() for each in (door.port, door.behind))
        os.environ.clear()
        os.environ.update(kept | {"WAYBILL_PORT_BASE": str(base), "WAYBILL_SMTP_PORT": str(self.mail_port)} | SETTINGS)
        self.ports = Ports(resolve(os.environ).by_name, doors)
        proxies = [Proxy(f"{service}>{name}", door.port, door.behind) for service, seen in doors.items() for name, door in seen.items()]
        self.network = Network(base + PROXIES_FROM, proxies)
        self.network.start()
        with self.names.told_to("delivery"):
            lifecycle.up(self.state, [], doors)
        self.env = read_environment(self.state.env_file.read_text("utf-8"))

    def down(self) -> None:
        lifecycle.down(self.state)
        if self.network is not None:
            self.network.stop()

    # ---- processes

    def pid(self, name: str) -> int | None:
        return pid_of(self.state, name)

    def ready(self, name: str) -> str | None:
        """None when a process does its work, else what it waits for."""
        match name:
            case "kafka":
                return _accepts(self.ports["kafka"])
            case "postgres":
                return self._postgres_ready()
            case "s3":
                return answers(f"http://{self.ports.address('s3')}/healthz")
            case _:
                return answers(f"http://{self.ports.address(name)}/health/ready")

    def wait_ready(self, names: tuple[str, ...], seconds: float = 120) -> str | None:
        """None once all are ready, else who is not after so long."""
        deadline = time.monotonic() + seconds
        for name in names:
            while (why := self.ready(name)) is not None:
                if time.monotonic() > deadline:
                    return f"{name} is not ready after {seconds:.0f} s: {why}"
                time.sleep(0.1)
        return None

    def pids(self) -> dict[str, int | None]:
        return {name: self.pid(name) for name in (*SERVICES, "kafka", "postgres", "s3", "gateway")}

    def _postgres_ready(self) -> str | None:
        try:
            with psycopg.connect(self.env["WAYBILL_DATABASE_URL"], connect_timeout=2):
                return None
        except psycopg.OperationalError as error:
            return str(error)

    # ---- doors

    @property
    def operator(self) -> httpx.Client:
        return httpx.Client(
            base_url=self.env["WAYBILL_URL"], timeout=30, headers={"Authorization": f"Bearer {self.env['WAYBILL_OPERATOR_TOKEN']}"}
        )


def doors_from(base: int) -> dict[str, dict[str, Door]]:
    """A port for each link, and one more for each of Kafka's, behind the stack's own block and the proxy's API."""
    resolved = resolve({"WAYBILL_PORT_BASE": str(base)})
    doors: dict[str, dict[str, Door]] = {service: {} for service in SERVICES}
    port = base + PROXIES_FROM
    for service, dependency in LINKS:
        port += 1
        doors[service][dependency] = Door(port, resolved[dependency])
    for service in SERVICES:
        port += 1
        doors[service]["kafka"] = Door(doors[service]["kafka"].port, port)
    return doors


def _accepts(port: int) -> str | None:
    try:
        with socket.create_connection((HOST, port), timeout=2):
            return None
    except OSError as error:
        return str(error)


def end_on_sigterm() -> None:
    """A suite that is told to end takes its stack down first, however often it is told."""

    def end(number: int, frame: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, end)


def revision() -> str:
    """The commit under test; a + behind it where the code differs from it."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True).stdout.strip()

    changed = git("status", "--porcelain", "--", "services", "shared", "schemas", "deploy", "requirements.lock", "tests/faults/*.py")
    return git("rev-parse", "--short=10", "HEAD") + ("+" if changed else "")
