"""`python -m tests.bench`: measure Waybill side by side with what else would do the work, and write docs/benchmarks.md's table."""

import argparse
import shutil
import subprocess
import sys
from collections.abc import Callable

from tests.bench import (
    audit,
    binary,
    datasets,
    deliveries,
    deltas,
    destinations,
    exports,
    ingest,
    listing,
    memory,
    previews,
    report,
    reports,
    scale,
    schedules,
    scores,
    search,
    sftp,
    small,
    walk,
    webhooks,
)
from tests.bench.context import Context
from tests.bench.paths import HOME, OUT, PEERS_PYTHON, ROOT
from tests.bench.stack import BenchError, Stack

# In this order: ingest empties the tables that the others read.
MEASUREMENTS: dict[str, Callable[[Context], report.Section]] = {
    "csv": exports.csv,
    "gzip-s3": exports.gzip_s3,
    "jsonl": exports.jsonl,
    "xlsx": binary.xlsx,
    "parquet": binary.parquet,
    "together": binary.together,
    "nested": binary.nested,
    "resolved": datasets.resolved,
    "care": datasets.care,
    "previews": previews.previews,
    "reports": reports.reports,
    "small": small.small,
    "deltas": deltas.deltas,
    "memory": memory.memory,
    "scale": scale.scale,
    "walk": walk.walk,
    "search": search.search,
    "webhooks": webhooks.webhooks,
    "sftp": sftp.sftp,
    "destinations": destinations.destinations,
    "deliveries": deliveries.deliveries,
    "schedules": schedules.schedules,
    "listing": listing.listing,
    "audit": audit.append,
    "scores": scores.scores,
    "ingest": ingest.ingest,
    "flatness": ingest.flatness,
}
WITHOUT_PEERS = {
    "parquet",
    "together",
    "small",
    "nested",
    "resolved",
    "care",
    "previews",
    "deltas",
    "scores",
    "memory",
    "scale",
    "walk",
    "search",
    "webhooks",
    "audit",
    "schedules",
    "listing",
    "sftp",
    "destinations",
    "deliveries",
}
FULL_ROWS, FULL_RECORDS = 3_000_000, 1_000_000


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=(__doc__ or "").split(": ", 1)[1])
    parser.add_argument("--rows", type=int, default=FULL_ROWS, help="messages in the data set of the exports")
    parser.add_argument("--records", type=int, default=FULL_RECORDS, help="records of an ingest run")
    parser.add_argument("--only", default="", help=f"these measurements alone, separated by commas: {', '.join(MEASUREMENTS)}")
    parser.add_argument("--quick", action="store_true", help="one run of each side instead of three; nothing is written into the page")
    parser.add_argument("--keep", action="store_true", help="leave the stack and its data for the next run")
    arguments = parser.parse_args()
    arguments.names = [name for name in arguments.only.split(",") if name] or list(MEASUREMENTS)
    for name in arguments.names:
        if name not in MEASUREMENTS:
            parser.error(f"--only {name}: there are {', '.join(MEASUREMENTS)}")
    return arguments


def set_up_peers() -> None:
    """The peers' virtualenv, as bench.lock says."""
    if PEERS_PYTHON.exists():
        return
    uv = str(ROOT / ".venv" / "bin" / "uv")
    environment = PEERS_PYTHON.parents[1]
    for command in ([uv, "venv", "-q", "--python", sys.executable, str(environment)],
                    [uv, "pip", "sync", "-q", "--require-hashes", "--python", str(PEERS_PYTHON), str(ROOT / "bench.lock")]):  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            shutil.rmtree(environment, ignore_errors=True)
            raise BenchError(f"the peers could not be installed: {done.stderr.strip()[-800:]}")


def measure(arguments: argparse.Namespace, stack: Stack) -> int:
    """Run the measurements; one that fails is told and the others go on. Returns the exit code."""
    load = report.foreign_load()
    if float(load) > 0.5:
        print(f"warning: other programs are using this machine (load {load}): what is measured now is worth little", file=sys.stderr)
    stack.up()
    full = arguments.rows == FULL_ROWS and arguments.records == FULL_RECORDS and not arguments.quick
    context = Context(stack, arguments.rows, 1 if arguments.quick else 3, arguments.records, 20 if arguments.quick else 100)
    server = str(stack.sql("SHOW server_version")[0][0])
    facts = {
        "machine": report.machine(),
        "versions": report.versions(server),
        "size": f"{arguments.rows:,} rows, {arguments.records:,} records",
        "load": load,
    }
    failed = []
    for name in arguments.names:
        print(f"{name}: {(MEASUREMENTS[name].__doc__ or '').strip()}", flush=True)
        try:
            section = MEASUREMENTS[name](context)
        except BenchError as error:
            failed.append(name)
            print(f"error: {name}: {error}", file=sys.stderr, flush=True)
            continue
        for line in [section.columns, *section.lines, *([note] for note in section.notes)]:
            print("  " + "  ·  ".join(line), flush=True)
        if full:
            report.keep(section, facts)
            report.write_page(list(MEASUREMENTS))
    return 1 if failed else 0


def main() -> int:
    arguments = _parse()
    OUT.mkdir(parents=True, exist_ok=True)
    stack = Stack()
    try:
        if set(arguments.names) - WITHOUT_PEERS:
            set_up_peers()
        return measure(arguments, stack)
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(OUT, ignore_errors=True)
        if not arguments.keep:
            stack.command("clean")
            shutil.rmtree(HOME / "store", ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
