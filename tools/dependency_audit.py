"""Asks OSV (https://osv.dev) whether what requirements.lock names has known vulnerabilities, by pip-audit. Sends it names and versions, nothing else.

Exits 1 where one has. Where OSV can't be reached nothing is known: it says NOT AUDITED and exits 0, so that work goes on without a network, and 1 with
WAYBILL_AUDIT=required, for whoever must know. WAYBILL_OSV_URL names a mirror that answers as https://api.osv.dev/v1/query does.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

LOCK = Path(__file__).resolve().parent.parent / "requirements.lock"
# Vulnerability → why it doesn't reach us. Looked at again with each release.
ACCEPTED: dict[str, str] = {}
TIMEOUT_SECONDS = 10
# What an audit that never reached OSV ends with; anything else that fails is ours to mend.
AWAY = ("ConnectionError", "ConnectTimeout", "ReadTimeout", "Timeout", "ProxyError", "SSLError", "HTTPError", "ServiceError")


@dataclass(frozen=True)
class Outcome:
    """`lines` say it; `code` is the exit code."""

    code: int
    lines: tuple[str, ...]


def audit(lock: Path, environment: Mapping[str, str], accepted: Mapping[str, str]) -> Outcome:
    """Raises ValueError with pip-audit's words where it can't read the lock."""
    command = [
        sys.executable,
        "-m",
        "pip_audit",
        "--requirement",
        str(lock),
        "--disable-pip",
        "--no-deps",
        "--vulnerability-service",
        "osv",
    ]
    command += ["--format", "json", "--progress-spinner", "off", "--timeout", str(TIMEOUT_SECONDS)]
    if mirror := environment.get("WAYBILL_OSV_URL"):
        command += ["--osv-url", mirror]
    done = subprocess.run(command, capture_output=True, text=True)
    try:
        dependencies = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        return _not_audited(done.stderr, environment)
    unknown = [each["name"] for each in dependencies if "vulns" not in each]
    found = [(each, vulnerability) for each in dependencies for vulnerability in each.get("vulns", ())]
    open_ = [(each, v) for each, v in found if not {v["id"], *v["aliases"]} & accepted.keys()]
    lines = [f"{each['name']} {each['version']}: {v['id']}{_also(v['aliases'])}, {_mended(v['fix_versions'])}" for each, v in open_]
    lines += [f"not audited: {name}" for name in unknown]
    lines.append(
        f"{len(dependencies) - len(unknown)} packages audited: {len(open_) or 'no'} known vulnerabilities, {len(found) - len(open_)} accepted"
    )
    return Outcome(1 if open_ or unknown else 0, tuple(lines))


def _not_audited(said: str, environment: Mapping[str, str]) -> Outcome:
    last = said.strip().splitlines()[-1] if said.strip() else "nothing was said"
    kind = last.partition(":")[0].rpartition(".")[2]
    if kind not in AWAY:
        raise ValueError(f"pip-audit: {last[:300]}")
    required = environment.get("WAYBILL_AUDIT") == "required"
    where = environment.get("WAYBILL_OSV_URL") or "https://api.osv.dev"
    line = f"NOT AUDITED: {where} can't be reached ({kind}), so nothing is known of new vulnerabilities"
    return Outcome(
        1 if required else 0, (line, "" if required else "WAYBILL_OSV_URL names a mirror; WAYBILL_AUDIT=required makes this an error")
    )


def _also(aliases: list[str]) -> str:
    return f" ({', '.join(aliases)})" if aliases else ""


def _mended(versions: list[str]) -> str:
    return f"mended in {', '.join(versions)}" if versions else "not mended yet"


def main() -> int:
    try:
        outcome = audit(LOCK, os.environ, ACCEPTED)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    for line in filter(None, outcome.lines):
        print(line, file=sys.stderr if outcome.code else sys.stdout)
    return outcome.code


if __name__ == "__main__":
    sys.exit(main())
