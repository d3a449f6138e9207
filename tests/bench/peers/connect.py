"""Kafka Connect, standalone, with Debezium's JDBC sink: what would write records from Kafka into PostgreSQL without Waybill."""

import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from tests.bench.paths import CONNECT, HERE, ROOT
from tests.bench.stack import BenchError

FIELDS = {
    "id": "string", "version": "int64", "org_id": "string", "conversation_id": "string", "created_at": "timestamp", "sender_kind": "string",
    "sender_id": "string", "content": "string", "message_type": "string", "origin": "string",
}  # fmt: skip
# They belong to the worker, and break it when the plugin brings its own.
WORKERS_OWN = ("jackson-*.jar", "kafka-clients-*.jar")


def install() -> None:
    """Fetch the worker's and the sink's jars by Maven."""
    marker = CONNECT / "complete"
    if marker.exists():
        return
    if not shutil.which("mvn"):
        raise BenchError("Maven is missing: it fetches Kafka Connect (Debian: apt-get install maven)")
    for pom, target in (("pom.xml", CONNECT / "worker"), ("sink.xml", CONNECT / "plugins" / "debezium")):
        shutil.rmtree(target, ignore_errors=True)
        goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={target}"]
        done = subprocess.run(["mvn", "-q", "-B", "-f", str(HERE / "connect" / pom), *goal], capture_output=True, text=True)
        if done.returncode:
            raise BenchError(f"Maven: {done.stdout.strip()[-800:]}")
    for pattern in WORKERS_OWN:
        for jar in (CONNECT / "plugins" / "debezium").glob(pattern):
            jar.unlink()
    marker.touch()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _schema() -> str:
    fields = []
    for name, kind in FIELDS.items():
        timestamp = {"type": "int64", "name": "org.apache.kafka.connect.data.Timestamp", "version": 1}
        fields.append({"field": name, "optional": name != "id"} | (timestamp if kind == "timestamp" else {"type": kind}))
    return json.dumps({"type": "struct", "optional": False, "fields": fields}, separators=(",", ":"))


def _configure(bootstrap: str, database_url: str, topic: str) -> tuple[str, str]:
    """Write both property files; returns their paths."""
    home = CONNECT / "run"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    worker = {
        "bootstrap.servers": bootstrap, "plugin.path": str(CONNECT / "plugins"), "offset.storage.file.filename": str(home / "offsets"),
        "listeners": f"http://127.0.0.1:{_free_port()}", "value.converter.schema.content": _schema(),
    }  # fmt: skip
    url = urlsplit(database_url)
    sink = {
        "name": topic, "topics": topic, "connection.url": f"jdbc:postgresql://{url.hostname}:{url.port}{url.path}?reWriteBatchedInserts=true",
        "connection.username": url.username or "", "connection.password": url.password or "", "collection.name.format": "bench.sink",
    }  # fmt: skip
    paths = []
    for name, values in (("worker", worker), ("sink", sink)):
        path = home / f"{name}.properties"
        path.touch(mode=0o600)
        kept = (HERE / "connect" / f"{name}.properties").read_text("utf-8")
        path.write_text(kept + "".join(f"{key}={value}\n" for key, value in values.items()), "utf-8")
        paths.append(str(path))
    return paths[0], paths[1]


@contextmanager
def running(bootstrap: str, database_url: str, topic: str) -> Iterator[subprocess.Popen[bytes]]:
    """Connect at work on the topic; ended when the block is left."""
    worker, sink = _configure(bootstrap, database_url, topic)
    log = ROOT / "deploy" / "local" / "log4j2.properties"
    command = ["java", "-Xms512m", "-Xmx2g", "-XX:+UseParallelGC", f"-Dlog4j2.configurationFile={log}", "-cp", f"{CONNECT / 'worker'}/*"]
    command += ["org.apache.kafka.connect.cli.ConnectStandalone", worker, sink]
    with open(CONNECT / "connect.log", "wb") as output, subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT) as process:
        try:
            yield process
        finally:
            process.kill()
            process.wait()
