"""toxiproxy, for tests that break the network: found on the PATH, or built by Go, once."""

import os
import shutil
import subprocess
from pathlib import Path

from deploy.local.errors import StackError
from deploy.local.progress import step

MODULE = "github.com/Shopify/toxiproxy/v2/cmd/server@v2.5.0"  # builds with Go 1.17 and later
CACHE = Path(__file__).parent / "target" / "toxiproxy"


def found() -> Path | None:
    """The program, where it is there already."""
    on_path = shutil.which("toxiproxy-server")
    if on_path:
        return Path(on_path)
    built = CACHE / "server"
    return built if built.exists() else None


def binary() -> Path:
    """The program; built where it is missing. Raises StackError that says what is needed."""
    if there := found():
        return there
    go = shutil.which("go")
    if go is None:
        raise StackError(
            "toxiproxy is missing: install Go, which builds it (Debian: apt-get install golang-go), or toxiproxy-server itself"
        )
    with step("building toxiproxy with Go"):
        done = subprocess.run([go, "install", MODULE], env=os.environ | {"GOBIN": str(CACHE)}, capture_output=True, text=True)
    if done.returncode:
        raise StackError("toxiproxy could not be built with Go", (done.stdout + done.stderr).strip()[-2000:])
    return CACHE / "server"
