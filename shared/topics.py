"""The topics, read from schemas/topics/*.yaml: the files are the only place that says what a topic is."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

DIRECTORY = Path(__file__).resolve().parent.parent / "schemas" / "topics"

RECORDS = "records"
EXPORT_REQUESTS = "export-requests"
EXPORT_CHUNKS = "export-chunks"
EXPORT_CHUNKS_EXPRESS = "export-chunks-express"
EXPORT_PARTS = "export-parts"
EXPORT_ASSEMBLIES = "export-assemblies"
EXPORT_FILES = "export-files"
EXPORT_EVENTS = "export-events"
AUDIT_ENTRIES = "audit-entries"
LEAD_CHANGES = "lead-changes"
LEAD_SCORES = "lead-scores"


@dataclass(frozen=True)
class Topic:
    """A topic's file: who writes and reads it, how messages are keyed and kept. A service's name, `operators` (dead letters, audit) or `anyone` outside.

    `writers` are the owner and who else may write; `groups`: service → the consumer group that it reads with.
    """

    name: str
    key: str
    partitions: int
    retention_hours: int
    max_message_bytes: int
    owner: str
    writers: tuple[str, ...]
    readers: tuple[str, ...]
    groups: Mapping[str, str]
    messages: tuple[str, ...]


@functools.cache
def all_topics() -> dict[str, Topic]:
    topics = {}
    for path in sorted(DIRECTORY.glob("*.yaml")):
        raw = yaml.safe_load(path.read_text("utf-8"))
        topics[raw["topic"]] = Topic(
            name=raw["topic"], key=raw["key"], partitions=raw["partitions"], retention_hours=raw["retention_hours"],
            max_message_bytes=raw["max_message_bytes"], owner=raw["owner"],
            writers=tuple(raw.get("writers", [raw["owner"]])), readers=tuple(raw["readers"]), groups=raw.get("groups", {}),
            messages=tuple(raw["messages"]),
        )  # fmt: skip
    return topics


def group_of(topic: str, service: str) -> str:
    """The consumer group that a service reads a topic with."""
    return all_topics()[topic].groups[service]


def dead_letters_of(topic: str) -> str:
    """The topic for what can't be handled; both lanes of chunks share one."""
    return f"{EXPORT_CHUNKS if topic == EXPORT_CHUNKS_EXPRESS else topic}-dlq"
