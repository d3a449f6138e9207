"""The bench's own stack: its state directory and ports, started by deploy/local, with one organisation of its own."""

import json
import os
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import psycopg

from tests.bench.paths import ROOT, STATE, STORE
from tests.bench.processes import Processes

PORT_BASE = "27800"
SERVICES = ["ingest", "lead_scoring", "export_request", "formatter-1", "formatter-2", "delivery"]
DIRECTORY_STORE = f"file://{STORE}"


class BenchError(Exception):
    """A measurement that can't be made, with the one line that says why."""


@dataclass
class Stack:
    """A running stack. `settings` are WAYBILL_* variables that its services are started with."""

    settings: dict[str, str] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    api_keys: dict[str, str] = field(default_factory=dict)

    @property
    def database_url(self) -> str:
        """PostgreSQL as superuser."""
        return self.env["WAYBILL_DATABASE_URL"]

    @property
    def processes(self) -> Processes:
        return Processes(STATE / "pids")

    def command(self, *arguments: str) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("WAYBILL_") or name == "WAYBILL_PORT_BASE"}
        environment |= {"WAYBILL_PORT_BASE": os.environ.get("WAYBILL_PORT_BASE") or PORT_BASE} | self.settings
        command = [sys.executable, "-m", "deploy.local.stack", "--quiet", "--state", str(STATE), *arguments]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise BenchError(f"stack {' '.join(arguments)}: {(done.stderr or done.stdout).strip()[-2000:]}")

    def up(self, **settings: str) -> None:
        """Start it, or restart the services whose settings differ from before, and wait until all is ready."""
        STORE.mkdir(parents=True, exist_ok=True)
        self.settings = settings
        self.command("up")
        lines = (STATE / "waybill.env").read_text("utf-8").splitlines()
        pairs = [word.partition("=") for line in lines for word in shlex.split(line, comments=True)]
        self.env = {name: value for name, _, value in pairs}

    def stop(self, *names: str) -> None:
        self.command("stop", *names)

    def start(self, *names: str) -> None:
        """Start processes and wait until they say that they are ready."""
        self.command("start", *names)
        for name in names:
            self._wait_ready(name)

    def _wait_ready(self, name: str) -> None:
        address = self.env.get(f"WAYBILL_{name.upper().replace('-', '_').removesuffix('_1')}_HTTP")
        deadline = time.monotonic() + 60
        while address and not _answers(f"http://{address}/health/ready"):
            if time.monotonic() > deadline:
                raise BenchError(f"{name} is not ready after a minute; its log is in {STATE / 'log'}")
            time.sleep(0.02)

    def sql(self, query: str, *values: object) -> list[tuple[object, ...]]:
        """Run one statement as superuser; returns its rows, none for a command."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            cursor = connection.execute(query.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def api_key(self, org_id: str) -> str:
        """An admin key of the organisation, which is made at the first call."""
        kept = STATE / f"bench-{org_id}.key"
        if kept.exists():
            return kept.read_text("utf-8")
        specification = json.loads((STATE / "run" / "export_request.json").read_text("utf-8"))
        environment = specification["environment"] | {"WAYBILL_DATABASE_URL": self.database_url}
        command = [sys.executable, "-m", "services.export_request.bootstrap", "--org", org_id, "--name", f"Bench {org_id}"]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise BenchError(f"the organisation {org_id} could not be made: {(done.stdout + done.stderr).strip()[-1000:]}")
        key = str(json.loads(done.stdout.strip().splitlines()[-1])["api_key"])
        kept.touch(mode=0o600)
        kept.write_text(key, "utf-8")
        return key

    def store_path(self, key: str) -> Path:
        """Where the directory store keeps an object."""
        return STORE / key


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=2):
            return True
    except (URLError, OSError):
        return False
