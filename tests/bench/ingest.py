"""Records from Kafka to committed rows, Waybill's ingest beside Kafka Connect. Both find their topic full when they start."""

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

import psycopg
from confluent_kafka import OFFSET_END, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.bench.context import Context
from tests.bench.paths import CONNECT, HERE
from tests.bench.peers import connect
from tests.bench.postgres import psql
from tests.bench.records import ORG, all_new, half_updates, produce
from tests.bench.report import Section
from tests.bench.stack import DIRECTORY_STORE, BenchError, Stack

PARTITIONS = 6
GROWN_MILLIONS = 5
CPU_OF = ["ingest", "postgres", "kafka"]
WAIT_SECONDS = 600
EMPTIED = ("messages", "conversations", "contacts", "events", "channels", "agents", "teams", "tags", "tombstones")


@dataclass(frozen=True)
class Watched:
    """A table that is being filled: how many records have been written into it, and whether those given have."""

    database_url: str
    written: str  # SQL for the number of records that have been committed
    present: str  # SQL for how many of the (id, version) pairs in $1, $2 are there

    def rate(self, records: int, last: dict[int, tuple[str, int]], alive: Callable[[], str | None]) -> float:
        """Records a second, from the first commit to the last. `last` are the records that end each partition."""
        ids, versions = [pair[0] for pair in last.values()], [pair[1] for pair in last.values()]
        deadline = time.monotonic() + WAIT_SECONDS
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            before = _number(connection, self.written)
            while (first := _number(connection, self.written)) == before:
                _check(deadline, alive)
                time.sleep(0.005)
            started = time.perf_counter()
            while _number(connection, self.present, ids, versions) < len(ids):
                _check(deadline, alive)
                time.sleep(0.02)
            return (records - (first - before)) / (time.perf_counter() - started)


def _number(connection: psycopg.Connection, query: str, *values: object) -> int:
    row = connection.execute(query.encode(), values or None).fetchone()
    return int(row[0]) if row else 0


def _check(deadline: float, alive: Callable[[], str | None]) -> None:
    if why := alive():
        raise BenchError(why)
    if time.monotonic() > deadline:
        raise BenchError(f"the records were not all there after {WAIT_SECONDS} s")


def waybill(stack: Stack, records: int, *, first: int = 0, new_only: bool = False) -> float:
    """Records a second of Waybill's ingest. The topic is filled while the service is stopped."""
    stack.stop("ingest")
    _empty_topic(stack.env["WAYBILL_KAFKA"], "records")
    numbers = all_new(records, first) if new_only else half_updates(records, first)
    last = produce(stack.env["WAYBILL_KAFKA"], "records", numbers, as_envelope=True)
    watched = Watched(
        stack.database_url,
        f"SELECT count(*) FROM (SELECT 1 FROM ingest.messages WHERE org_id = '{ORG}' AND id >= 'msg_{first:012}' LIMIT 200000) x",
        f"SELECT count(*) FROM unnest(%s::text[], %s::bigint[]) w(id, v) JOIN ingest.messages m ON m.org_id = '{ORG}' "
        'AND m.id = w.id COLLATE "C" AND m.version = w.v',
    )
    stack.command("start", "ingest")
    return watched.rate(records, last, lambda: None)


def empty_tables(stack: Stack) -> None:
    """Leave nothing of earlier records; the exports' data sets go too."""
    stack.sql(f"TRUNCATE {', '.join(f'ingest.{table}' for table in EMPTIED)}")


def kafka_connect(stack: Stack, records: int) -> float:
    """Records a second of Kafka Connect with Debezium's JDBC sink, from a topic of its own with the same number of partitions."""
    bootstrap = stack.env["WAYBILL_KAFKA"]
    psql(stack.database_url, "-f", str(HERE / "connect" / "messages.sql"))
    watched = Watched(
        stack.database_url,
        "SELECT count(*) FROM (SELECT 1 FROM bench.sink LIMIT 200000) x",
        'SELECT count(*) FROM unnest(%s::text[], %s::bigint[]) w(id, v) JOIN bench.sink m ON m.id = w.id COLLATE "C" AND m.version = w.v',
    )
    with _topic(bootstrap) as topic:
        last = produce(bootstrap, topic, half_updates(records), as_envelope=False)
        with connect.running(bootstrap, stack.database_url, topic) as process:
            log = CONNECT / "connect.log"
            return watched.rate(records, last, lambda: None if process.poll() is None else f"Kafka Connect ended; {log} says why")


