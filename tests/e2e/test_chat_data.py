"""chat-data through the whole system: asked for with a password, encrypted once, opened by readers that we didn't write."""

import gzip
import hashlib
import io
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msoffcrypto
import openpyxl
import psycopg
import pytest
import pyzipper
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, TopicPartition

from shared.audit import PURPOSE_MAX
from tests.conftest import Stack
from tests.e2e.conftest import EXAMPLES, Organisation
from tests.e2e.logs import logs

CASES = json.loads((EXAMPLES / "cases.json").read_text("utf-8"))
CASE = next(c for c in CASES["cases"] if c["file"] == "chat-data.json")
EXPECTED = (EXAMPLES / "files" / "chat-data.json").read_bytes()
PASSWORD = "Canary" + "9f3b71c2"  # looked for in every table, topic and log
REQUEST = CASE["request"] | {"password": PASSWORD, "purpose": "test"}


@pytest.fixture(scope="module")
def export(sample: Organisation) -> dict[str, Any]:
    return sample.completed(REQUEST)


@pytest.fixture(scope="module")
def packed(sample: Organisation, export: dict[str, Any]) -> bytes:
    return sample.download(export)


def test_the_export_shows_an_encrypted_file_and_no_password(sample: Organisation, export: dict[str, Any], packed: bytes) -> None:
    (file,) = export["files"]
    assert file["name"] == f"chat-data_{export['id']}.json.zip"
    assert (file["format"], file["media_type"]) == ("json", "application/zip")
    assert (file["bytes"], file["sha256"]) == (len(packed), hashlib.sha256(packed).hexdigest())
    assert export["request"] == {name: value for name, value in REQUEST.items() if name != "password"}
    chats = json.loads(EXPECTED)["UserChat data"]
    assert file["rows"] == export["progress"]["rows_planned"] == len(chats)
    manifest = sample.http.get(export["manifest_url"]).raise_for_status().json()
    assert [(f["name"], f["sha256"], f["encryption"]) for f in manifest["files"]] == [(file["name"], file["sha256"], "AES-256")]
    assert PASSWORD not in json.dumps([export, manifest])


def test_pyzipper_opens_it(packed: bytes, export: dict[str, Any]) -> None:
    with pyzipper.AESZipFile(io.BytesIO(packed)) as archive:
        (member,) = archive.infolist()
        assert member.filename == f"chat-data_{export['id']}.json"
        assert archive.read(member, PASSWORD.encode()) == EXPECTED
        with pytest.raises(RuntimeError, match="Bad password"):
            archive.read(member, b"Abcd1234")


def test_seven_zip_opens_it(packed: bytes, tmp_path: Path) -> None:
    path = tmp_path / "chats.zip"
    path.write_bytes(packed)
    assert b"Everything is Ok" in subprocess.run(["7z", "t", f"-p{PASSWORD}", path], capture_output=True, check=True).stdout
    shown = subprocess.run(["7z", "l", "-slt", path], capture_output=True, check=True).stdout
    assert b"Encrypted = +" in shown and b"AES-256 Deflate" in shown
    assert subprocess.run(["7z", "x", "-so", f"-p{PASSWORD}", path], capture_output=True, check=True).stdout == EXPECTED
    assert subprocess.run(["7z", "t", "-pAbcd1234", path], capture_output=True, check=False).returncode


def test_chats_are_split_over_numbered_files(sample: Organisation) -> None:
    export = sample.completed(REQUEST | {"max_rows_per_file": 15})
    assert [f["name"] for f in export["files"]] == [
        f"chat-data_{export['id']}_{n:04d}.json.zip" for n in range(1, len(export["files"]) + 1)
    ]
    books = []
    for number in range(len(export["files"])):
        with pyzipper.AESZipFile(io.BytesIO(sample.download(export, number))) as archive:
            books.append(json.loads(archive.read(archive.namelist()[0], PASSWORD.encode())))
    whole = json.loads(EXPECTED)
    for sheet in ("UserChat data", "Message data"):
        assert [row for book in books for row in book[sheet]] == whole[sheet]
    for book in books:
        used = {chat["userId"] for chat in book["UserChat data"]}
        assert [user["id"] for user in book["User data"]] == [user["id"] for user in whole["User data"] if user["id"] in used]


def test_what_is_compressed_is_so_inside(sample: Organisation) -> None:
    export = sample.completed(REQUEST | {"compression": "gzip"})
    with pyzipper.AESZipFile(io.BytesIO(sample.download(export))) as archive:
        assert archive.namelist() == [f"chat-data_{export['id']}.json.gz"]
        assert gzip.decompress(archive.read(archive.namelist()[0], PASSWORD.encode())) == EXPECTED


def test_as_a_workbook_it_is_an_encrypted_office_file(sample: Organisation, tmp_path: Path) -> None:
    whole = json.loads(EXPECTED)
    chats = [chat["id"] for chat in whole["UserChat data"]][:20]  # a message of a later one is longer than a cell takes
    export = sample.completed(REQUEST | {"format": "xlsx", "filter": {"ids": chats}})
    assert [file["name"] for file in export["files"]] == [f"chat-data_{export['id']}.xlsx"]
    encrypted = msoffcrypto.OfficeFile(io.BytesIO(sample.download(export)))
    encrypted.load_key(password=PASSWORD, verify_password=True)
    plain = io.BytesIO()
    encrypted.decrypt(plain, verify_integrity=True)
    book = openpyxl.load_workbook(plain)
    assert book.sheetnames == list(whole)
    assert [row[0] for row in book["UserChat data"].iter_rows(min_row=2, values_only=True)] == chats


