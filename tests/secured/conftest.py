"""Waybill on a Kafka, a PostgreSQL and a store that are all behind TLS, each service as a user of its own with the rights that `waybill acls` gives."""

import json
import os
import secrets
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from click.testing import Result
from typer.testing import CliRunner

from cli.main import app
from deploy.local import bootstrap, postgres, services
from deploy.local.ports import free_base, resolve
from deploy.local.state import ROOT, State
from tests.operate.conftest import until
from tests.secured import parts
from tests.secured.certificates import Authority
from tests.secured.parts import ADMIN, BUCKET, S3_KEYS, Secured

SERVICES = sorted({services.INSTANCES[instance] for instance in services.present()})
OPERATOR, CLIENT = "waybill_operator", "crm"
ORG = "org_secured"
TOKEN, SECRET_KEY = secrets.token_hex(24), secrets.token_hex(32)
# This one's user is what its certificate says; the others have passwords.
BY_CERTIFICATE = "ingest"


def run(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """`python -m …` with nothing in its environment but what is given."""
    told = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")} | environment
    return subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, env=told, capture_output=True, text=True)


ONE_COMMAND = threading.Lock()  # the runner takes the process's own output and environment while a command runs


def command(*arguments: str, **settings: str) -> Result:
    """The `waybill` command, with these settings and no others."""
    environment = {name: None for name in os.environ if name.startswith("WAYBILL_")} | settings
    with ONE_COMMAND:
        return CliRunner().invoke(app, [*arguments, "--env-file", "/dev/null"], env=environment)


