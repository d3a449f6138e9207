"""A producer whose numbers and the broker's have parted says so."""

import asyncio

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import OutOfOrderSequenceNumber

from shared.producer import Producer


async def test_a_producer_that_can_send_nothing_more_says_so_once(producer: Producer, topic: str) -> None:
    lost: list[BaseException] = []
    producer.on_lost = lost.append
    await producer.send_and_wait(topic, b"first")
    assert not lost
    # as when a batch was given up during an outage: its number is used, and the broker has never seen it
    producer._txn_manager.increment_sequence_number(TopicPartition(topic, 0), 1)
    for value in (b"second", b"third"):
        with pytest.raises(OutOfOrderSequenceNumber):
            async with asyncio.timeout(30):
                await producer.send_and_wait(topic, value)
    assert [type(error) for error in lost] == [OutOfOrderSequenceNumber]
