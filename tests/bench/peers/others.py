"""sling and dlt, as their users would run them: the same query to CSV, from the virtualenv of the bench. Bounded in time."""

import os
import shutil
import subprocess
import time
from pathlib import Path

from tests.bench.paths import HERE, OUT, PEERS_PYTHON
from tests.bench.stack import BenchError

SECONDS_MAX = 600


def run(command: list[str], environment: dict[str, str]) -> float | None:
    """Seconds that it took; None where it had not ended after SECONDS_MAX. Raises BenchError where it fails."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WAYBILL_", "DLT_", "SLING_"))}
    started = time.perf_counter()
    try:
        done = subprocess.run(command, env=kept | environment, capture_output=True, text=True, timeout=SECONDS_MAX, cwd=OUT)
    except subprocess.TimeoutExpired:
        return None
    if done.returncode:
        raise BenchError(f"{Path(command[0]).name}: {(done.stderr or done.stdout).strip()[-800:]}")
    return time.perf_counter() - started


def sling(url: str, query: str, target: Path) -> float | None:
    """`sling run` of the query into one CSV."""
    program = next((HERE.parents[1] / ".local-bench" / "venv").glob("lib/*/site-packages/sling_linux_amd64/bin/sling-linux-amd64"), None)
    if program is None:
        raise BenchError("sling is not installed for this platform")
    command = [str(program), "run", "--src-conn", "BENCH_PG", "--src-stream", query, "--tgt-object", f"file://{target}"]
    return run(command, {"BENCH_PG": f"{url}?sslmode=disable", "SLING_DISABLE_TELEMETRY": "true", "SLING_HOME_DIR": str(OUT / "sling")})


def dlt(url: str, query: str, target: Path) -> float | None:
    """A dlt pipeline: the query read by its SQL source with the Arrow backend, CSV by its filesystem destination."""
    shutil.rmtree(target, ignore_errors=True)
    home = OUT / "dlt"
    shutil.rmtree(home, ignore_errors=True)
    environment = {"DLT_DATA_DIR": str(home), "RUNTIME__DLTHUB_TELEMETRY": "false", "NORMALIZE__DATA_WRITER__DISABLE_COMPRESSION": "true"}
    return run([str(PEERS_PYTHON), str(HERE / "peers" / "dlt_pipeline.py"), url, query, str(target)], environment)
