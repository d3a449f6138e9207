"""Bring the stack in containers up and down. Same ports, secrets and waybill.env as the local stack, so that no client sees a difference."""

import json
import os
import subprocess
import time
from collections.abc import Mapping
from typing import Any

from deploy.compose import engine, environment
from deploy.local import lifecycle, services
from deploy.local.errors import StackError
from deploy.local.ports import Ports, require_free, resolve
from deploy.local.program import answers
from deploy.local.progress import say, step
from deploy.local.state import ROOT, State, write_private

READY_SECONDS = 180
LOG_LINES = 15


class Project:
    """This state directory's containers: compose with its file, its project name and what it is told."""

    def __init__(self, state: State, ports: Ports, secrets: Mapping[str, str]) -> None:
        self.name = f"waybill-{state.key[:8]}"
        self._environment = environment.of_process(ports, secrets)
        command = engine.compose_command()
        if command is None:
            raise StackError("Docker is there but compose is not: install the compose plugin (`docker compose version` must answer)")
        self._command = [*command, "--project-name", self.name, "--file", str(ROOT / "docker-compose.yml")]

    def run(self, *arguments: str) -> str:
        """What compose prints. Raises StackError with the end of its output when it fails."""
        done = subprocess.run([*self._command, *arguments], capture_output=True, text=True, cwd=ROOT, env=self._environment)
        if done.returncode:
            output = "\n".join((done.stdout + done.stderr).strip().splitlines()[-LOG_LINES:])
            raise StackError(f"docker compose {' '.join(arguments[:1])} failed", output)
        return done.stdout

    def containers(self) -> list[dict[str, Any]]:
        """What `docker inspect` says of each container of the project, stopped ones too."""
        listed = self._docker("ps", "--all", "--quiet", "--filter", f"label=com.docker.compose.project={self.name}").split()
        found: list[dict[str, Any]] = json.loads(self._docker("inspect", *listed)) if listed else []
        return found

    def beside(self, name: str, *command: str) -> list[str]:
        """The line that runs a command of the image, with standard input, in the network of a running container, and with none of its rights."""
        container = next(found for found in self.containers() if name_of(found) == name)
        confined = ["--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--memory=128m", "--no-healthcheck"]
        return ["docker", "run", "--rm", "--interactive", f"--network=container:{container['Id']}", *confined, container["Image"], *command]

    def _docker(self, *arguments: str) -> str:
        done = subprocess.run(["docker", *arguments], capture_output=True, text=True, env=self._environment)
        if done.returncode:
            raise StackError(f"docker {arguments[0]} failed", done.stderr.strip())
        return done.stdout


def project(state: State) -> Project:
    """The project of a state directory that is there."""
    return Project(state, resolve(os.environ), state.load_secrets())


def name_of(container: Mapping[str, Any]) -> str:
    """A container's name among the local stack's: the service's, and its number where there are several formatters."""
    labels = container["Config"]["Labels"]
    service: str = labels["com.docker.compose.service"]
    return f"{service}-{labels['com.docker.compose.container-number']}" if service == "formatter" else service


def up(state: State) -> None:
    """Build the image, start what doesn't run, wait until everything is ready, write waybill.env.

    Raises StackError with the one line that says what is in the way.
    """
    ports = resolve(os.environ)
    state.prepare()
    secrets = state.load_secrets()
    ours = Project(state, ports, secrets)
    if not any(container["State"]["Running"] for container in ours.containers()):
        require_free(ports, [*environment.PUBLISHED, *environment.FORMATTERS])
    build(ours)
    with step("starting the containers"):
        _start(ours)
    _wait(ours, ports)
    lifecycle.organisation_key(state, ports, "org_demo", "Demo", "api_key")
    write_private(state.env_file, lifecycle.environment_file(state, ports, state.load_secrets()))
    _note_pids(state, ours)


def build(ours: Project) -> None:
    """Build the image, as far as its cache isn't that."""
    with step("building the image"):
        ours.run("build", "migrate")  # the others run the same image


def _start(ours: Project) -> None:
    """Start in the order of depends_on. What failed says why in its log: compose only names it."""
    try:
        ours.run("up", "--detach", "--no-build", "--remove-orphans")
    except StackError as error:
        raise StackError(str(error), f"{error.log}\n{_failed(ours)}".strip()) from error


def _failed(ours: Project) -> str:
    """The closing lines of each container that isn't as it should be."""
    lines = []
    for container in ours.containers():
        state = container["State"]
        good = (state["Status"] == "exited" and state["ExitCode"] == 0) or state.get("Health", {}).get("Status") == "healthy"
        if not good:
            lines.append(f"--- {name_of(container)} ({state['Status']}, exit code {state['ExitCode']})")
            lines.append(
                ours.run("logs", "--no-color", "--tail", str(LOG_LINES), container["Config"]["Labels"]["com.docker.compose.service"])
            )
    return "\n".join(lines)


def _wait(ours: Project, ports: Ports) -> None:
    """Wait until each service and the gateway answer. Raises StackError with what is missing."""
    deadline = time.monotonic() + READY_SECONDS
    urls = {name: f"http://{ports.address(name)}/health/ready" for name in services.present()}
    for name, url in urls.items():
        with step(f"waiting for {name}"):
            while why := answers(url):
                if time.monotonic() > deadline:
                    raise StackError(f"{name} is not ready after {READY_SECONDS} s: {why}", _failed(ours))
                time.sleep(0.2)
    with step("waiting for the gateway"):
        while why := answers(f"http://{ports.address('gateway')}/health", any_status=True):
            if time.monotonic() > deadline:
                raise StackError(f"the gateway is not ready: {why}", _failed(ours))
            time.sleep(0.2)


def _note_pids(state: State, ours: Project) -> None:
    """One file a container with the pid that its process has on this machine, as of now: a restarted container has another."""
    for path in state.pids.iterdir():
        path.unlink()
    for container in ours.containers():
        if container["State"]["Running"]:
            (state.pids / name_of(container)).write_text(f"{container['State']['Pid']}\n", "ascii")


def down(state: State) -> None:
    """Stop and remove the containers; the data stays in its volumes."""
    if not state.run.exists():
        return
    with step("stopping the containers"):
        project(state).run("down", "--remove-orphans")
    for path in state.pids.iterdir():
        path.unlink()


def wipe(state: State) -> None:
    """Remove the containers and their volumes."""
    if state.run.exists():
        with step("removing containers and volumes"):
            project(state).run("down", "--remove-orphans", "--volumes")


def status(state: State) -> None:
    """What runs, a line a container."""
    containers = project(state).containers()
    if not containers:
        say("nothing runs; make up starts it")
    for container in sorted(containers, key=name_of):
        health = container["State"].get("Health", {}).get("Status", "")
        say(f"{name_of(container):15} {container['State']['Status']:10} {health:10} pid {container['State']['Pid'] or '-'}")


def act(state: State, command: str, names: list[str]) -> None:
    """Start, stop or restart services (`formatter` is all of them)."""
    with step(f"{command}: {', '.join(names)}"):
        project(state).run(command, *names)
