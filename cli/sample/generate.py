"""The whole sample as blocks of NDJSON text, in the order of time; memory doesn't grow with it."""

import hashlib
import random
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

from cli.sample.clock import Clock
from cli.sample.conversation import Conversation, length_of
from cli.sample.people import person
from cli.sample.pools import Region, load, odd_texts
from cli.sample.setting import GROUPS, Ids, build, presences

NEW_SHARE = 0.62


@dataclass(frozen=True)
class Block:
    """Some conversations' records: whole lines, and how many of what is in them."""

    text: str
    conversations: int
    messages: int


def generate(conversations: int, seed: int, org: str | None, first: int, end: int) -> Iterator[Block]:
    """The records of `conversations` conversations that begin in [first, end) (ms since 1970): the same for the same arguments.

    Ids start with letters of the seed, so samples of two seeds can go into one organisation.
    """
    digest = hashlib.sha256(f"{conversations}/{seed}/{first}/{end}".encode()).digest()
    base = int.from_bytes(digest[:8], "big")
    rng = random.Random(base)
    languages = load()
    regions = [region for language in languages for region in language.regions]
    clock = Clock(first, end, regions)
    ids = Ids(hashlib.sha256(str(seed).encode()).hexdigest()[:5], org)
    setting = build(ids, rng, base, clock, languages, conversations)
    assert set(GROUPS) == set(setting.agents)
    yield Block("".join(setting.lines), 0, 0)
    one = Conversation(ids, rng, clock, setting, odd_texts())
    begin, known = clock.beginnings(), [0] * len(regions)
    shifts = presences(setting, ids, random.Random(base + 1), clock, conversations)
    shift = next(shifts, None)
    lines: list[str] = []
    counted = messages = 0
    for number in range(conversations):
        start = begin.at((number + rng.random()) / conversations)
        while shift is not None and shift[0] <= start:
            lines.append(shift[1])
            shift = next(shifts, None)
        region = _region_at(clock, rng, regions, start)
        new = known[region.number] == 0 or rng.random() < NEW_SHARE
        # Who comes back is more often someone who came lately.
        which = known[region.number] if new else int(known[region.number] * rng.random() ** 0.6)
        known[region.number] += new
        one.write(number, start, region, person(base, region, which), new=new, length=length_of(rng, conversations))
        lines += one.lines
        messages += one.messages
        counted += 1
        if counted == 50:
            yield Block("".join(lines), counted, messages)
            lines, counted, messages = [], 0, 0
    while shift is not None:
        lines.append(shift[1])
        shift = next(shifts, None)
    yield Block("".join(lines), counted, messages)


def _region_at(clock: Clock, rng: random.Random, regions: list[Region], at: int) -> Region:
    shares = clock.shares(at // 3_600_000)
    return regions[min(bisect_left(shares, rng.random() * shares[-1]), len(regions) - 1)]
