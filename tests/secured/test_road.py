"""The whole road with everything behind TLS: a record in and a request over Kafka by an outside client, a file out, the events read."""

import json
import secrets
from typing import Any

import httpx
from confluent_kafka import Consumer, Producer

from tests.e2e.test_kafka_client import kind, read_until
from tests.operate.conftest import until
from tests.secured.conftest import CLIENT, OPERATOR, ORG, Room, command


def librdkafka(room: Room, user: str = CLIENT) -> dict[str, Any]:
    return {
        "bootstrap.servers": room.secured.sasl, "security.protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-512", "sasl.username": user,
        "sasl.password": room.secured.passwords[user], "ssl.ca.location": str(room.secured.authority.file), "log_level": 0,
    }  # fmt: skip


def test_record_in_request_over_kafka_file_out_event_read(room: Room) -> None:
    lead, request_id = f"lead_{secrets.token_hex(4)}", secrets.token_hex(8)
    producer = Producer(librdkafka(room) | {"enable.idempotence": True})
    events = Consumer(librdkafka(room) | {"group.id": f"{CLIENT}-events", "auto.offset.reset": "earliest"})
    events.subscribe(["export-events"])
    http = httpx.Client(headers={"Authorization": f"Bearer {room.api_key}"}, timeout=30)
    data = {"email": "a@b.example", "created_at": "2026-03-01T00:00:00Z"}
    producer.produce("records", key=f"{ORG}/lead/{lead}", value=json.dumps({"type": "lead", "id": lead, "org_id": ORG, "data": data}))
    assert producer.flush(10) == 0
    until(lambda: 'waybill_ingest_records_total{outcome="accepted"} 1.0' in httpx.get(f"http://{room.address('ingest')}/metrics").text)
    body = {"org_id": ORG, "request_id": request_id, "requested_by": CLIENT, "dataset": "leads", "formats": ["jsonl", "csv"]}
    producer.produce("export-requests", key=ORG, value=json.dumps(body))
    assert producer.flush(10) == 0
    try:
        seen = read_until(events, lambda m: json.loads(m.value()).get("request_id") == request_id and kind(m) == "waybill.export.completed")
    finally:
        events.close()
    done = json.loads(seen[-1].value())
    with http:
        export = http.get(f"http://{room.address('export_request')}/v1/exports/{done['id']}").raise_for_status().json()
        files = {
            file["format"]: http.get(f"http://{room.address('delivery')}{httpx.URL(file['url']).raw_path.decode()}")
            for file in export["files"]
        }
    assert json.loads(files["jsonl"].content)["id"] == lead
    assert lead.encode() in files["csv"].content


def test_the_doctor_finds_all_well_as_the_operator(room: Room) -> None:
    told = {"WAYBILL_DATABASE_URL": room.secured.database_url("postgres")} | room.kafka(OPERATOR) | room.store
    checks = json.loads(command("doctor", "--json", **told).stdout)["checks"]
    said = {check["name"]: (check["verdict"], check["says"]) for check in checks}
    assert said["kafka"][0] == said["topics"][0] == said["postgresql"][0] == said["store"][0] == "ok", said
    assert all(said[f"group {name}"][0] == "ok" for name in ("delivery", "waybill-ingest", "formatter-express", "delivery-webhooks")), said
