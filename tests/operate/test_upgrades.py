"""An upgrade from a release, as docs/upgrades.md says, while exports run and records flow: old and new processes side by side, back, and on."""

import json
import secrets
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from confluent_kafka import Consumer, TopicPartition

from shared.codec import RELEASES, releases
from shared.topics import EXPORT_EVENTS, all_topics
from tests.conftest import ROOT
from tests.e2e.conftest import ENDED, Organisation
from tests.operate.conftest import LARGE, Own, Process, until
from tests.operate.traffic import Outcome, Traffic, traffic

Connection = psycopg.Connection[tuple[Any, ...]]
NEW = ("ingest", "export_request", "formatter-1", "delivery")
# The old ones have the addresses of second processes, which the gateway knows.
OLD = ("ingest-2", "export_request-2", "formatter-2", "delivery-2")


SOME = LARGE | {"to": "2026-03-05"}  # a few chunks
WAIT_SECONDS = 240  # eight services start here, and none may be waited for in vain


@dataclass(frozen=True)
class Code:
    """A tree and a Python with what that tree's lock names."""

    directory: Path
    python: Path


def code_of(release: str) -> Code:
    """The release's own code and libraries, set up once, from this clone's history."""
    commit = json.loads((RELEASES / f"{release}.json").read_text("utf-8"))["commit"]
    tree = ROOT / ".local-releases" / release
    made = Code(tree, tree / ".venv" / "bin" / "python")
    if (tree / ".complete").exists():
        return made
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True)
    archive = subprocess.run(["git", "archive", "--format=tar", commit], cwd=ROOT, capture_output=True)
    if archive.returncode:
        pytest.fail(f"release {release} is commit {commit}, which this clone lacks: git fetch --unshallow; git says {archive.stderr!r}")
    subprocess.run(["tar", "-x", "-C", str(tree)], input=archive.stdout, check=True)
    uv, quiet = str(Path(sys.executable).with_name("uv")), ["--quiet", "--python", str(made.python)]
    for command in (
        [uv, "venv", "--quiet", "--python", sys.executable, str(tree / ".venv")], [uv, "pip", "sync", *quiet, "requirements.lock"],
        [uv, "pip", "install", *quiet, "--no-deps", "--no-build-isolation", "--editable", "."],
    ):  # fmt: skip
        done = subprocess.run(command, cwd=tree, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    (tree / ".complete").touch()
    return made


def test_old_and_new_processes_run_side_by_side(own: Own, large: Organisation, database: Connection) -> None:
    """Every export that was asked for on the way has the bytes that the new code alone makes, and is told of once."""
    release = releases()[-2]
    code = code_of(release)
    expected = large.completed(SOME)["files"][0]
    letters = dead_letters(own)
    asked: list[str] = []

    def go_on(flow: Traffic) -> None:
        """An export begins here; others, and records, are through."""
        asked.append(large.ask(SOME)["id"])
        exports, records = len(flow.exports), flow.records
        until(lambda: len(flow.exports) > exports and flow.records > records, WAIT_SECONDS)

    def new() -> list[Process]:
        return own.run(*NEW, WAYBILL_MESSAGES_OF=release)

    own.keeper.stop([*NEW, "formatter-2"])
    try:
        old = own.run(*OLD, code=code.directory, python=code.python)
        with traffic(large) as flow:
            go_on(flow)
            beside = new()
            go_on(flow)
            for export_id in asked:
                assert published(large, export_id)["sha256"] == expected["sha256"]
            for name in ("formatter-1", "formatter-2"):  # old and new take chunks of the same exports, in time
                until(lambda name=name: 'waybill_formatter_rows_total{dataset="messages"}' in own.metrics(name), WAIT_SECONDS)  # type: ignore[misc]
            ended(own, beside)  # rolled back
            go_on(flow)
            beside = new()
            ended(own, old)
            go_on(flow)
            for name, process in zip(NEW, beside, strict=True):  # no old process is left: the setting goes
                own.end(process)
                own.start(name)
            go_on(flow)
    finally:
        for process in list(own.started):
            process.kill()
            own.started.remove(process)
        own.start(*NEW, "formatter-2")
    assert flow.records > 0
    assert flow.outcome(database) == Outcome(records=flow.records, exports=["completed"] * len(flow.exports))
    for export_id in asked:
        assert published(large, export_id)["sha256"] == expected["sha256"]
    told = told_of(own, [*asked, *flow.exports])
    assert set(told.values()) == {1}
    assert {(export_id, kind) for export_id in asked for kind in ("accepted", "started", "completed")} <= told.keys()
    assert {kind for _, kind in told} <= {"accepted", "started", "completed"}
    assert dead_letters(own) == letters


def published(organisation: Organisation, export_id: str) -> dict[str, Any]:
    """The export's file, once it has completed."""
    path = f"/v1/exports/{export_id}"
    until(lambda: organisation.http.get(path).json().get("status") in ENDED, WAIT_SECONDS)
    export = organisation.http.get(path).json()
    assert export["status"] == "completed", export
    file: dict[str, Any] = export["files"][0]
    return file


def ended(own: Own, processes: list[Process]) -> None:
    for process in processes:
        own.end(process)


def reader(own: Own) -> Consumer:
    return Consumer({"bootstrap.servers": own.stack.kafka, "group.id": secrets.token_hex(8), "enable.auto.commit": False})


def ends(consumer: Consumer, topic: str) -> dict[int, int]:
    """The offset that comes next in each partition."""
    partitions = consumer.list_topics(topic, 10).topics[topic].partitions
    return {number: consumer.get_watermark_offsets(TopicPartition(topic, number), 10)[1] for number in partitions}


def dead_letters(own: Own) -> dict[str, int]:
    """How many were ever written to each dead-letter topic."""
    consumer = reader(own)
    try:
        return {topic: sum(ends(consumer, topic).values()) for topic in all_topics() if topic.endswith("-dlq")}
    finally:
        consumer.close()


def told_of(own: Own, exports: list[str]) -> Counter[tuple[str, str]]:
    """How many events there are of each kind but progress, by export; the same event may lie in the topic twice."""
    consumer, seen = reader(own), set()
    try:
        left = {number: end for number, end in ends(consumer, EXPORT_EVENTS).items() if end}
        consumer.assign([TopicPartition(EXPORT_EVENTS, number, 0) for number in left])
        while left:
            message = consumer.poll(10)
            assert message is not None and not message.error()
            headers = {name: value.decode() for name, value in message.headers()}
            seen.add((message.key().decode(), headers["ce_type"].removeprefix("waybill.export."), headers["ce_id"]))
            if message.offset() + 1 >= left.get(message.partition(), 0):
                left.pop(message.partition(), None)
    finally:
        consumer.close()
    return Counter((export_id, kind) for export_id, kind, _ in seen if export_id in exports and kind != "progress")
