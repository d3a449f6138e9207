"""Ingest and lead_scoring are killed (-9) while leads change, and while all of them are scored again: every score in the end is the oracle's."""

import json
from typing import Any

import psycopg
from aiokafka import AIOKafkaProducer

from tests.e2e.conftest import Organisation, new_organisation
from tests.operate.conftest import Own, until
from tests.scoring import oracle, records

Connection = psycopg.Connection[tuple[Any, ...]]
PIECES, KILLED = 4, ("ingest", "lead_scoring")
WAIT_SECONDS = 120


async def send(own: Own, organisation: Organisation, some: list[records.Record]) -> None:
    async with AIOKafkaProducer(bootstrap_servers=own.stack.kafka, linger_ms=20) as producer:
        for record in some:
            key = f"{organisation.org_id}/{record['type']}/{record['id']}".encode()
            await producer.send("records", json.dumps(record | {"org_id": organisation.org_id}).encode(), key=key)
        await producer.flush()


def kept(database: Connection, org_id: str) -> dict[str, oracle.Scored]:
    query = "SELECT id, score, reasons FROM ingest.lead_scores_current WHERE org_id = %s"
    return {id_: (score, json.loads(reasons)) for id_, score, reasons in database.execute(query, [org_id])}


def count(database: Connection, query: str, org_id: str) -> int:
    row = database.execute(query, [org_id]).fetchone()
    return int(row[0]) if row else 0


async def test_scores_are_exact_whoever_dies(own: Own, database: Connection) -> None:
    organisation = new_organisation(own.stack)
    org_id, sent = organisation.org_id, records.made(20_261_126, leads=300)
    size = len(sent) // PIECES + 1
    messages, scored = (f"SELECT count(*) FROM ingest.{table}_current WHERE org_id = %s" for table in ("messages", "lead_scores"))
    for number in range(PIECES):
        before = count(database, messages, org_id)
        await send(own, organisation, sent[number * size : (number + 1) * size])
        until(lambda before=before: count(database, messages, org_id) > before, WAIT_SECONDS)  # type: ignore[misc]
        own.kill(KILLED[number % 2])  # some of the piece is written, some of its leads are scored
    until(lambda: count(database, scored, org_id) > 0, WAIT_SECONDS)
    assert organisation.http.patch("/v1/settings", json={"scoring": oracle.OTHER_SETTING}).status_code == 200
    anew = "SELECT count(*) FROM ingest.lead_facts WHERE org_id = %s AND model_version > 1"
    for name in KILLED:
        until(lambda: count(database, anew, org_id) > 0, WAIT_SECONDS)
        own.kill(name)
    wanted = oracle.scores(sent, oracle.other_rules)
    assert len(wanted) > 200
    until(lambda: kept(database, org_id) == wanted, WAIT_SECONDS)
    until(lambda: own.ready("ingest")[0] == 200)
    assert organisation.http.get("/v1/scoring").json()["complete"] is True
    organisation.http.close()