@dataclass
class Room:
    """What runs, and how each of its users is told of the rest."""

    secured: Secured
    processes: list["subprocess.Popen[bytes]"] = field(default_factory=list)
    api_key: str = ""

    def kafka(self, user: str, **changed: str) -> dict[str, str]:
        """Settings of a user of Kafka; `changed` without their WAYBILL_KAFKA_, an empty one is taken out."""
        given = {
            "SECURITY_PROTOCOL": "SASL_SSL",
            "USER": user,
            "PASSWORD": self.secured.passwords[user],
            "CA_FILE": str(self.secured.authority.file),
        }
        told = {f"WAYBILL_KAFKA_{name}": value for name, value in (given | changed).items() if value}
        return {"WAYBILL_KAFKA": self.secured.sasl} | told

    def kafka_by_certificate(self, user: str) -> dict[str, str]:
        certificate, key = self.secured.authority.certify(user)
        files = {"CA": self.secured.authority.file, "CERTIFICATE": certificate, "KEY": key}
        told = {f"WAYBILL_KAFKA_{name}_FILE": str(path) for name, path in files.items()}
        return {"WAYBILL_KAFKA": self.secured.mtls, "WAYBILL_KAFKA_SECURITY_PROTOCOL": "SSL"} | told

    @property
    def store(self) -> dict[str, str]:
        names = {
            "ENDPOINT": f"https://{self.secured.ports.address('s3')}",
            "BUCKET": BUCKET,
            "ACCESS_KEY": S3_KEYS[0],
            "SECRET_KEY": S3_KEYS[1],
        }
        return {f"WAYBILL_S3_{name}": value for name, value in names.items()} | {"WAYBILL_S3_CA_FILE": str(self.secured.authority.file)}

    @property
    def http(self) -> dict[str, str]:
        return {f"WAYBILL_{name.upper()}_HTTP": self.address(name) for name in SERVICES}

    def address(self, service: str) -> str:
        return self.secured.ports.address("formatter-1" if service == "formatter" else service)

    def service(self, name: str, **changed: str) -> dict[str, str]:
        """The environment of a service."""
        role = f"waybill_{name}"
        client = (
            dict(zip(("sslcert", "sslkey"), map(str, self.secured.authority.certify(role)), strict=True)) if name == "formatter" else {}
        )
        told = self.kafka_by_certificate(role) if name == BY_CERTIFICATE else self.kafka(role)
        told |= self.store | {
            f"WAYBILL_{name.upper()}_HTTP": self.address(name),
            "WAYBILL_SECRET_KEY": SECRET_KEY,
            "WAYBILL_OPERATOR_TOKEN": TOKEN,
        }
        told |= {f"WAYBILL_{name.upper()}_DATABASE_URL": self.secured.database_url(role, **client), "WAYBILL_LOG_LEVEL": "WARNING"}
        return {"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1"} | told | changed

    def start(self, name: str, **changed: str) -> "subprocess.Popen[bytes]":
        with (self.log(name)).open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", f"services.{name}"], cwd=ROOT, env=self.service(name, **changed), stdout=log, stderr=log
            )
        self.processes.append(process)
        return process

    def log(self, name: str) -> Path:
        return self.secured.state.log / f"{name}.log"

    def ready(self, address: str) -> tuple[int, dict[str, str]]:
        """/health/ready: the status and what is down; (0, {}) where nobody answers."""
        try:
            answer = httpx.get(f"http://{address}/health/ready", timeout=5)
        except httpx.HTTPError:
            return 0, {}
        return answer.status_code, answer.json()["down"]

    def waybill(self, *arguments: str, **settings: str) -> Any:
        """What the command prints with --json, as the user whose settings are given."""
        done = command(*arguments, "--json", **settings)
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    def stop(self, process: "subprocess.Popen[bytes]") -> None:
        """The store's process gets no longer: it waits for those of its own."""
        process.terminate()
        try:
            process.wait(2 if "weed" in str(process.args) else 15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture(scope="package")
def secured() -> Secured:
    bootstrap.check_prerequisites()
    bootstrap.set_up_kafka()
    state = State(ROOT / ".local-secured")
    shutil.rmtree(state.directory, ignore_errors=True)
    state.prepare()
    shutil.rmtree(postgres.home(state), ignore_errors=True)
    certificates = state.directory / "certificates"
    certificates.mkdir()
    start = int(os.environ.get("WAYBILL_PORT_BASE") or 28000) + 50
    ports = resolve({"WAYBILL_PORT_BASE": str(free_base(start))})
    users = ("postgres", ADMIN, OPERATOR, CLIENT, *(f"waybill_{name}" for name in SERVICES))
    return Secured(state, ports, Authority(certificates), {name: secrets.token_hex(12) for name in users})


@pytest.fixture(scope="package")
def room(secured: Secured) -> Iterator[Room]:
    """Everything up and ready."""
    made = Room(secured)
    starts = (partial(parts.start_store, weed=Path(sys.executable).parent / "weed"), parts.start_postgres, parts.start_kafka)
    prepares = (prepare_store, prepare_database, prepare_kafka)
    try:
        with ThreadPoolExecutor() as pool:
            done = [pool.submit(_begin, made, start, prepare) for start, prepare in zip(starts, prepares, strict=True)]
        for each in done:
            each.result()
        for name in SERVICES:
            made.start(name)
        until(lambda: all(made.ready(made.address(name))[0] == 200 for name in SERVICES), 60)
        yield made
    finally:
        for process in made.processes:
            process.terminate()
        for process in made.processes:
            made.stop(process)
        shutil.rmtree(postgres.home(secured.state), ignore_errors=True)  # it may lie outside of the state's directory


def _begin(room: Room, start: Callable[[Secured], "subprocess.Popen[bytes]"], prepare: Callable[[Room], None]) -> None:
    room.processes.append(start(room.secured))
    prepare(room)


def prepare_kafka(room: Room) -> None:
    """Topics by the administrator, then the rights."""
    done = run("deploy.image.prepare", "topics", **room.kafka(ADMIN))
    assert done.returncode == 0, done.stdout + done.stderr
    room.waybill("acls", "--client", CLIENT, **room.kafka(ADMIN))


def prepare_database(room: Room) -> None:
    """Migrations by the superuser, an organisation by export_request's role."""
    url = room.secured.database_url("postgres")
    until(lambda: _database_made(url.replace(f"/{postgres.DATABASE}?", "/postgres?")), 60)
    passwords = {f"WAYBILL_{name.upper()}_DATABASE_PASSWORD": room.secured.passwords[f"waybill_{name}"] for name in SERVICES}
    room.waybill("migrate", WAYBILL_DATABASE_URL=url, **passwords)
    done = run("services.export_request.bootstrap", "--org", ORG, "--name", "Secured", **room.service("export_request"))
    assert done.returncode == 0, done.stdout + done.stderr
    room.api_key = json.loads(done.stdout)["api_key"]


def _database_made(url: str) -> bool:
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=2) as connection:
            connection.execute(f"CREATE DATABASE {postgres.DATABASE}".encode())
    except psycopg.OperationalError:
        return False
    return True


def prepare_store(room: Room) -> None:
    done = run("deploy.image.prepare", "bucket", **room.store)
    assert done.returncode == 0, done.stdout + done.stderr
