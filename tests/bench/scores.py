"""Scores: from a record's arrival to the score that follows from it, at a thousand changes a second; and a hundred thousand leads scored again."""

import secrets
import threading
import time

import httpx
import psycopg
from confluent_kafka import Producer

from tests.bench.context import Context
from tests.bench.report import Section, seconds_cell
from tests.bench.stack import DIRECTORY_STORE, BenchError, Stack
from tests.bench.timing import percentile

ORG = "org_bench_scores"
LEADS, MESSAGES_EACH = 100_000, 4
CHANGES_A_SECOND, SECONDS = 1000, 20
LOOKED_AT_EVERY = 10
WAIT_SECONDS = 300
CPU_OF = ["ingest", "lead_scoring", "postgres", "kafka"]
_EMPTY = "TRUNCATE ingest.leads, ingest.conversations, ingest.messages, ingest.lead_scores, ingest.lead_facts, ingest.lead_touches, ingest.rescorings"
# As records would leave them, but for the scores: every lead has a conversation with messages and a qualification.
_FILL = (
    """INSERT INTO ingest.leads_current (org_id, id, version, email, title, company, status, source, custom_properties, created_at)
       SELECT %s, 'lead_' || n, 1, 'someone' || n || '@acme.example', 'Analyst', 'Acme', 'new', 'chat', 'null', now() FROM generate_series(1, %s) n""",
    """INSERT INTO ingest.conversations_current (org_id, id, version, lead_id, status, created_at, metadata, parameters)
       SELECT %s, 'conv_' || n, 1, 'lead_' || n, 'new', now(), 'null', 'null' FROM generate_series(1, %s) n""",
    f"""INSERT INTO ingest.messages_current (org_id, id, version, conversation_id, created_at, sender_kind, content)
       SELECT %s, 'msg_' || n || '_' || m, 1, 'conv_' || n, now(), CASE m %% 2 WHEN 0 THEN 'agent' ELSE 'visitor' END, 'Thanks for the quick answer'
       FROM generate_series(1, %s) n, generate_series(1, {MESSAGES_EACH}) m""",
    """INSERT INTO ingest.events_current (org_id, id, version, conversation_id, at, kind, data)
       SELECT %s, 'event_' || n, 1, 'conv_' || n, now(), 'qualification_check', '{"score":' || n %% 100 || '}' FROM generate_series(1, %s) n""",
    """INSERT INTO ingest.lead_facts SELECT %s, 'lead_' || n, 0, 0, 0 FROM generate_series(1, %s) n""",
)


def _fill(stack: Stack) -> None:
    stack.sql(_EMPTY)
    stack.sql("DELETE FROM ingest.events WHERE org_id = %s", ORG)
    for statement in _FILL:
        stack.sql(statement, ORG, LEADS)
    stack.sql("DELETE FROM ingest.rescorings")  # noted meanwhile, when there was nothing to score
    stack.sql(
        "VACUUM ANALYZE ingest.leads_current, ingest.conversations_current, ingest.messages_current, ingest.events_current, ingest.lead_facts"
    )


def _until_complete(http: httpx.Client) -> float:
    """Seconds until every lead has a score by the rules of now."""
    began = time.perf_counter()
    while not (told := http.get("/v1/scoring").json())["complete"]:
        if time.perf_counter() - began > WAIT_SECONDS:
            raise BenchError(f"not all leads were scored after {WAIT_SECONDS} s: {told}")
        time.sleep(0.1)
    return time.perf_counter() - began


def _rescore(context: Context, http: httpx.Client, points: int) -> float:
    """Seconds from the change of the rules to the last score by them."""
    rules = [{"rule": "qualification", "points": "0.5 * qualification_score"}, {"rule": "senior", "when": "title == CEO", "points": points}]
    answer = http.patch("/v1/settings", json={"scoring": {"rules": [*rules, {"rule": "messages", "points": "1 * visitor_message_count"}]}})
    if answer.status_code != 200:
        raise BenchError(f"the rules could not be changed: {answer.text}")
    seconds = _until_complete(http)
    context.say(f"{LEADS:,} leads scored again: {seconds:.1f} s")
    return seconds


