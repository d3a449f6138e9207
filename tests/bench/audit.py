"""The audit trail: entries a second from the topic into hash chains, by one process of export_request; and what a limit of requests costs."""

import asyncio
import time

import asyncpg

from shared import audit
from shared.brokers import Brokers
from shared.runtime import create_producer
from tests.bench.context import Context
from tests.bench.report import Section
from tests.bench.stack import BenchError, Stack

ENTRIES = 20_000
TARGET = 2000
TAKES = 2_000


async def _publish(kafka: str, organisations: int) -> None:
    """Entries as services write them, into the topic that export_request reads once it starts."""
    producer = create_producer(Brokers(kafka), "bench-audit")
    await producer.start()
    try:
        sent = []
        for number in range(ENTRIES):
            details = {"fields": ["email", "name"], "number": number}
            entry = audit.note(
                f"org_audit{number % organisations}", "key:8c1f0a9b2d3e4f50", "lead.changed", f"lead_{number}", details, "203.0.113.7"
            )
            headers = [(name, value.encode()) for name, value in entry.headers.items()]
            sent.append(await producer.send(entry.topic, value=entry.value, key=(entry.key or "").encode(), headers=headers))
        await asyncio.gather(*sent)
    finally:
        await producer.stop()


def _run(stack: Stack, organisations: int) -> tuple[float, dict[str, float]]:
    """Seconds from the first entry in a chain to the last, by what lay in the topic when export_request started; CPU seconds."""
    held = int(str(stack.sql("SELECT count(*) FROM tenancy.audit")[0][0]))
    stack.stop("export_request")
    asyncio.run(_publish(stack.env["WAYBILL_KAFKA"], organisations))
    before = stack.processes.cpu_seconds(["postgres"])
    stack.start("export_request")
    count, first, deadline = 0, 0.0, time.monotonic() + 120
    while count < ENTRIES:
        if time.monotonic() > deadline:
            raise BenchError("the entries were not chained within two minutes")
        count = int(str(stack.sql("SELECT count(*) FROM tenancy.audit")[0][0])) - held
        if count and not first:
            first, counted = time.monotonic(), count
        time.sleep(0.02)
    seconds = (time.monotonic() - first) * ENTRIES / max(1, ENTRIES - counted)
    after = stack.processes.cpu_seconds(["postgres", "export_request"])
    return seconds, {"postgres": after["postgres"] - before["postgres"], "export_request": after["export_request"]}


async def _takes(url: str) -> dict[str, float]:
    """Median milliseconds of looking a key up, and of taking a request out of an organisation's bucket."""
    connection = await asyncpg.connect(url)
    medians = {}
    try:
        for name, query in (
            ("key", "SELECT * FROM tenancy.find_key('nobody')"),
            ("bucket", "SELECT * FROM tenancy.take_from_bucket('org_audit0', 100000)"),
        ):
            taken = []
            for _ in range(TAKES):
                began = time.perf_counter()
                await connection.fetchrow(query)
                taken.append(time.perf_counter() - began)
            medians[name] = sorted(taken)[TAKES // 2] * 1000
    finally:
        await connection.close()
    return medians


def append(context: Context) -> Section:
    """Entries a second from the topic into hash chains, and what a limit of requests costs each request."""
    stack = context.stack
    stack.up()
    lines, notes = [], []
    for title, organisations in (("one organisation", 1), ("200 organisations", 200)):
        runs = [_run(stack, organisations) for _ in range(context.rounds)]
        rates = sorted(ENTRIES / seconds for seconds, _ in runs)
        context.say(f"{title}: {', '.join(f'{rate:,.0f}/s' for rate in rates)}")
        lines.append(
            [f"Entries of {title}", f"{rates[len(rates) // 2]:,.0f} ({', '.join(f'{rate:,.0f}' for rate in rates)})", f"≥ {TARGET:,}"]
        )
        cpu = runs[-1][1]
        notes.append(
            f"CPU seconds of the last run ({title}): export_request {cpu['export_request']:.1f} with its start, postgres {cpu['postgres']:.1f}."
        )
    medians = asyncio.run(_takes(stack.database_url))
    context.say(f"key {medians['key']:.2f} ms, bucket {medians['bucket']:.2f} ms")
    notes.append(
        f"{ENTRIES:,} entries lie in the topic when export_request starts. What a limit of requests adds to a request: {medians['bucket']:.2f} ms (median of {TAKES:,}), "
        f"beside {medians['key']:.2f} ms for its key."
    )
    return Section("audit", "Audit trail", ["What", "Entries chained/s, one process (runs)", "Target"], lines, notes)
