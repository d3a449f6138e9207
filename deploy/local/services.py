"""Waybill's own services: what they are told by environment variables, and when they are ready."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from deploy.local import postgres, s3
from deploy.local.ports import Ports
from deploy.local.program import Program, answers
from deploy.local.state import ROOT, SERVICES, State

INSTANCES = {name: name for name in SERVICES if name != "formatter"} | {"formatter-1": "formatter", "formatter-2": "formatter"}
# Second processes, set up and not started: `python -m deploy.local.stack start ingest-2` scales out, `stop` scales in; the gateway finds them.
SPARES = {f"{name}-2": name for name in ("ingest", "lead_scoring", "export_request", "delivery")}
# What the caller's environment may say to services beside WAYBILL_*, which is passed on where the stack doesn't set it.
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "SSL_CERT_FILE")
# Set by the stack, and each by the stack alone: someone who has sourced waybill.env must not hand its secrets to every service by that.
STACKS_OWN = (
    "WAYBILL_URL", "WAYBILL_SFTP", "WAYBILL_API_KEY", "WAYBILL_OPERATOR_TOKEN", "WAYBILL_SECRET_KEY", "WAYBILL_SECRET_KEYS_OLD", "WAYBILL_SIGNING_SECRET",
    "WAYBILL_PSEUDONYM_SECRET",
    "WAYBILL_PIDS",
)  # fmt: skip
# The stack's own Kafka and PostgreSQL listen on loopback without TLS: how another's are reached is nothing to its services.
KAFKAS_DOOR = ("WAYBILL_KAFKA_SECURITY_", "WAYBILL_KAFKA_SASL_", "WAYBILL_KAFKA_USER", "WAYBILL_KAFKA_PASSWORD")
SECRETS = ("_DATABASE_URL", "_DATABASE_PASSWORD", "_KAFKA_USER", "_KAFKA_PASSWORD", "_FILE")
NEED_STORE = ("formatter", "delivery")
# Everything here is on one machine, webhook receivers and destinations too.
ALL_STAYS_HERE = {f"WAYBILL_{what}_ALLOW_{how}": "true" for what in ("WEBHOOK", "DESTINATION") for how in ("HTTP", "LOOPBACK")}
SFTP_PORTS = {"delivery": "sftp", "delivery-2": "sftp-2"}
NO_DATABASE = ("lead_scoring",)  # what it needs comes with each message
NEED_SECRET_KEY = ("export_request", "delivery")
NEED_PSEUDONYMS = ("formatter", "export_request")
NEED_OPERATOR_TOKEN = ("export_request", "delivery")


def present(root: Path = ROOT) -> list[str]:
    """The instances whose service has code here."""
    return [name for name, service in INSTANCES.items() if (root / "services" / service / "__main__.py").exists()]


def spares(root: Path = ROOT) -> list[str]:
    """The second processes whose service has code here."""
    return [name for name, service in SPARES.items() if (root / "services" / service / "__main__.py").exists()]


def addresses(ports: Ports) -> dict[str, str]:
    """WAYBILL_<SERVICE>_HTTP of each service; the formatter's is the first one's, and WAYBILL_FORMATTER_2_HTTP the second's."""
    names = {f"WAYBILL_{service.upper()}_HTTP": service if service != "formatter" else "formatter-1" for service in SERVICES}
    names |= {"WAYBILL_FORMATTER_2_HTTP": "formatter-2"}
    return {variable: ports.address(name) for variable, name in names.items()}


def store(ports: Ports, secrets: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """Where files go: S3, or the directory of WAYBILL_STORE=file:///path."""
    return {
        "WAYBILL_STORE": environment.get("WAYBILL_STORE") or "s3",
        "WAYBILL_S3_ENDPOINT": f"http://{ports.address('s3')}",
        "WAYBILL_S3_ACCESS_KEY": secrets["s3_access_key"],
        "WAYBILL_S3_SECRET_KEY": secrets["s3_secret_key"],
        "WAYBILL_S3_BUCKET": s3.BUCKET,
        "WAYBILL_S3_REGION": s3.REGION,
    }


def environment_of(instance: str, ports: Ports, secrets: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """All variables that one service instance is started with: only its own database role, and every service's address."""
    service = (INSTANCES | SPARES)[instance]
    passed = {name: value for name, value in environment.items() if is_passed_on(name)}
    own = {
        "PYTHONUNBUFFERED": "1",
        "WAYBILL_INSTANCE": instance,
        "WAYBILL_KAFKA": ports.address("kafka"),
        f"WAYBILL_{service.upper()}_HTTP": ports.address(instance),
        "WAYBILL_PUBLIC_URL": f"http://{ports.address('gateway')}",
    }
    if service not in NO_DATABASE:
        own[f"WAYBILL_{service.upper()}_DATABASE_URL"] = postgres.url(ports, f"waybill_{service}", secrets[f"{service}_password"])
    if service in NEED_STORE:
        own |= store(ports, secrets, environment)
    if service in NEED_SECRET_KEY:
        own["WAYBILL_SECRET_KEY"] = secrets["secret_key"]
    if service == "delivery":
        own["WAYBILL_SFTP"] = ports.address(SFTP_PORTS[instance])
        own["WAYBILL_SIGNING_SECRET"] = secrets["signing_secret"]
        if environment.get("WAYBILL_SECRET_KEYS_OLD"):
            own["WAYBILL_SECRET_KEYS_OLD"] = environment["WAYBILL_SECRET_KEYS_OLD"]
    if service in NEED_PSEUDONYMS:
        own["WAYBILL_PSEUDONYM_SECRET"] = secrets["pseudonym_secret"]
    if service in NEED_OPERATOR_TOKEN:
        own["WAYBILL_OPERATOR_TOKEN"] = secrets["operator_token"]
    defaults = ALL_STAYS_HERE if service == "delivery" else {}
    return defaults | passed | addresses(ports) | own


def is_passed_on(name: str) -> bool:
    """Whether a variable of the caller's environment reaches the services: settings do; credentials, other services' doors and how those are opened don't."""
    if name.startswith("WAYBILL_"):
        return name not in STACKS_OWN and not name.startswith(("WAYBILL_S3_", *KAFKAS_DOOR)) and not name.endswith(SECRETS)
    return name in PASSED_ON or name.startswith("OTEL_")


def _code_fingerprint(service: str, root: Path) -> str:
    """Changes when a file that the service runs from does, so that `make up` after a pull runs the new code."""
    digest = hashlib.sha256()
    for directory in (root / "services" / service, root / "shared", root / "schemas", root / "requirements.lock"):
        for path in sorted(directory.rglob("*")) if directory.is_dir() else [directory]:
            if path.is_file() and "__pycache__" not in path.parts:
                status = path.stat()
                digest.update(f"{path} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def program(state: State, ports: Ports, python: Path, secrets: Mapping[str, str], instance: str) -> Program:
    """One service instance as a process."""
    service = (INSTANCES | SPARES)[instance]
    return Program(
        name=instance,
        command=[str(python), "-m", f"services.{service}"],
        environment=environment_of(instance, ports.seen_by(instance), secrets, os.environ),
        ports=(instance, SFTP_PORTS[instance]) if instance in SFTP_PORTS else (instance,),
        ready=lambda: answers(f"http://{ports.address(instance)}/health/ready"),
        directory=ROOT,
        fingerprint=_code_fingerprint(service, ROOT),
    )
