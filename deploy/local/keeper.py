"""Keeps the processes alive by supervisord: its configuration, and the few calls that the stack needs of it."""

import hashlib
import json
import os
import socket
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import SupervisorTransport  # type: ignore[import-untyped]

from deploy.local.errors import StackError
from deploy.local.state import State

LAUNCHER = Path(__file__).with_name("launch.py")
ALIVE = ("RUNNING", "STARTING", "STOPPING", "BACKOFF")
LOG_BYTES_MAX = 20 * 1024 * 1024


def _escape(text: str) -> str:
    return text.replace("%", "%%")


def render(state: State, specifications: dict[str, str]) -> str:
    """supervisord's configuration. A program's section changes with its specification, which is how a changed one gets restarted."""
    sections = [
        "[supervisord]",
        f"logfile={_escape(str(state.log / 'supervisord.log'))}",
        "logfile_maxbytes=5MB",
        f"pidfile={_escape(str(state.run / 'supervisord.pid'))}",
        *(["user=root"] if os.geteuid() == 0 else []),
        "[unix_http_server]",
        f"file={_escape(str(state.socket))}",
        "chmod=0700",
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
    ]
    for name, text in sorted(specifications.items()):
        spec = json.loads(text)
        sections += [
            f"[program:{name}]",
            f'command="{_escape(sys.executable)}" -I -S "{_escape(str(LAUNCHER))}" "{_escape(str(state.run / (name + ".json")))}"',
            f'environment=WAYBILL_SPECIFICATION="{hashlib.sha256(text.encode()).hexdigest()}"',
            "autostart=false",
            "autorestart=true",
            "startsecs=1",
            "startretries=1000000",
            f"stopsignal={spec['stop_signal']}",
            f"stopwaitsecs={spec['stop_seconds']}",
            "killasgroup=true",
            "redirect_stderr=true",
            f"stdout_logfile={_escape(str(state.log / (name + '.log')))}",
            f"stdout_logfile_maxbytes={LOG_BYTES_MAX}",
            "stdout_logfile_backups=3",
        ]
    return "\n".join(sections) + "\n"


class Keeper:
    """A client of this state directory's supervisord."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.configuration = state.run / "supervisord.conf"

    def _call(self) -> Any:
        transport = SupervisorTransport(None, None, serverurl=f"unix://{self.state.socket}")
        return xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport).supervisor

    def is_running(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(self.state.socket))
            except OSError:
                return False
        return True

    def configure(self, specifications: dict[str, str]) -> None:
        """Write the configuration; a running supervisord takes it up, and processes whose start has changed are stopped."""
        self.configuration.write_text(render(self.state, specifications), "utf-8")
        if not self.is_running():
            command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(self.configuration)]
            started = subprocess.run(command, capture_output=True, text=True, cwd="/", stdin=subprocess.DEVNULL)
            if started.returncode:
                raise StackError(f"supervisord does not start: {(started.stderr or started.stdout).strip()}")
            return
        call = self._call()
        added, changed, removed = call.reloadConfig()[0]
        self.stop([*changed, *removed])
        for name in [*changed, *removed]:
            call.removeProcessGroup(name)
        for name in [*changed, *added]:
            call.addProcessGroup(name)

    def states(self) -> dict[str, str]:
        """Process name → supervisord's word for its state (RUNNING, STARTING, BACKOFF, STOPPED …); empty when nothing runs."""
        if not self.is_running():
            return {}
        return {info["name"]: info["statename"] for info in self._call().getAllProcessInfo()}

    def start(self, name: str) -> None:
        """Start one process if it doesn't run, at once also where a pause between its restarts is on; doesn't wait for it."""
        word = self.states().get(name)
        if word == "BACKOFF":
            self._call().stopProcess(name)
        if word not in ("RUNNING", "STARTING"):
            self._call().startProcess(name, False)

    def stop(self, names: Iterable[str]) -> None:
        """Stop processes, all at once, and wait until they have ended; those that take too long are killed."""
        states = self.states()
        names = set(names) & states.keys()
        for name in names:
            if states[name] in ("RUNNING", "STARTING", "BACKOFF"):
                self._call().stopProcess(name, False)
        while any(self.states()[name] in ALIVE for name in names):
            time.sleep(0.05)

    def shutdown(self) -> None:
        """End supervisord; returns at once."""
        if self.is_running():
            self._call().shutdown()
