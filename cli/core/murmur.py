"""Kafka's default partitioner (murmur2 as in the Java client), a few times faster than aiokafka's so that it isn't what costs."""

import struct
from functools import lru_cache

M = 0x5BD1E995
MASK = 0xFFFFFFFF


@lru_cache
def _words(count: int) -> struct.Struct:
    return struct.Struct(f"<{count}I")


def murmur2(data: bytes) -> int:
    """MurmurHash2 of `data` with Kafka's seed, unsigned 32 bits."""
    length = len(data)
    h = 0x9747B28C ^ length
    for k in _words(length >> 2).unpack_from(data):
        k = k * M & MASK
        h = (h * M & MASK) ^ ((k ^ k >> 24) * M & MASK)
    if tail := data[length & ~3 :]:
        h = (h ^ int.from_bytes(tail, "little")) * M & MASK
    h = (h ^ h >> 13) * M & MASK
    return h ^ h >> 15


def partition_of(key: bytes, partitions: list[int]) -> int:
    """The partition that every Kafka client with default settings takes for `key`."""
    return partitions[(murmur2(key) & 0x7FFFFFFF) % len(partitions)]
