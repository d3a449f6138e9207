"""`make test`: every test on a stack of its own, in its own directory and on its own ports, so that a running one isn't disturbed.

In containers where a Docker engine answers, else the local stack; WAYBILL_STACK=docker|local says which.

Leaves nothing running; ends with pytest's lines and pytest's exit code.
"""

import contextlib
import io
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from deploy import choice, stack
from deploy.local import toxiproxy
from deploy.local.errors import StackError
from deploy.local.ports import free_base
from deploy.local.progress import say, step
from deploy.local.state import ROOT, State

STATE = State(ROOT / ".local-test")
# Days of retries pass in seconds, a delivery whose process was killed is sent again soon, and groups hear of who came, left or died.
QUICK = {
    "WAYBILL_WEBHOOK_TIME_SCALE": "0.00001", "WAYBILL_WEBHOOK_TIMEOUT_SECONDS": "2", "WAYBILL_WEBHOOK_LEASE_SECONDS": "3",
    "WAYBILL_DESTINATION_TIME_SCALE": "0.0005", "WAYBILL_DESTINATION_LEASE_SECONDS": "3",
    "WAYBILL_KAFKA_SESSION_SECONDS": "6",
}  # fmt: skip
# Some hundreds of processes start: each would compile anew all that it runs.
COSTLY = "PYTHONDONTWRITEBYTECODE"
# Two workers, each with whole groups of tests (tests/conftest.py), the longest first. A third one takes half a minute off, and leaves two cores no moment idle:
# what has to answer in time then waits for its turn.
WORKERS = ["-n", "2", "--dist", "loadscope", "--no-loadscope-reorder"]
# Debian packages by the command that they bring: clients that we did not write.
CLIENTS = {
    "kcat": "kcat",
    "soffice": "libreoffice-calc-nogui",
    "jq": "jq",
    "openssl": "openssl",
    "7z": "p7zip-full",
    "pdftotext": "poppler-utils",
    "sftp": "openssh-client",
    "rclone": "rclone",
    "lftp": "lftp",
    "/usr/sbin/sshd": "openssh-server",
}


def missing_packages(commands: Mapping[str, str]) -> list[str]:
    return [package for command, package in commands.items() if not shutil.which(command)]


def install_clients(commands: Mapping[str, str] = CLIENTS) -> None:
    """Install what is missing where we may; raises StackError with the line that does it where we may not."""
    packages = missing_packages(commands)
    if not packages:
        return
    line = f"apt-get install -y --no-install-recommends {' '.join(packages)}"
    if os.geteuid() or not shutil.which("apt-get"):
        raise StackError(f"the tests need {' and '.join(packages)}; install with: sudo {line}")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    with step(f"installing {', '.join(packages)}"):
        for command in (["apt-get", "update", "-qq"], [*line.split(), "-qq"]):
            done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if missing_packages(commands):
        raise StackError(f"the tests need {' and '.join(packages)}; this failed: {line}", (done.stdout + done.stderr).strip()[-2000:])


def prepare_rounds(stack_chosen: str) -> list[str]:
    """What the rounds of faults need; pytest's arguments that leave out, where only containers are to be had, what starts processes of its own."""
    if stack_chosen == choice.DOCKER and not (shutil.which("java") and shutil.which("mvn")):
        say(
            "the rounds of faults and the tests of operating, of TLS, of accessible reports and of Spark need Java, Maven and Go, and are left out; make faults plays the rounds"
        )
        left_out = (
            "tests/faults/test_rounds.py",
            "tests/operate",
            "tests/secured",
            "tests/unit/formatting/test_accessible.py",
            "tests/integration/engine/test_spark.py",
        )
        return [f"--ignore={path}" for path in left_out]
    if not toxiproxy.found():
        install_clients({"go": "golang-go"})
        toxiproxy.binary()
    return []


def promtool() -> Path:
    """Prometheus's tool that checks rules: on the PATH, or unpacked from Debian's package, whose server nobody needs. Raises StackError where neither is had."""
    if found := shutil.which("promtool"):
        return Path(found)
    kept = Path(sys.executable).parent / "promtool"
    if kept.exists():
        return kept
    with tempfile.TemporaryDirectory() as folder, step("unpacking promtool"):
        said = ""
        for command in (
            "apt-get download prometheus || (apt-get update -qq && apt-get download prometheus)",
            "dpkg-deb -x prometheus_*.deb .",
        ):
            done = subprocess.run(command, shell=True, capture_output=True, text=True, cwd=folder)
            said += done.stdout + done.stderr
        if not (Path(folder) / "usr" / "bin" / "promtool").exists():
            raise StackError("the tests need promtool: install Prometheus, or put promtool on the PATH", said.strip()[-2000:])
        shutil.copy(Path(folder) / "usr" / "bin" / "promtool", kept.with_suffix(".new"))
        kept.with_suffix(".new").replace(kept)
    return kept


def environment_for_tests(environment: Mapping[str, str], base: int) -> dict[str, str]:
    """The caller's environment without its settings for a stack, so that only the ports of the tests' own one are left, and with compiled code kept."""
    kept = {name: value for name, value in environment.items() if not name.startswith("WAYBILL_") and name != COSTLY}
    return kept | {"WAYBILL_PORT_BASE": str(base), "WAYBILL_ENV_FILE": str(STATE.env_file)} | QUICK


def main() -> int:
    code = 1
    try:
        install_clients()
        stack.clean(STATE)
        chosen = choice.choose(os.environ, STATE.directory)
        arguments = [*sys.argv[1:], *prepare_rounds(chosen)]
        wanted = os.environ.get("WAYBILL_TEST_PORT_BASE")
        base = int(wanted) if wanted else free_base()
        environment = environment_for_tests(os.environ, base)
        os.environ.clear()
        os.environ.update(environment)
        try:
            stack.up(STATE, chosen)
            code = subprocess.run([sys.executable, "-m", "pytest", *WORKERS, *arguments], cwd=ROOT).returncode
        finally:
            with contextlib.redirect_stdout(io.StringIO()):  # the closing lines are pytest's
                stack.leave(STATE)
    except StackError as error:
        if error.log:
            print(error.log, file=sys.stderr)
        print(f"error: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
