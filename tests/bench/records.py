"""The records of the ingest measurement: the same messages as Waybill's envelope and as a flat object, about 300 bytes of JSON each."""

from collections.abc import Iterator

from confluent_kafka import KafkaError, Message, Producer

from tests.bench.stack import BenchError

ORG = "org_bench_ingest"
_WORDS = [
    "thanks",
    "for",
    "the",
    "quick",
    "answer",
    "but",
    "the",
    "invoice",
    "of",
    "last",
    "month",
    "is",
    "still",
    "not",
    "what",
    "we",
    "agreed",
    "on",
    "could",
    "you",
    "please",
    "look",
    "at",
    "it",
    "again",
]
_START_MS = 1_767_225_600_000  # 2026-01-01


def _content(n: int) -> str:
    first = n % len(_WORDS)
    return " ".join((_WORDS * 2)[first : first + 12 + n % 5])


def _time(n: int) -> str:
    seconds, milliseconds = divmod(n * 7, 1000)
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    return f"2026-01-{1 + hours // 24 % 28:02}T{hours % 24:02}:{minute:02}:{second:02}.{milliseconds:03}Z"


def envelope(n: int, version: int) -> tuple[str, str]:
    """Key and value for the topic `records`."""
    key = f"{ORG}/message/msg_{n:012}"
    value = (
        f'{{"type":"message","id":"msg_{n:012}","version":{version},"org_id":"{ORG}","data":{{"conversation_id":"conv_{n // 10:010}",'
        f'"created_at":"{_time(n)}","sender":{{"kind":"agent","id":"agent_{n % 300}"}},"content":"{_content(n)}",'
        f'"message_type":"text","origin":"Sparkcentral"}}}}'
    )
    return key, value


def flat(n: int, version: int) -> tuple[str, str]:
    """Key and value of the same message without nesting, time as a number: what a sink connector likes best."""
    value = (
        f'{{"id":"msg_{n:012}","version":{version},"org_id":"{ORG}","conversation_id":"conv_{n // 10:010}","created_at":{_START_MS + n * 7},'
        f'"sender_kind":"agent","sender_id":"agent_{n % 300}","content":"{_content(n)}","message_type":"text","origin":"Sparkcentral"}}'
    )
    return f"{ORG}/message/msg_{n:012}", value


def half_updates(count: int, first: int = 0) -> Iterator[tuple[int, int]]:
    """(number, version): the first half new, the second half the same ids again with a higher version."""
    for n in range(count):
        yield first + n % (count // 2), 1 + n // (count // 2)


def all_new(count: int, first: int = 0) -> Iterator[tuple[int, int]]:
    for n in range(count):
        yield first + n, 1


def produce(bootstrap: str, topic: str, numbers: Iterator[tuple[int, int]], *, as_envelope: bool) -> dict[int, tuple[str, int]]:
    """Write the records into the topic; returns the last record (id, version) of each partition. Raises BenchError where one is not taken."""
    make = envelope if as_envelope else flat
    last: dict[int, tuple[int, str, int]] = {}
    failures: list[str] = []
    producer = Producer({
        "bootstrap.servers": bootstrap, "acks": "all", "enable.idempotence": True, "compression.type": "lz4", "linger.ms": 20,
        "partitioner": "murmur2_random", "queue.buffering.max.messages": 400_000, "batch.size": 500_000,
    })  # fmt: skip

    def told(error: KafkaError | None, message: Message) -> None:
        if error is not None:
            failures.append(str(error))
            return
        offset, partition = message.offset() or 0, message.partition() or 0
        if partition not in last or last[partition][0] < offset:
            key = message.key() or b""
            last[partition] = (offset, key.decode().rpartition("/")[2] if isinstance(key, bytes) else key, _version(message))

    for n, version in numbers:
        key, value = make(n, version)
        while True:
            try:
                producer.produce(topic, value, key, on_delivery=told)
                break
            except BufferError:
                producer.poll(0.05)
        producer.poll(0)
    producer.flush(120)
    if failures:
        raise BenchError(f"{len(failures)} records were not taken: {failures[0]}")
    return {partition: (record_id, version) for partition, (_, record_id, version) in last.items()}


def _version(message: Message) -> int:
    value = message.value() or b""
    text = value if isinstance(value, str) else value.decode()
    return int(text.partition('"version":')[2].partition(",")[0])
