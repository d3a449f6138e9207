"""`waybill doctor` on a stack that is well, and on one with something broken: it names what, and what to do."""

import secrets
from typing import Any

import psycopg
from aiokafka import AIOKafkaProducer

from shared.messages import AuditEntry
from tests.conftest import ROOT
from tests.e2e.conftest import Organisation
from tests.operate.conftest import Own, until
from tests.operate.doctor import waybill, wrong

Connection = psycopg.Connection[tuple[Any, ...]]


def test_all_is_well(own: Own, organisation: Organisation) -> None:
    code, told = waybill(own, "doctor")
    assert (code, wrong(own)) == (0, {}), told
    seen = {check["name"] for check in told["checks"]}
    assert seen >= {
        "kafka", "topics", "postgresql", "migrations", "clock of postgresql", "roles", "row security", "exports", "outbox of exports",
        "outbox of delivery", "store", "clock of store", "disk", "ingest", "lead_scoring", "export_request", "formatter", "formatter_2", "delivery", "gateway",
        "api key", "sftp",
    }  # fmt: skip


def test_what_is_broken_in_the_database_is_named(own: Own, database: Connection) -> None:
    database.execute("CREATE TABLE exports.stray (org_id text)")
    database.execute("ALTER ROLE waybill_formatter BYPASSRLS")
    database.execute(
        "INSERT INTO exports.exports (id, org_id, request, dataset, formats, status, snapshot, spec, created_at, expires_at, progressed_at) VALUES "
        "('exp_stuck', 'org_demo', '{}', 'leads', '{csv}', 'publishing', '1:1:', '{}', now(), now() + interval '1 day', now() - interval '20 minutes')"
    )
    database.execute(
        "INSERT INTO delivery.outbox (topic, value, headers, created_at) VALUES ('no-such-topic', '', '{}', now() - interval '5 minutes')"
    )
    try:
        told = wrong(own)
    finally:
        database.execute("DELETE FROM delivery.outbox WHERE topic = 'no-such-topic'")
        database.execute("DELETE FROM exports.exports WHERE id = 'exp_stuck'")
        database.execute("ALTER ROLE waybill_formatter NOBYPASSRLS")
        database.execute("DROP TABLE exports.stray")
    assert "postgres owns tables" in told["roles"] and "waybill_formatter may pass row security" in told["roles"]
    assert "exports.stray" in told["row security"]
    assert "exp_stuck (publishing" in told["exports"]
    assert "the oldest for" in told["outbox of delivery"]


def test_a_database_of_another_version_is_named(own: Own, database: Connection) -> None:
    newest = max(path.stem for path in (ROOT / "deploy" / "migrations" / "sql").glob("*.sql"))
    database.execute("UPDATE waybill_migrations SET version_num = '0001_ingest'")
    try:
        assert wrong(own) == {"migrations": f"at 0001_ingest, this version needs {newest}"}
    finally:
        database.execute("UPDATE waybill_migrations SET version_num = %s", [newest])


def test_what_is_down_is_named(own: Own) -> None:
    """Dependencies that are away are in test_dependencies.py, which has them away already."""
    own.stop("formatter-2")
    try:
        assert wrong(own).keys() == {"formatter_2"}
    finally:
        own.start("formatter-2")


def test_what_does_not_let_us_in_is_named(own: Own) -> None:
    refused = wrong(own, WAYBILL_S3_SECRET_KEY="another")
    assert refused.keys() == {"store"}
    assert wrong(own, WAYBILL_STORE="file:///nowhere/at/all").keys() == {"store"}
    assert wrong(own, WAYBILL_API_KEY="sk_live_0000000000000000_0000000000000000000000000000000000000000").keys() == {"api key"}


async def test_a_halted_consumer_is_named_and_goes_on_once_it_is_started_anew(own: Own) -> None:
    """Six dead letters are one too many for this stack; each is noted when it is sent again."""
    producer = AIOKafkaProducer(bootstrap_servers=own.stack.kafka)
    await producer.start()
    own.stop("export_request")
    own.start("export_request")  # its window is empty
    for _ in range(6):
        await producer.send_and_wait("export-files", b"not Avro", key=b"exp_x", headers=[("mark", secrets.token_hex(4).encode())])
    await producer.stop()
    until(lambda: "export-files" in own.ready("export_request")[1])
    assert 'waybill_consumer_halted{topic="export-files"} 1.0' in own.metrics("export_request")
    assert "halted" in wrong(own)["export_request"]
    took, status = own.stop("export_request")
    assert (status, took < 10) == (0, True)
    own.start("export_request")
    until(lambda: 'waybill_dead_letters_total{code="undecodable",topic="export-files"} 1.0' in own.metrics("export_request"))
    code, told = waybill(own, "dlq", "list")
    waiting = next(row["waiting"] for row in told["data"] if row["topic"] == "export-files-dlq")
    assert waiting >= 6
    code, told = waybill(own, "dlq", "replay", "export-files-dlq", "--limit", "1")
    assert (code, told["sent"]) == (0, 1)
    code, told = waybill(own, "dlq", "replays")
    started, ended = told["data"][-2:]
    assert set(started) == set(AuditEntry.__dataclass_fields__)
    assert (started["action"], ended["action"]) == ("dead_letters.replay_started", "dead_letters.replay_ended")
    assert started["details"]["replay_id"] == ended["details"]["replay_id"]
    assert (ended["subject"], ended["details"]["sent"]) == ("export-files-dlq", 1)
    assert ended["actor"].startswith("operator:")