def _empty_topic(bootstrap: str, name: str) -> None:
    """Delete what a topic holds, so that nothing of an earlier run is consumed in this one's time."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    partitions = admin.list_topics(name, timeout=10).topics[name].partitions
    for future in admin.delete_records([TopicPartition(name, number, OFFSET_END) for number in partitions]).values():
        future.result()


@contextmanager
def _topic(bootstrap: str) -> Iterator[str]:
    """A topic of this run alone, whose name no earlier consumer group knows; deleted afterwards."""
    name = f"bench-messages-{secrets.token_hex(4)}"
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for future in admin.create_topics([NewTopic(name, PARTITIONS, 1)]).values():
        future.result()
    try:
        yield name
    finally:
        for future in admin.delete_topics([name]).values():
            future.result()


def _spent(before: dict[str, float], after: dict[str, float]) -> str:
    """CPU seconds by process; ingest has been started anew in between."""
    return ", ".join(f"{name} {after[name] - (0 if name == 'ingest' else before.get(name, 0)):.1f}" for name in after)


def ingest(context: Context) -> Section:
    """Records a second from Kafka, Waybill beside Kafka Connect; tables emptied before each run."""
    connect.install()
    stack = context.stack
    stack.up(WAYBILL_STORE=DIRECTORY_STORE)
    stack.api_key(ORG)
    rates: dict[str, list[float]] = {"Waybill": [], "Kafka Connect": []}
    for _ in range(context.rounds):
        empty_tables(stack)
        before = stack.processes.cpu_seconds(CPU_OF)
        rates["Waybill"].append(waybill(stack, context.records))
        spent = _spent(before, stack.processes.cpu_seconds(CPU_OF))
        context.say(f"Waybill: {rates['Waybill'][-1]:,.0f} records/s; CPU {spent}")
        empty_tables(stack)
        rates["Kafka Connect"].append(kafka_connect(stack, context.records))
        context.say(f"Kafka Connect: {rates['Kafka Connect'][-1]:,.0f} records/s")
    medians = {name: median(values) for name, values in rates.items()}
    lines = [
        [
            what,
            f"{medians[name]:,.0f} ({', '.join(f'{value:,.0f}' for value in rates[name])})",
            f"{medians[name] / medians['Kafka Connect']:.2f}",
            target,
        ]
        for name, what, target in (
            ("Waybill", "Waybill, `records` into versioned rows", "≥ 1.5"),
            ("Kafka Connect", "Kafka Connect with Debezium's JDBC sink, upsert", ""),
        )
    ]
    notes = [
        f"CPU seconds of Waybill's last run, the service's start included: {spent}.",
        f"{context.records:,} records; the second half repeats the first half's ids with a higher version.",
    ]
    return Section("ingest", "Records from Kafka", ["What", "Records/s (runs)", "Ratio to Kafka Connect", "Target"], lines, notes)


def flatness(context: Context) -> Section:
    """The rate of each further million of new records, as the table grows."""
    stack = context.stack
    stack.up(WAYBILL_STORE=DIRECTORY_STORE)
    stack.api_key(ORG)
    empty_tables(stack)
    rates = []
    for number in range(GROWN_MILLIONS):
        rates.append(waybill(stack, context.records, first=number * context.records, new_only=True))
        context.say(f"{(number + 1) * context.records:,} rows: {rates[-1]:,.0f} records/s")
    lines = [[f"{number * context.records:,} to {(number + 1) * context.records:,}", f"{rate:,.0f}"] for number, rate in enumerate(rates)]
    notes = [f"The last {context.records:,} came in at {rates[-1] / rates[0]:.2f} × the rate of the first."]
    empty_tables(stack)
    return Section("flatness", "Records from Kafka as the table grows", ["Rows in the table", "Records/s"], lines, notes)