def test_no_chat_is_a_workbook_all_the_same(sample: Organisation) -> None:
    export = sample.completed(REQUEST | {"from": "2001-01-01", "to": "2001-01-02"})
    with pyzipper.AESZipFile(io.BytesIO(sample.download(export))) as archive:
        book = json.loads(archive.read(archive.namelist()[0], PASSWORD.encode()))
    assert not any(book.values())
    assert list(book) == list(json.loads(EXPECTED))


def test_the_password_is_nowhere(sample: Organisation, export: dict[str, Any], stack: Stack) -> None:
    """After the export has ended, and after one that was refused: in no table, topic or log."""
    refused = sample.http.post("/v1/exports", json=REQUEST | {"dataset": "leads", "purpose": "x" * (PURPOSE_MAX + 1)})
    assert refused.status_code == 400
    assert PASSWORD not in refused.text
    needle = PASSWORD.encode()
    with psycopg.connect(stack.env["WAYBILL_DATABASE_URL"]) as connection:
        tables = connection.execute(
            "select table_schema, table_name from information_schema.tables where table_type = 'BASE TABLE' and table_schema not in ('pg_catalog', 'information_schema')"
        ).fetchall()
        assert ("exports", "passwords") in tables
        for schema, table in tables:
            found = connection.execute(f'select count(*) from "{schema}"."{table}" t where strpos(t::text, %s) > 0', [PASSWORD]).fetchone()  # type: ignore[arg-type]
            assert found == (0,), (schema, table)
        assert connection.execute("select count(*) from exports.passwords where export_id = %s", [export["id"]]).fetchone() == (0,)
    searched = {name: needle in text for name, text in logs(stack)}
    assert any(name.startswith("delivery") for name in searched)
    assert not [name for name, holding in searched.items() if holding]
    seen, holding_topics = 0, set()
    for message in every_message(stack):
        seen += export["id"].encode() in (message.key() or b"")
        if any(needle in (part or b"") for part in (message.key(), message.value(), *(value for _, value in message.headers() or []))):
            holding_topics.add(message.topic())
    assert seen
    assert not holding_topics


def every_message(stack: Stack) -> Iterator[Message]:
    """All that every topic holds by now."""
    consumer = Consumer({"bootstrap.servers": stack.kafka, "group.id": "canary", "enable.auto.commit": False, "enable.partition.eof": True})
    try:
        topics = consumer.list_topics(timeout=10).topics
        places = [
            TopicPartition(name, number, OFFSET_BEGINNING)
            for name, topic in topics.items()
            if not name.startswith("__")
            for number in topic.partitions
        ]
        consumer.assign(places)
        ended: set[tuple[str, int]] = set()
        deadline = time.monotonic() + 60
        while len(ended) < len(places):
            assert time.monotonic() < deadline
            message = consumer.poll(1)
            if message is not None and message.error() is not None:
                assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
                ended.add((message.topic(), message.partition()))
            elif message is not None:
                yield message
    finally:
        consumer.close()


def test_a_run_again_is_refused_with_what_to_do(sample: Organisation, export: dict[str, Any]) -> None:
    answer = sample.http.post(f"/v1/exports/{export['id']}/rerun")
    assert answer.status_code == 422
    assert "ask for a new export" in answer.text


def test_a_search_has_its_limit(sample: Organisation) -> None:
    records = [
        {"type": "conversation", "id": f"many_{n}", "data": {"created_at": "2027-01-01T00:00:00Z", "contact_id": "many"}}
        for n in range(201)
    ]
    person = {"type": "contact", "id": "many", "data": {"created_at": "2027-01-01T00:00:00Z", "name": "Zoë Manyfold"}}
    sample.send("\n".join(json.dumps(record) for record in [person, *records]).encode())
    asked = REQUEST | {"from": "2026-12-31", "to": "2027-02-01", "filter": {"q": "MANYFOLD"}}
    refused = sample.http.post("/v1/exports", json=asked)
    assert refused.status_code == 422
    assert "finds more than 200 rows" in refused.json()["error"]["message"]
    fewer = sample.completed(asked | {"filter": {"q": "ZOË", "status": "new", "ids": [f"many_{n}" for n in range(200)]}})
    assert fewer["files"][0]["rows"] == 200
    assert sample.completed(asked | {"filter": {}})["files"][0]["rows"] == 201


def test_a_key_without_the_right_to_download_is_refused(sample: Organisation, stack: Stack) -> None:
    made = sample.http.post("/v1/api-keys", json={"name": "writes", "scopes": ["exports:write", "exports:read"]}).raise_for_status().json()
    answer = httpx.post(f"{stack.url}/v1/exports", json=REQUEST, headers={"Authorization": f"Bearer {made['key']}"})
    assert answer.status_code == 403
    assert "exports:download" in answer.text