def _send(bootstrap: str, version: int, sent: dict[str, float]) -> None:
    """One record of each lead, evenly over time; each is another score. Notes when some of them were handed over."""
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "linger.ms": 0, "partitioner": "murmur2_random"})
    began = time.perf_counter()
    for n in range(1, CHANGES_A_SECOND * SECONDS + 1):
        due = began + n / CHANGES_A_SECOND
        while (now := time.perf_counter()) < due:
            producer.poll(min(0.005, due - now))
        title = "CEO" if version % 2 else "Analyst"
        value = (
            f'{{"type":"lead","id":"lead_{n}","version":{version},"org_id":"{ORG}","data":{{"email":"someone{n}@acme.example",'
            f'"title":"{title}","created_at":"2026-01-01T00:00:00Z"}}}}'
        )
        if n % LOOKED_AT_EVERY == 0:
            sent[f"lead_{n}"] = time.perf_counter()
        producer.produce("records", value, f"{ORG}/lead/lead_{n}")
        producer.poll(0)
    producer.flush(30)


def _follow(stack: Stack, version: int) -> list[float]:
    """Seconds from handing a record to Kafka to its score being seen in the table, of one lead in a few."""
    sent: dict[str, float] = {}
    before = dict(stack.sql("SELECT id, version FROM ingest.lead_scores_current WHERE org_id = %s", ORG))
    sender = threading.Thread(target=_send, args=(stack.env["WAYBILL_KAFKA"], version, sent))
    sender.start()
    seconds: dict[str, float] = {}
    deadline = time.monotonic() + SECONDS + WAIT_SECONDS
    with psycopg.connect(stack.database_url, autocommit=True) as connection:
        while sender.is_alive() or len(seconds) < len(sent):
            waiting = [id_ for id_ in list(sent) if id_ not in seconds]
            rows = connection.execute(
                "SELECT id, version FROM ingest.lead_scores_current WHERE org_id = %s AND id = ANY (%s)", [ORG, waiting]
            ).fetchall()
            now = time.perf_counter()
            seconds |= {id_: now - sent[id_] for id_, found in rows if found != before[id_]}
            if time.monotonic() > deadline:
                raise BenchError(f"{len(sent) - len(seconds)} scores did not come")
            time.sleep(0.01)
    sender.join()
    return list(seconds.values())


def _spent(stack: Stack, before: dict[str, float]) -> str:
    return ", ".join(f"{name} {after - before.get(name, 0):.1f}" for name, after in stack.processes.cpu_seconds(CPU_OF).items())


def scores(context: Context) -> Section:
    """From a record's arrival to the new score at 1,000 changes a second, and all leads of an organisation scored again."""
    stack = context.stack
    stack.up(WAYBILL_STORE=DIRECTORY_STORE)
    key = stack.api_key(ORG)
    _fill(stack)
    with httpx.Client(base_url=stack.env["WAYBILL_URL"], headers={"Authorization": f"Bearer {key}"}, timeout=60) as http:
        context.say(f"{LEADS:,} leads scored for the first time: {_until_complete(http):.1f} s")
        before = stack.processes.cpu_seconds(CPU_OF)
        again = [_rescore(context, http, 10 + secrets.randbelow(10**6)) for _ in range(context.rounds)]
        spent_again = _spent(stack, before)
        before = stack.processes.cpu_seconds(CPU_OF)
        runs = [_follow(stack, 3 + number) for number in range(context.rounds)]
    spent = _spent(stack, before)
    for run in runs:
        context.say(
            f"{CHANGES_A_SECOND} changes a second: p50 {percentile(run, 0.5):.3f} s, p95 {percentile(run, 0.95):.3f} s, max {max(run):.3f} s"
        )
    stack.sql(_EMPTY)
    stack.sql("DELETE FROM ingest.events WHERE org_id = %s", ORG)
    middle = sorted(runs, key=lambda run: percentile(run, 0.95))[len(runs) // 2]
    p95s = ", ".join(f"{percentile(run, 0.95):.3f}" for run in runs)
    lines = [
        [f"a record to the new score, {CHANGES_A_SECOND:,} changes a second", f"p95 {percentile(middle, 0.95):.3f} s ({p95s}), p50 {percentile(middle, 0.5):.3f} s", "p95 < 1 s"],
        [f"{LEADS:,} leads scored again after a change of the rules", seconds_cell(again), "< 60 s"],
    ]  # fmt: skip
    notes = [
        f"Each lead has a conversation, {MESSAGES_EACH} messages and a qualification. {SECONDS} s of changes, each of another lead and each another score; one in {LOOKED_AT_EVERY} is looked at.",
        f"CPU seconds: all runs of changes {spent}; all re-scorings {spent_again}.",
    ]
    return Section("scores", "Scores", ["What", "Measured (runs)", "Target"], lines, notes)
