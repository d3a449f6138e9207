"""Many small deliveries to one destination, by the engine as it runs, beside `rclone copy` of as many files to the same server."""

import asyncio
import hashlib
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import boto3
import httpx

from tests.bench.context import Context
from tests.bench.destinations import peer
from tests.bench.paths import OUT
from tests.bench.report import Section, seconds_cell
from tests.bench.stack import DIRECTORY_STORE, BenchError, Stack
from tests.bench.timing import interleave, ratio
from tests.ssh_server import HOST, Sshd, fingerprint_of, free_port

FILES, FILE_BYTES = 1_000, 10 << 10
ORG, KEY = "org_bench_deliveries", "files/org_bench_deliveries/all/leads.csv"
WAIT_SECONDS = 900
TARGET = 20  # deliveries a second


@dataclass(frozen=True)
class _Place:
    """A server, as a destination of ours and as rclone's."""

    kind: str
    config: dict[str, Any]
    remote: str
    env: dict[str, str]


def _bucket(stack: Stack) -> _Place:
    env, bucket = stack.env, f"bench-deliveries-{secrets.token_hex(4)}"
    endpoint, key, secret = (env[f"WAYBILL_S3_{name}"] for name in ("ENDPOINT", "ACCESS_KEY", "SECRET_KEY"))
    boto3.client("s3", endpoint_url=endpoint, aws_access_key_id=key, aws_secret_access_key=secret, region_name="us-east-1").create_bucket(
        Bucket=bucket
    )
    config = {
        "bucket": bucket,
        "region": "us-east-1",
        "endpoint": endpoint,
        "prefix": "in",
        "access_key_id": key,
        "secret_access_key": secret,
    }
    theirs = {
        "RCLONE_S3_PROVIDER": "Other", "RCLONE_S3_ENDPOINT": endpoint, "RCLONE_S3_REGION": "us-east-1", "RCLONE_S3_ACCESS_KEY_ID": key,
        "RCLONE_S3_SECRET_ACCESS_KEY": secret,
    }  # fmt: skip
    return _Place("s3", config, f":s3:{bucket}", theirs)


@contextmanager
def _server(folder: Path) -> Iterator[_Place]:
    folder.mkdir(parents=True, exist_ok=True)
    server = Sshd(folder, free_port())
    asyncio.run(server.start())
    config = {
        "host": HOST, "port": server.port, "username": server.user, "host_keys": [fingerprint_of(server.host_key("ed25519"))], "directory": "in",
        "private_key": server.key.read_text(),
    }  # fmt: skip
    theirs = {
        "RCLONE_SFTP_HOST": HOST, "RCLONE_SFTP_PORT": str(server.port), "RCLONE_SFTP_USER": server.user, "RCLONE_SFTP_KEY_FILE": str(server.key),
        "RCLONE_SFTP_SHELL_TYPE": "none",
    }  # fmt: skip
    try:
        yield _Place("sftp", config, ":sftp:", theirs)
    finally:
        server.kill()


def _destination(stack: Stack, place: _Place) -> str:
    headers = {"Authorization": f"Bearer {stack.api_key(ORG)}"}
    body = {"name": f"Bench {place.kind}", "type": place.kind, "config": place.config}
    answer = httpx.post(f"{stack.env['WAYBILL_URL']}/v1/destinations", json=body, headers=headers, trust_env=False, timeout=60)
    if answer.status_code != 201:
        raise BenchError(answer.text)
    return str(answer.json()["id"])


