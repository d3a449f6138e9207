"""Runs schemathesis on a running stack, in an organisation of its own."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import httpx

from tests.conftest import ROOT, Stack
from tests.e2e.conftest import new_organisation

CONFIG = Path(__file__).with_name("schemathesis.toml")
PROGRAM = Path(sys.executable).with_name("schemathesis")


def run(
    stack: Stack, arguments: Sequence[str], *, capture: bool = False, calls: Path | None = None, short: bool = False
) -> subprocess.CompletedProcess[str]:
    """`arguments` of `schemathesis run`; `calls`: a file that will say how often each operation was called; `short`: what all datasets have in common is tried with one."""
    organisation = new_organisation(stack, "Fuzz")
    unlimited = {"exports_at_once": 0, "rows_a_day": 0, "requests_per_second": 0}
    httpx.patch(
        f"{stack.url}/v1/organisations/{organisation.org_id}", json={"limits": unlimited},
        headers={"Authorization": f"Bearer {stack.env['WAYBILL_OPERATOR_TOKEN']}"},
    ).raise_for_status()  # fmt: skip
    environment = {
        **os.environ, "PYTHONPATH": str(ROOT), "WAYBILL_FUZZ_KEY": organisation.api_key, "WAYBILL_FUZZ_ORGANISATION": organisation.org_id, "WAYBILL_FUZZ_OPERATOR": stack.env["WAYBILL_OPERATOR_TOKEN"],
    }  # fmt: skip
    if short:
        environment["WAYBILL_FUZZ_SHORT"] = "1"
    if calls is not None:
        environment["WAYBILL_FUZZ_CALLS"] = str(calls)
    command = [str(PROGRAM), "--config-file", str(CONFIG), "run", f"{stack.url}/openapi.json", "--no-color", *arguments]
    output = subprocess.PIPE if capture else None
    return subprocess.run(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT if capture else None, text=True)
