"""The SFTP server beside OpenSSH's own sftp-server: one client gets one file, the same client, cipher and file for both."""

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median

import httpx

from tests.bench.context import Context
from tests.bench.paths import OUT
from tests.bench.report import Section, seconds_cell
from tests.bench.stack import DIRECTORY_STORE, BenchError, Stack
from tests.bench.timing import interleave, ratio

FILE_BYTES = 1 << 30
ORG, EXPORT, NAME = "org_bench_sftp", "exp_bench_sftp", "bench.bin"
KEY = f"files/{ORG}/{EXPORT}/{NAME}"
SSHD, SERVER = "/usr/sbin/sshd", "/usr/lib/openssh/sftp-server"
CIPHERS = ("aes128-gcm@openssh.com", "aes128-ctr")
TARGET = 0.5


def _file(folder: Path) -> Path:
    """Bytes that nothing can compress, made once."""
    path = folder / "sftp.bin"
    if not path.exists() or path.stat().st_size != FILE_BYTES:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as target:
            for _ in range(FILE_BYTES >> 20):
                target.write(os.urandom(1 << 20))
    return path


def _publish(stack: Stack, source: Path, in_s3: bool) -> None:
    """The file as delivery would have published it."""
    if in_s3:
        import boto3

        client = boto3.client(
            "s3", endpoint_url=stack.env["WAYBILL_S3_ENDPOINT"], aws_access_key_id=stack.env["WAYBILL_S3_ACCESS_KEY"],
            aws_secret_access_key=stack.env["WAYBILL_S3_SECRET_KEY"], region_name="us-east-1",
        )  # fmt: skip
        client.upload_file(str(source), stack.env["WAYBILL_S3_BUCKET"], KEY)
    else:
        place = stack.store_path(KEY)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, place)
    for table in ("delivery.assemblies", "delivery.publications", "exports.exports"):
        stack.sql(f"DELETE FROM {table} WHERE {'id' if table == 'exports.exports' else 'export_id'} = %s", EXPORT)
    stack.sql(
        """WITH e AS (INSERT INTO exports.exports (id, org_id, request, dataset, formats, status, snapshot, spec, created_at, progressed_at, expires_at)
               VALUES (%s, %s, '{}', 'messages', '{csv}', 'completed', '1:1:', '{}', now(), now(), now() + interval '1 day') ON CONFLICT DO NOTHING),
             p AS (INSERT INTO delivery.publications (export_id, org_id, published_at) VALUES (%s, %s, now()) ON CONFLICT DO NOTHING)
           INSERT INTO delivery.assemblies (export_id, format, file_number, org_id, name, media_type, key, express, head, separator, tail, empty, state, bytes, sha256)
           VALUES (%s, 'csv', 1, %s, %s, 'text/csv', %s, false, '', '', '', '', 'assembled', %s, '') ON CONFLICT DO NOTHING""",
        EXPORT, ORG, EXPORT, ORG, EXPORT, ORG, NAME, KEY, FILE_BYTES,
    )  # fmt: skip
    stack.sql(
        "INSERT INTO delivery.sftp_files (org_id, path, name, export_id, format, file_number) VALUES (%s, 'message', %s, %s, 'csv', 1) ON CONFLICT DO NOTHING",
        ORG, NAME, EXPORT,
    )  # fmt: skip


def _key(folder: Path) -> Path:
    key = folder / "sftp_key"
    if not key.exists():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    return key


def _user(stack: Stack, key: Path) -> str:
    username = "bench-fetch"
    stack.sql("DELETE FROM delivery.sftp_users WHERE username = %s", username)
    made = httpx.post(
        f"{stack.env['WAYBILL_URL']}/v1/sftp-users", headers={"Authorization": f"Bearer {stack.api_key(ORG)}"}, timeout=30,
        json={"username": username, "public_keys": [key.with_suffix(".pub").read_text("utf-8").strip()]},
    )  # fmt: skip
    if made.status_code != 201:
        raise BenchError(f"an SFTP user could not be made: {made.text}")
    return username


@contextmanager
def _sshd(folder: Path, key: Path) -> Iterator[int]:
    """OpenSSH's server for this user alone; its port."""
    if not Path(SSHD).exists() or not Path(SERVER).exists():
        raise BenchError("OpenSSH's server is missing (Debian: apt-get install openssh-server)")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    host_key, authorized, config = folder / "sshd_key", folder / "authorized_keys", folder / "sshd_config"
    if not host_key.exists():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(host_key)], check=True)
    authorized.write_text(key.with_suffix(".pub").read_text("utf-8"))
    config.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {host_key}\nPidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n"
        f"PermitRootLogin prohibit-password\nAuthorizedKeysFile {authorized}\nSubsystem sftp {SERVER} -R\n"
    )
    Path("/run/sshd").mkdir(exist_ok=True)
    process = subprocess.Popen([SSHD, "-D", "-e", "-f", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.02)
        yield port
    finally:
        process.terminate()
        process.wait()


def _get(folder: Path, key: Path, where: str, user: str, cipher: str, path: str) -> None:
    host, _, port = where.rpartition(":")
    command = [
        "sftp", "-q", "-F", "none", "-i", str(key), "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", f"Ciphers={cipher}",
        "-P", port, "-b", "-", f"{user}@{host}",
    ]  # fmt: skip
    done = subprocess.run(command, input=f"get {path} /dev/null\n", capture_output=True, text=True, cwd=folder)
    if done.returncode:
        raise BenchError(f"sftp from {where}: {(done.stderr or done.stdout).strip()[-500:]}")


def sftp(context: Context) -> Section:
    """Both servers with a directory and, ours alone, with S3."""
    folder = OUT / "sftp"
    source, lines = _file(folder), []
    key, stack = _key(folder), context.stack
    me = pwd.getpwuid(os.getuid()).pw_name
    for store, settings in (("a directory", {"WAYBILL_STORE": DIRECTORY_STORE}), ("SeaweedFS", {})):
        stack.up(**settings)
        stack.api_key(ORG)
        _publish(stack, source, in_s3=not settings)
        user, ours = _user(stack, key), stack.env["WAYBILL_SFTP"]
        with _sshd(folder, key) as port:
            for cipher in CIPHERS:
                runs = {
                    "waybill": partial(_get, folder, key, ours, user, cipher, f"/export/message/{NAME}"),
                    "sshd": partial(_get, folder, key, f"127.0.0.1:{port}", me, cipher, str(source)),
                }
                seconds = interleave(runs, context.rounds, context.say)
                times = 1 / ratio(seconds["waybill"], seconds["sshd"])
                rates = [f"{FILE_BYTES / 1e6 / median(seconds[name]):,.0f} MB/s" for name in ("waybill", "sshd")]
                lines.append(
                    [store, cipher, seconds_cell(seconds["waybill"]), seconds_cell(seconds["sshd"]), *rates, f"{times:.2f}", f"≥ {TARGET}"]
                )
    notes = [
        "One `sftp` of OpenSSH gets a file of 1 GiB into /dev/null; sshd's sftp-server reads the same bytes from a disk. Client and server share the processors of one machine."
    ]
    columns = ["Ours reads from", "Cipher", "Waybill", "OpenSSH", "Waybill", "OpenSSH", "Speed, ours / OpenSSH's", "Target"]
    return Section("sftp", "Files over SFTP", columns, lines, notes)
