"""`make test-compose`: docker-compose.yml as it is, really built and run, the end-to-end tests against it, everything taken down again.

Where a Docker engine answers it is used, with the real images. Where none does, one is started by hand (as root, on Debian) with stand-ins for the
images that can't be pulled; its images are kept in .local-engine for the next time. Ends with pytest's exit code.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import yaml

from deploy import choice, stack
from deploy.compose import engine as docker
from deploy.compose import lifecycle
from deploy.local.errors import StackError
from deploy.local.ports import free_base
from deploy.local.progress import say, step
from deploy.local.state import ROOT, State
from deploy.local.testing import environment_for_tests, install_clients
from tests.compose import engine, standins
from tests.compose.state import ENGINE_DIRECTORY, STATE_DIRECTORY

STATE = State(STATE_DIRECTORY)
# The webhooks' receiver is on this machine's loopback, which containers don't reach, and what is killed there is a process of this machine.
TESTS = ["tests/compose", "tests/e2e", "--ignore=tests/e2e/test_webhooks.py"]


def images() -> list[str]:
    """The images that docker-compose.yml takes from elsewhere, and the one that ours is built on."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"].values()
    base = next(service["build"]["args"]["PYTHON"] for service in services if "build" in service)
    return sorted({service["image"] for service in services if "build" not in service} | {base.removesuffix("}").partition(":-")[2]})


@contextmanager
def an_engine() -> Iterator[None]:
    """This process's environment points to an engine that has the images or can pull them."""
    if docker.answers():
        say("taking the Docker engine that answers, and real images")
        yield
        return
    with engine.by_hand(ENGINE_DIRECTORY) as environment:
        os.environ.update(environment)
        standins.make(images(), ENGINE_DIRECTORY, os.environ)
        yield


def _prepare_environment() -> None:
    """Forget the caller's stack."""
    environment = environment_for_tests(os.environ, 0) | {"WAYBILL_ENV_FILE": str(STATE.env_file), "WAYBILL_TEST_COMPOSE": "1"}
    environment |= {"WAYBILL_STATE": str(STATE.directory)}
    del environment["WAYBILL_PORT_BASE"]  # chosen once the image is built, which takes minutes in which a free port may be taken
    os.environ.clear()
    os.environ.update(environment)


def run(arguments: list[str], port_base: str) -> int:
    """Bring up, test, take down; pytest's exit code."""
    stack.clean(STATE)
    STATE.prepare()
    choice.keep(STATE.directory, choice.DOCKER)
    try:
        lifecycle.build(lifecycle.project(STATE))
        os.environ["WAYBILL_PORT_BASE"] = port_base or str(free_base())
        stack.up(STATE, choice.DOCKER)
        say("the containers are up; testing")
        return subprocess.run([sys.executable, "-m", "pytest", *(arguments or TESTS)], cwd=ROOT).returncode
    finally:
        with step("taking everything down"):
            stack.clean(STATE)


def main() -> int:
    code = 1
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # take everything down also then
    try:
        install_clients()
        port_base = os.environ.get("WAYBILL_TEST_PORT_BASE", "")
        _prepare_environment()
        with an_engine():
            code = run(sys.argv[1:], port_base)
    except StackError as error:
        if error.log:
            print(error.log, file=sys.stderr)
        print(f"error: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
