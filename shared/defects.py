"""A message that ends its process again and again is a dead letter in the end, so that it doesn't hold up the rest.

A defect ends the process without an acknowledgement, and the message comes again: most often to a process that can handle it. How often it has
done so is noted where no process's end takes it away: beside the group's offset in Kafka, which stays where it is.
"""

import re
from typing import Any

from aiokafka import TopicPartition
from aiokafka.structs import OffsetAndMetadata

from shared.errors import PermanentError

DEFECTS_MAX = 3
_NOTE = re.compile(r"defects=([0-9]{1,3})")


def defects_noted(offset: int, noted_offset: int, note: str) -> int:
    """How many defects a message has caused, by what the group's offset says; another message's don't count."""
    found = _NOTE.fullmatch(note or "")
    return int(found[1]) if found and noted_offset == offset else 0


async def given_up(consumer: Any, place: TopicPartition, offset: int, error: Exception) -> PermanentError | None:
    """Note the defect; the reason to give the message up where it was one too many, else None. Raises KafkaError."""
    # aiokafka's consumer answers offsets without what is noted beside them; its coordinator has both.
    held = (await consumer._coordinator.fetch_committed_offsets([place])).get(place)
    before = defects_noted(offset, held.offset, held.metadata) if held is not None else 0
    if before + 1 >= DEFECTS_MAX:
        return PermanentError("defect", f"Handling it failed {before + 1} times ({type(error).__name__}); the log says where.")
    await consumer.commit({place: OffsetAndMetadata(offset, f"defects={before + 1}")})
    return None
