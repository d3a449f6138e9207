"""Each service's user may do what its service does, and nothing else; `waybill acls` gives and takes."""

import secrets
import time
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicCollection
from confluent_kafka.admin import AdminClient

from cli.core.acls import Kind, principals, wanted
from shared.topics import all_topics
from tests.operate.conftest import until
from tests.secured.conftest import CLIENT, OPERATOR, Room, command
from tests.secured.parts import ADMIN
from tests.secured.test_road import librdkafka


def may_write(room: Room, user: str, topic: str) -> bool:
    failed: list[KafkaError | None] = []
    producer = Producer(librdkafka(room, user) | {"enable.idempotence": False})
    producer.produce(topic, value=b"", on_delivery=lambda error, _: failed.append(error))
    assert producer.flush(10) == 0
    assert failed[0] is None or failed[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED, failed
    return failed[0] is None


def may_read(room: Room, user: str, topic: str, group: str) -> bool:
    """As a member of a group."""
    settings = {"group.id": group, "enable.partition.eof": True, "enable.auto.commit": False, "auto.offset.reset": "earliest"}
    consumer = Consumer(librdkafka(room, user) | settings)
    deadline = time.monotonic() + 30
    try:
        consumer.subscribe([topic])
        while time.monotonic() < deadline:
            if (message := consumer.poll(0.1)) is None:
                continue
            code = message.error().code() if message.error() else KafkaError.NO_ERROR
            if code in (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED):
                return False
            if code in (KafkaError.NO_ERROR, KafkaError._PARTITION_EOF):
                return True
        raise AssertionError("no word of the broker")
    finally:
        consumer.close()


def allowed(room: Room, user: str) -> set[tuple[str, str]]:
    """(operation, topic) that the broker says it lets a user do."""
    admin = AdminClient(librdkafka(room, user))
    asked = admin.describe_topics(TopicCollection(list(all_topics())), include_authorized_operations=True, request_timeout=10)
    found = set()
    for topic, answer in asked.items():
        try:
            found |= {(operation.name.lower(), topic) for operation in answer.result().authorized_operations}
        except KafkaException as error:  # it may not even see it
            assert error.args[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED, error
    return found


@pytest.mark.parametrize("user", ["waybill_ingest", "waybill_export_request", "waybill_formatter", "waybill_delivery", OPERATOR, CLIENT])
def test_nobody_may_do_more_than_is_theirs(room: Room, user: str) -> None:
    """The broker's own word, for every topic."""
    mine = {
        (r.operation, r.name)
        for r in wanted(all_topics(), principals(all_topics()), [CLIENT])
        if r.principal == f"User:{user}" and r.kind is Kind.topic
    }
    assert allowed(room, user) == mine | {("describe", topic) for _, topic in mine}


def test_the_formatter_asks_for_no_exports(room: Room) -> None:
    assert not may_write(room, "waybill_formatter", "export-requests")
    assert not may_write(room, "waybill_formatter", "export-chunks")
    assert not may_read(room, "waybill_formatter", "export-chunks", group="waybill-ingest")
    assert not may_read(room, CLIENT, "records", group=CLIENT)


@pytest.fixture
def other_client(room: Room) -> Iterator[str]:
    """A client with rights that nobody wants any more."""
    name = f"old_{secrets.token_hex(4)}"
    room.waybill("acls", "--client", CLIENT, "--client", name, **room.kafka(ADMIN))
    yield name
    room.waybill("acls", "--client", CLIENT, "--prune", **room.kafka(ADMIN))


def test_rights_are_given_once_and_taken_only_when_asked(room: Room, other_client: str) -> None:
    settings = room.kafka(ADMIN)
    again = room.waybill("acls", "--client", CLIENT, **settings)
    assert (again["added"], again["removed"]) == ([], [])
    assert len(again["unwanted"]) == 4 and all(other_client in right for right in again["unwanted"])
    told = room.waybill("acls", "--client", CLIENT, "--prune", "--dry-run", **settings)
    assert told["removed"] == again["unwanted"]
    done = room.waybill("acls", "--client", CLIENT, "--prune", **settings)
    assert (done["removed"], done["unwanted"]) == (told["removed"], [])
    assert room.waybill("acls", "--client", CLIENT, **settings) == {"dry_run": False, "added": [], "removed": [], "unwanted": []}


def test_rights_are_the_administrators_to_change(room: Room) -> None:
    done = command("acls", **room.kafka(OPERATOR))
    assert done.exit_code == 1
    assert "super.users" in done.stderr and len(done.stderr.strip().splitlines()) == 1, done.stderr


def test_the_operator_sends_dead_letters_again_and_it_is_noted(room: Room) -> None:
    producer = Producer(librdkafka(room))
    producer.produce("records", key="nobody", value=b"{broken")
    assert producer.flush(10) == 0
    until(lambda: room.waybill("dlq", "list", "records-dlq", **room.kafka(OPERATOR))["data"][0]["waiting"])
    assert room.waybill("dlq", "replay", "records-dlq", **room.kafka(OPERATOR))["sent"] >= 1
    assert [each["subject"] for each in room.waybill("dlq", "replays", **room.kafka(OPERATOR))["data"]][-1] == "records-dlq"


def test_a_client_reads_with_groups_of_its_own_name_alone(room: Room) -> None:
    assert may_read(room, CLIENT, "export-events", group=f"{CLIENT}-reports")
    assert not may_read(room, CLIENT, "export-events", group="delivery-webhooks")
