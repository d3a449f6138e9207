"""Apache Kafka: one KRaft node from Maven's jars."""

import shutil
import subprocess
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path

from deploy.local.errors import StackError
from deploy.local.ports import HOST, Ports
from deploy.local.program import Program
from deploy.local.progress import step
from deploy.local.state import State
from deploy.local.topics import ready
from shared.brokers import Brokers

HERE = Path(__file__).parent
JARS = HERE / "target" / "kafka"
MESSAGE_BYTES_MAX = 2 * 1024 * 1024


def render(data: Path, ports: Ports) -> str:
    """server.properties: small, quick to start, nothing made by accident, the topics' 2 MiB messages let through."""
    doors = {f"DOOR{i}": seen["kafka"] for i, seen in enumerate(ports.doors.values()) if "kafka" in seen}
    inside = [f"{name}://{HOST}:{door.behind}" for name, door in doors.items()]
    outside = [f"{name}://{HOST}:{door.port}" for name, door in doors.items()]
    settings = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@{ports.address('kafka_controller')}",
        "controller.listener.names": "CONTROLLER",
        "listeners": ",".join([f"PLAINTEXT://{ports.address('kafka')}", f"CONTROLLER://{ports.address('kafka_controller')}", *inside]),
        "advertised.listeners": ",".join([f"PLAINTEXT://{ports.address('kafka')}", *outside]),
        "listener.security.protocol.map": ",".join(
            ["PLAINTEXT:PLAINTEXT", "CONTROLLER:PLAINTEXT", *(f"{name}:PLAINTEXT" for name in doors)]
        ),
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": data,
        "auto.create.topics.enable": "false",
        "message.max.bytes": MESSAGE_BYTES_MAX,
        "replica.fetch.max.bytes": MESSAGE_BYTES_MAX,
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 8,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 1000,
        "num.network.threads": 2,
        "num.io.threads": 4,
        "background.threads": 2,
        "num.recovery.threads.per.data.dir": 2,
        # A killed broker comes back only once its former self is fenced.
        "broker.session.timeout.ms": 2000,
        "broker.heartbeat.interval.ms": 500,
        "log.segment.bytes": 128 * 1024 * 1024,
        "log.cleaner.dedupe.buffer.size": 16 * 1024 * 1024,
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def java() -> str:
    found = shutil.which("java")
    if not found:
        raise StackError("Java is missing: install a Java runtime, 17 or newer (Debian: apt-get install openjdk-17-jre-headless)")
    return found


def _classpath() -> str:
    return f"{JARS}/*"


def command(properties: Path) -> list[str]:
    """What runs a broker."""
    options = ["-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:+ExitOnOutOfMemoryError"]
    log = f"-Dlog4j2.configurationFile={HERE / 'log4j2.properties'}"
    return [java(), *options, log, "-cp", _classpath(), "kafka.Kafka", str(properties)]


def program(state: State, ports: Ports) -> Program:
    """Kafka as a process; formats its data directory at the first call."""
    home = state.directory / "kafka"
    data = home / "data"
    home.mkdir(exist_ok=True)
    properties = home / "server.properties"
    text = render(data, ports)
    properties.write_text(text, "utf-8")
    if not (data / "meta.properties").exists():
        with step("formatting Kafka's storage"):
            format_storage(properties, data)
    return Program(
        name="kafka",
        command=command(properties),
        ports=("kafka", "kafka_controller"),
        ready=lambda: ready(Brokers(ports.address("kafka"))),
        directory=home,
        fingerprint=text,
    )


def format_storage(properties: Path, data: Path, *more: str) -> None:
    """Make a broker's data directory; `more`: the tool's further arguments. Raises StackError with what it said."""
    shutil.rmtree(data, ignore_errors=True)  # a first start that was cut off
    identity = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    command = [java(), f"-Dlog4j2.configurationFile={HERE / 'log4j2.properties'}", "-XX:TieredStopAtLevel=1", "-cp", _classpath()]
    command += ["kafka.tools.StorageTool", "format", f"--cluster-id={identity}", "--config", str(properties), *more]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise StackError("Kafka's storage can't be formatted", (done.stdout + done.stderr).strip())
