"""Kafka as the suite uses it, by a client that Waybill doesn't use itself, and past the proxies."""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from shared.topics import all_topics

T = TypeVar("T")
Places = dict[tuple[str, int], int]  # (topic, partition) → offset
SECONDS = 30
ASK_SECONDS = 3  # a client from before a crash may hear nothing: it is made anew, and none of this is the system's recovery
RESTART_SECONDS = 120  # a broker that restarts on a busy machine takes most of a minute


@dataclass(frozen=True)
class Event:
    """A message of export-events."""

    key: str
    type: str
    id: str
    data: bytes


@dataclass
class Kafka:
    """One client a suite. Broker restarts are waited out by librdkafka."""

    bootstrap: str
    failed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        common = {"bootstrap.servers": self.bootstrap, "reconnect.backoff.max.ms": 500, "log_level": 0}
        self._common = common
        self.producer = Producer(
            common | {"enable.idempotence": True, "linger.ms": 2, "message.max.bytes": 2_000_000, "message.timeout.ms": 120_000}
        )
        self.admin = AdminClient(common)

    def send(self, topic: str, key: str, value: bytes, headers: list[tuple[str, bytes]] | None = None) -> None:
        while True:
            try:
                self.producer.produce(topic, key=key, value=value, headers=headers or [], on_delivery=self._delivered)
                break
            except BufferError:
                self.producer.poll(0.1)
        self.producer.poll(0)

    def flush(self) -> None:
        """Returns once the broker has all. What it did not take is in `failed`."""
        if left := self.producer.flush(SECONDS * 4):
            self.failed.append(f"{left} messages not taken by Kafka")

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self.failed.append(f"{message.topic()}: {error}")

    # ---- reading

    def ends(self, topics: Iterable[str]) -> Places:
        """Where each partition ends now."""
        names = list(topics)
        return self._patiently(lambda: self._ends(names))

    def _ends(self, topics: list[str]) -> Places:
        wanted = {TopicPartition(t, p): OffsetSpec.latest() for t in topics for p in range(all_topics()[t].partitions)}
        found = self.admin.list_offsets(wanted, request_timeout=ASK_SECONDS)
        return {(place.topic, place.partition): future.result().offset for place, future in found.items()}

    def read(self, topic: str, since: Places) -> list[Message]:
        """All messages of a topic from `since` to its end, each partition in its order."""
        ends = self.ends([topic])
        todo = {p: end for (t, p), end in ends.items() if t == topic and end > since.get((t, p), 0)}
        if not todo:
            return []
        consumer = self._consumer()
        found: list[Message] = []
        try:
            consumer.assign([TopicPartition(topic, p, since.get((topic, p), 0)) for p in todo])
            deadline = time.monotonic() + SECONDS
            while todo and time.monotonic() < deadline:
                for message in consumer.consume(500, timeout=0.5):
                    if message.error() is None:
                        found.append(message)
                done = consumer.position([TopicPartition(topic, p) for p in todo])
                todo = {p.partition: todo[p.partition] for p in done if p.offset < todo[p.partition]}
        finally:
            consumer.close()
        return sorted(found, key=lambda m: (m.partition(), m.offset()))

    def publish_again(self, messages: Iterable[Message]) -> None:
        for message in messages:
            self.producer.produce(
                message.topic(), partition=message.partition(), key=message.key(), value=message.value(), headers=message.headers() or [],
                on_delivery=self._delivered,
            )  # fmt: skip
        self.flush()

    def _consumer(self) -> Consumer:
        return Consumer(self._common | {"group.id": "faults-reader", "enable.auto.commit": False, "auto.offset.reset": "earliest"})

    def _patiently(self, work: Callable[[], T]) -> T:
        """A broker that is just coming back knows no leaders yet; and a client that knew it before is fenced, so it is made anew."""
        deadline = time.monotonic() + RESTART_SECONDS
        while True:
            try:
                return work()
            except KafkaException:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
                self.admin = AdminClient(self._common)

    # ---- what is left to do

    def lag(self) -> dict[str, int]:
        """Group and topic → messages that it has not acknowledged; nothing where all is done."""
        return self._patiently(self._lag)

    def _lag(self) -> dict[str, int]:
        """What was acknowledged first, then the ends: what is published by whoever acknowledges in between is behind."""
        groups = [g.group_id for g in self.admin.list_consumer_groups(request_timeout=ASK_SECONDS).result().valid]
        asked = [self.admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(g)], request_timeout=ASK_SECONDS) for g in groups]
        acknowledged = [(name, found) for each in asked for name, future in each.items() for found in future.result().topic_partitions]
        ends = self._ends([t for t in all_topics() if not t.endswith("-dlq")])
        behind: dict[str, int] = {}
        for name, found in acknowledged:
            left = ends.get((found.topic, found.partition), 0) - max(found.offset, 0)
            if left > 0:
                behind[f"{name} {found.topic}"] = behind.get(f"{name} {found.topic}", 0) + left
        return behind


class EventLog:
    """Hears export-events from `start` on, whatever happens to the broker."""

    def __init__(self, kafka: Kafka) -> None:
        self._kafka = kafka
        self._events: list[Event] = []
        self._read: Places = {}
        self._lock, self._ending = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._consumer = self._kafka._consumer()
        self._read = self._kafka.ends(["export-events"])
        self._consumer.assign([TopicPartition(t, p, end) for (t, p), end in self._read.items()])
        self._thread.start()

    def stop(self) -> None:
        self._ending.set()
        self._thread.join()
        self._consumer.close()

    def heard(self, keys: Iterable[str]) -> list[Event]:
        """The events of these exports and refused requests."""
        wanted = set(keys)
        with self._lock:
            return [event for event in self._events if event.key in wanted]

    def caught_up(self) -> bool:
        """Whether all that lies in the topic now has been heard."""
        ends = self._kafka.ends(["export-events"])
        with self._lock:
            return all(self._read[place] >= end for place, end in ends.items())

    def _run(self) -> None:
        while not self._ending.is_set():
            message = self._consumer.poll(0.2)
            if message is None or message.error():
                continue
            headers = {name: value or b"" for name, value in message.headers() or []}
            event = Event(
                (message.key() or b"").decode(),
                headers.get("ce_type", b"").decode(),
                headers.get("ce_id", b"").decode(),
                message.value() or b"",
            )
            with self._lock:
                self._events.append(event)
                self._read[message.topic(), message.partition()] = message.offset() + 1
