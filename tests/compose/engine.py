"""An engine started by hand, where none answers: Debian's dockerd with all that it keeps in one directory. Needs root."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from deploy.compose import engine
from deploy.local.errors import StackError
from deploy.local.progress import say, step
from tests.compose.shell import run

# What is needed by the command that it brings → Debian's package.
PACKAGES = {"dockerd": "docker.io", "iptables": "iptables", "debootstrap": "debootstrap"}
READY_SECONDS = 60
STOP_SECONDS = 30


def install() -> None:
    """Install what is missing where we may; raises StackError that says what is needed where we may not."""
    missing = [package for command, package in PACKAGES.items() if not shutil.which(command)]
    if engine.compose_command() is None:
        missing.append("docker-compose")
    if os.geteuid():
        raise StackError(
            "no Docker engine answers, and only root can start one: start Docker (`docker info` must answer), or run this as root on Debian"
        )
    if not missing:
        return
    line = ["apt-get", "install", "-y", "--no-install-recommends", "-qq", *missing]
    if not shutil.which("apt-get"):
        raise StackError(
            f"no Docker engine answers, and {', '.join(missing)} can't be installed here: start Docker (`docker info` must answer)"
        )
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    run("updating the list of packages", ["apt-get", "update", "-qq"], environment)
    run(f"installing {', '.join(missing)}", line, environment)


@contextmanager
def by_hand(home: Path) -> Iterator[Mapping[str, str]]:
    """A running engine of our own; the variables that point clients to it. Its images stay in `home` for the next time, nothing else does."""
    install()
    home.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(prefix="waybill-engine-", dir="/tmp"))  # sockets' paths must be short
    socket = f"unix://{place}/docker.sock"
    with open(home / "dockerd.log", "wb") as log:
        command = [
            "dockerd",
            "--data-root",
            str(home / "data"),
            "--exec-root",
            str(place / "exec"),
            "--pidfile",
            str(place / "pid"),
            "-H",
            socket,
        ]
        daemon = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
    environment = {"DOCKER_HOST": socket, "DOCKER_BUILDKIT": "0", "COMPOSE_DOCKER_CLI_BUILD": "0"}
    try:
        with step("starting a Docker engine"):
            _wait(daemon, environment, home / "dockerd.log")
        say(f"started a Docker engine by hand (its log: {home / 'dockerd.log'})")
        yield environment
    finally:
        with step("stopping the Docker engine"):
            _stop(daemon, place)
        shutil.rmtree(place, ignore_errors=True)


def _wait(daemon: "subprocess.Popen[bytes]", environment: Mapping[str, str], log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not engine.answers(environment):
        if daemon.poll() is not None or time.monotonic() > deadline:
            raise StackError("the Docker engine does not start", "\n".join(log.read_text("utf-8", errors="replace").splitlines()[-15:]))
        time.sleep(0.2)


def _stop(daemon: "subprocess.Popen[bytes]", place: Path) -> None:
    """End the daemon; its containers, were any left, and its containerd end with it."""
    if daemon.poll() is None:
        daemon.send_signal(signal.SIGTERM)
        try:
            daemon.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()
    for mount in [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines() if f" {place}/" in line]:
        subprocess.run(["umount", "--lazy", mount], capture_output=True)