def _deliver(stack: Stack, place: _Place, destination_id: str) -> float:
    """As if so many exports had ended in this moment. Seconds until the last one is there, by PostgreSQL's clock."""
    run = secrets.token_hex(4)
    stack.sql(
        """WITH n AS (SELECT n, format('exp_%%s_%%s', %s::text, n) AS id FROM generate_series(1, %s) n), e AS (
               INSERT INTO exports.exports (id, org_id, request, dataset, formats, status, snapshot, spec, created_at, progressed_at, expires_at)
               SELECT id, %s, '{}', 'leads', '{csv}', 'completed', '1:1:', '{"timezone": "UTC"}', now(), now(), now() + interval '1 day' FROM n),
           p AS (INSERT INTO delivery.publications (export_id, org_id, published_at) SELECT id, %s, now() FROM n),
           a AS (INSERT INTO delivery.assemblies (export_id, format, file_number, org_id, name, media_type, key, express, head, separator, tail, empty, state, rows, bytes, sha256)
               SELECT id, 'csv', 1, %s, id || '.csv', 'text/csv', %s, false, '', '', '', '', 'assembled', 1, %s, %s FROM n)
           INSERT INTO delivery.deliveries (id, org_id, export_id, destination_id, key, type, event, small, status, due_at, created_at)
           SELECT 'dlv_' || id, %s, id, %s, %s, %s, '{}', true, 'pending', now(), now() FROM n""",
        run, FILES, ORG, ORG, ORG, KEY, FILE_BYTES, _checksum(), ORG, destination_id, destination_id, place.kind,
    )  # fmt: skip
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        [(done, failed, seconds)] = stack.sql(
            """SELECT count(*) FILTER (WHERE status = 'delivered'), count(*) FILTER (WHERE error_code IS NOT NULL),
                      coalesce(extract(epoch FROM max(ended_at) - min(created_at)), 0)::float8
               FROM delivery.deliveries WHERE export_id LIKE %s""", f"exp_{run}_%",
        )  # fmt: skip
        if failed:
            raise BenchError(f"{failed} deliveries to {place.kind} failed")
        if done == FILES:
            return float(str(seconds))
        time.sleep(0.5)
    raise BenchError(f"{FILES} deliveries to {place.kind} took more than {WAIT_SECONDS} s")


def _content() -> bytes:
    return b"id,name\r\n".ljust(FILE_BYTES, b"x")


def _checksum() -> str:
    return hashlib.sha256(_content()).hexdigest()


def _copied(source: Path, place: _Place) -> Callable[[], float | None]:
    numbers = iter(range(100))  # to another folder each time: what is there already isn't sent
    return lambda: peer(
        ["rclone", "copy", "--ignore-times", str(source), f"{place.remote}/rclone-{next(numbers)}"], {"RCLONE_CONFIG": "", **place.env}
    )


def deliveries(context: Context) -> Section:
    """A thousand small files, each an export's, to one bucket and to one SFTP server."""
    stack, source = context.stack, OUT / "deliveries"
    stack.up(WAYBILL_STORE=DIRECTORY_STORE)
    source.mkdir(parents=True, exist_ok=True)
    for number in range(FILES):
        (source / f"{number}.csv").write_bytes(_content())
    kept = stack.store_path(KEY)
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(_content())
    lines = []
    with _server(OUT / f"sshd-{os.getpid()}") as server:
        for place in (_bucket(stack), server):
            ours = partial(_deliver, stack, place, _destination(stack, place))
            seconds = interleave({"waybill": ours, "rclone": _copied(source, place)}, context.rounds, context.say)
            rates = [f"{FILES / median(seconds[name]):,.0f}/s" for name in ("waybill", "rclone")]
            lines.append([
                place.kind, seconds_cell(seconds["waybill"]), seconds_cell(seconds["rclone"]), *rates, f"{1 / ratio(seconds['waybill'], seconds['rclone']):.2f}", f"≥ {TARGET}/s",
            ])  # fmt: skip
    columns = ["To", "Waybill", "rclone", "Waybill", "rclone", "Speed, ours / rclone's", "Target"]
    notes = [
        f"{FILES:,} exports of {FILE_BYTES >> 10} KiB that end at once. Ours are deliveries: claimed one after the other, what is there kept in PostgreSQL before and after each file; rclone copies a folder, four files at once, and keeps nothing."
    ]
    return Section("deliveries", "Many small deliveries to one destination", columns, lines, notes)
