"""export-events read by Kafka's own console consumer (bin/kafka-console-consumer.sh is this class), with nothing of ours between."""

import json
import subprocess
from collections.abc import Iterator

import pytest

from deploy.local.kafka import JARS
from tests.conftest import Stack
from tests.e2e.conftest import WAIT_SECONDS, Organisation

SHOWN = ("print.key=true", "print.headers=true", "print.value=true", "key.separator=\t", "headers.separator=|")


@pytest.fixture
def lines(stack: Stack) -> Iterator[Iterator[str]]:
    """What it prints, line by line; they end where no message comes for long."""
    command = ["java", "-XX:TieredStopAtLevel=1", "-cp", f"{JARS}/*", "org.apache.kafka.tools.consumer.ConsoleConsumer"]
    command += ["--bootstrap-server", stack.kafka, "--topic", "export-events", "--from-beginning", "--timeout-ms", str(WAIT_SECONDS * 1000)]
    for each in SHOWN:
        command += ["--formatter-property", each]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as consumer:
        assert consumer.stdout
        yield iter(consumer.stdout)
        consumer.kill()


def test_the_console_consumer_shows_a_cloudevent_in_binary_mode(lines: Iterator[str], sample: Organisation) -> None:
    export = sample.ask({"dataset": "leads", "format": "csv"})
    ours = (line.rstrip("\n").split("\t") for line in lines if export["id"] in line)
    headers_text, key, value = next(parts for parts in ours if "waybill.export.completed" in parts[0])
    headers = dict(header.split(":", 1) for header in headers_text.split("|"))
    shown = sample.http.get(f"/v1/exports/{export['id']}").json()
    assert {name: text for name, text in headers.items() if name.startswith("ce_") and name not in ("ce_id", "ce_time", "ce_traceparent")} == {
        "ce_specversion": "1.0", "ce_type": "waybill.export.completed", "ce_source": "/v1/exports", "ce_subject": export["id"],
    }  # fmt: skip
    assert headers["ce_id"] and headers["ce_time"].endswith("Z") and headers["ce_traceparent"].startswith("00-")
    assert headers["content-type"] == "application/json"
    assert key == export["id"]
    assert json.loads(value) == shown, "data is what GET shows"
