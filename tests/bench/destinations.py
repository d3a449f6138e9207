"""A file to a bucket by the carrier that deliveries use, beside `rclone copyto`: the same file, store and bucket."""

import asyncio
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from statistics import median

import boto3

from services.delivery.core.addresses import AddressRule
from services.delivery.destinations.carrier import Parcel, Place, Shipment
from services.delivery.destinations.carriers.s3 import S3Carrier
from services.delivery.guard import Guard
from tests.bench.context import Context
from tests.bench.paths import OUT
from tests.bench.report import Section, seconds_cell
from tests.bench.stack import BenchError
from tests.bench.timing import interleave, ratio

FILE_BYTES = 256 << 20
BUCKET, PIECE = "bench-destinations", 1 << 20
TARGET = 0.5


class _Ledger:
    """Nothing is known to be there, and nothing is kept."""

    def is_sent(self, name: str) -> bool:
        return False

    def note(self, name: str) -> str | None:
        return None

    async def keep(self, name: str, note: str) -> None: ...
    async def sent(self, name: str, place: str) -> None: ...


def _parcel(path: Path) -> Parcel:
    async def read(start: int) -> AsyncIterator[bytes]:
        with path.open("rb", buffering=0) as source:
            source.seek(start)
            while piece := await asyncio.to_thread(source.read, PIECE):
                yield piece

    with path.open("rb") as source:
        sha256 = hashlib.file_digest(source, "sha256").hexdigest()
    return Parcel(path.name, path.stat().st_size, sha256, "text/csv", read)


async def _carry(path: Path, key: str) -> float:
    """Seconds; what a delivery does from its first request to the store's last word."""
    env = os.environ
    config = {
        "bucket": BUCKET, "region": "us-east-1", "endpoint": env["WAYBILL_S3_ENDPOINT"], "addressing": "auto", "prefix": key,
        "access_key_id": env["WAYBILL_S3_ACCESS_KEY"],
    }  # fmt: skip
    place = Place("dst_bench", "org_bench", config, {"secret_access_key": env["WAYBILL_S3_SECRET_KEY"]})
    parcel, carrier = _parcel(path), S3Carrier(Guard(AddressRule(loopback=True)))
    started = time.perf_counter()
    await carrier.carry(place, Shipment("dlv_bench", "exp_bench", {"org_id": "org_bench"}, [parcel], "{}", str), _Ledger())
    seconds = time.perf_counter() - started
    await carrier.close()
    return seconds


def _run(command: list[str], env: dict[str, str], own: bool) -> float | None:
    """`own`: the seconds are what the command says."""
    inherited = {name: value for name, value in os.environ.items() if name != "AWS_CA_BUNDLE"}  # which rclone can't use
    done = subprocess.run(command, env=inherited | env, capture_output=True, text=True)
    if done.returncode:
        raise BenchError(f"{command[0]}: {(done.stderr or done.stdout).strip()[-500:]}")
    return float(done.stdout) if own else None


def peer(command: list[str], env: dict[str, str]) -> None:
    """The clock around it is its time."""
    _run(command, env, own=False)


def destinations(context: Context) -> Section:
    """One process each, from a file of this machine to SeaweedFS."""
    folder, env = OUT / "destinations", context.stack.env
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "bench.csv"
    with source.open("wb") as target:
        for _ in range(FILE_BYTES >> 20):
            target.write(os.urandom(1 << 20))
    client = boto3.client(
        "s3", endpoint_url=env["WAYBILL_S3_ENDPOINT"], aws_access_key_id=env["WAYBILL_S3_ACCESS_KEY"], aws_secret_access_key=env["WAYBILL_S3_SECRET_KEY"],
        region_name="us-east-1",
    )  # fmt: skip
    client.create_bucket(Bucket=BUCKET)
    given = {name: env[name] for name in ("WAYBILL_S3_ENDPOINT", "WAYBILL_S3_ACCESS_KEY", "WAYBILL_S3_SECRET_KEY")}
    theirs = {
        "RCLONE_CONFIG": "", "RCLONE_S3_PROVIDER": "Other", "RCLONE_S3_ENDPOINT": given["WAYBILL_S3_ENDPOINT"], "RCLONE_S3_REGION": "us-east-1",
        "RCLONE_S3_ACCESS_KEY_ID": given["WAYBILL_S3_ACCESS_KEY"], "RCLONE_S3_SECRET_ACCESS_KEY": given["WAYBILL_S3_SECRET_KEY"],
    }  # fmt: skip
    numbers = iter(range(100))

    def ours() -> float | None:  # under a new key each time: what is there already isn't sent
        return _run([sys.executable, "-m", "tests.bench.destinations", str(source), f"{next(numbers)}"], given, own=True)

    rclone = partial(_run, ["rclone", "copyto", "--ignore-times", str(source), f":s3:{BUCKET}/rclone.csv"], theirs, own=False)
    seconds = interleave({"waybill": ours, "rclone": rclone}, context.rounds, context.say)
    rates = [f"{FILE_BYTES / 1e6 / median(seconds[name]):,.0f} MB/s" for name in ("waybill", "rclone")]
    line = [
        seconds_cell(seconds["waybill"]),
        seconds_cell(seconds["rclone"]),
        *rates,
        f"{1 / ratio(seconds['waybill'], seconds['rclone']):.2f}",
        f"≥ {TARGET}",
    ]
    notes = [
        "256 MiB that nothing can compress, in parts: ours of 8 MiB, each signed with its SHA-256, rclone's as it comes. Client and store share the processors of one machine."
    ]
    columns = ["Waybill", "rclone", "Waybill", "rclone", "Speed, ours / rclone's", "Target"]
    return Section("destinations", "Files to S3 destinations", columns, [line], notes)


if __name__ == "__main__":
    print(asyncio.run(_carry(Path(sys.argv[1]), sys.argv[2])))
