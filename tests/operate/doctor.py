"""`waybill` as an operator runs it on the stack, and what its doctor finds wrong."""

import json
import os
import subprocess
import sys
from typing import Any

from tests.conftest import ROOT
from tests.operate.conftest import Own


def waybill(own: Own, *arguments: str, **changed: str) -> tuple[int, Any]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WAYBILL_")} | own.env | changed
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", *arguments, "--json", "--env-file", "/dev/null"],
        cwd=ROOT, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr


def wrong(own: Own, **changed: str) -> dict[str, str]:
    """What the doctor finds wrong: name → what it says. Each has advice."""
    code, told = waybill(own, "doctor", **changed)
    found = {check["name"]: check["says"] for check in told["checks"] if check["verdict"] == "wrong"}
    assert code == (1 if found else 0)
    assert all(check["advice"] for check in told["checks"] if check["verdict"] == "wrong"), told
    return found
