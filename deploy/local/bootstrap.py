"""What has to be there before the stack: .venv with all that the lock file names, and Kafka's jars. Needs nothing but Python."""

import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

from deploy import choice
from deploy.local.errors import StackError
from deploy.local.progress import step

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
JARS = HERE / "target" / "kafka"
PYTHON_MIN = (3, 11)
JAVA_MIN = 17
UV_VERSION = "0.13.9"  # installs what the lock file names; everything else is locked there
OUTPUT_LINES = 15


def _run(what: str, command: list[str], advice: str = "") -> None:
    with step(what):
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        output = "\n".join((done.stdout + done.stderr).strip().splitlines()[-OUTPUT_LINES:])
        raise StackError(f"{what} failed{advice}", output)


def _digest(*paths: Path) -> str:
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()


def _is_current(marker: Path, digest: str) -> bool:
    return marker.exists() and marker.read_text("ascii") == digest


def java_major(version_output: str) -> int | None:
    """The major version in what `java -version` prints, None when it can't be told; "1.8.0" is 8."""
    found = re.search(r'version "(?:1\.)?(\d+)', version_output)
    return int(found[1]) if found else None


def check_java() -> None:
    """Raise StackError unless a Java that Kafka runs on is there."""
    advice = f"install a Java runtime, {JAVA_MIN} or newer (Debian: apt-get install openjdk-17-jre-headless)"
    if not shutil.which("java"):
        raise StackError(f"Java is missing: {advice}")
    major = java_major(subprocess.run(["java", "-version"], capture_output=True, text=True).stderr)
    if major is None or major < JAVA_MIN:
        raise StackError(f"Java is too old (version {major}): {advice}")


def set_up_python() -> None:
    """Make .venv be what requirements.lock says, with the project itself in it."""
    marker = VENV / ".waybill-lock"
    digest = _digest(ROOT / "requirements.lock", ROOT / "pyproject.toml")
    python = VENV / "bin" / "python"
    if python.exists() and _is_current(marker, digest):
        return
    if not python.exists():
        _run("making .venv", [sys.executable, "-m", "venv", "--clear", str(VENV)], " (Debian: apt-get install python3-venv)")
    uv = [str(VENV / "bin" / "uv"), "pip"]
    if not (VENV / "bin" / "uv").exists():
        _run("installing uv", [str(python), "-m", "pip", "install", "--quiet", f"uv=={UV_VERSION}"])
    _run("installing Python packages", [*uv, "sync", "--quiet", "--python", str(python), "requirements.lock"])
    _run("installing Waybill", [*uv, "install", "--quiet", "--python", str(python), "--no-deps", "--no-build-isolation", "--editable", "."])
    marker.write_text(digest, "ascii")


def _has_kafka() -> bool:
    return _is_current(JARS.parent / "complete", _digest(HERE / "pom.xml"))


def check_prerequisites() -> None:
    """Raise StackError for what a person has to install, before anything takes time."""
    check_java()
    if not _has_kafka() and not shutil.which("mvn"):
        raise StackError("Maven is missing: install it, it fetches Kafka (Debian: apt-get install maven)")


def set_up_kafka() -> None:
    """Fetch Kafka's jars."""
    if _has_kafka():
        return
    shutil.rmtree(JARS, ignore_errors=True)
    goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={JARS}"]
    _run("fetching Kafka by Maven", ["mvn", "-q", "-B", "-Dstyle.color=never", "-f", str(HERE / "pom.xml"), *goal])
    (JARS.parent / "complete").write_text(_digest(HERE / "pom.xml"), "ascii")


def main() -> None:
    try:
        if sys.version_info < PYTHON_MIN:
            raise StackError(
                f"Python {PYTHON_MIN[0]}.{PYTHON_MIN[1]} or newer is needed; this is {sys.version.split()[0]} ({sys.executable})"
            )
        if "--python-only" in sys.argv[1:] or ("--all" not in sys.argv[1:] and choice.chosen() == choice.DOCKER):
            set_up_python()  # in containers Kafka and its Java come with their image
            return
        check_prerequisites()
        set_up_python()
        set_up_kafka()
    except StackError as error:
        if error.log:
            print(error.log, file=sys.stderr)
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
