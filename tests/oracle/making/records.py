"""Chance, times, free values, and how a record comes in: once, or with versions, repeats and deletes."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from random import Random
from typing import Any

from tests.oracle.texts import WORDS, id_of, maybe, text
from tests.oracle.times import EPOCH, instant

Record = dict[str, Any]
Data = dict[str, Any]

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
FIRST, LAST = instant("2025-12-29T00:00:00Z"), instant("2026-07-04T00:00:00Z")  # when conversations begin
EDGES = [  # changes of clocks and local midnights of Brussels, New York and Lord Howe; starts of months in UTC
    instant(at)
    for at in (
        "2026-03-29T01:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z", "2026-03-08T07:00:00Z", "2026-03-08T05:00:00Z",
        "2026-03-09T04:00:00Z", "2026-04-04T15:00:00Z", "2026-04-04T13:00:00Z", "2026-04-05T13:30:00Z", "2025-12-31T23:00:00Z",
        "2026-01-01T00:00:00Z", "2026-01-31T23:00:00Z", "2026-02-28T23:00:00Z", "2026-03-01T00:00:00Z", "2026-04-01T04:00:00Z",
        "2026-04-01T00:00:00Z", "2026-06-30T22:00:00Z", "2026-07-01T00:00:00Z",
    )
]  # fmt: skip
NUMBERS = (0, -0.0, 1.0, -5, 1000.0, 0.1, 62.5, 1e-7, 1.5e-10, 5e-324, 123456.789, 4503599627370495.5, 2**53, -(2**53))


class Records:
    """What has been made so far, by when it comes; `ids`: those of the things that others name."""

    def __init__(self, random: Random, conversations: int, longest: int) -> None:
        self.random, self.conversations, self.longest = random, conversations, longest
        self._made: list[tuple[float, Record]] = []
        self._numbers: dict[str, int] = {}
        few = {"channel": 8, "team": 5, "bot": 7, "topic": 10, "tag": 10, "campaign": 4, "agent": max(12, conversations // 50)}
        many = {"contact": max(10, conversations * 3 // 5), "lead": max(10, conversations * 2 // 5)}
        self.ids = {kind: [self.new_id(kind) for _ in range(count)] for kind, count in {**few, **many}.items()}
        for ids in self.ids.values():  # two whose bytes and UTF-16 units sort in opposite ways
            ids[:2] = f"\ue000{ids[0]}"[:128], f"😀{ids[1]}"[:128]
        self.quiet_bot = self.new_id("bot")  # sends as kind bot alone
        self.visitors = [f"visitor_{number}" for number in range(max(5, conversations // 2))]

    def luck(self, chance: float) -> bool:
        return self.random.random() < chance

    def text(self) -> str:
        return text(self.random)

    def maybe(self) -> str | None:
        return maybe(self.random)

    def new_id(self, kind: str) -> str:
        number = self._numbers[kind] = self._numbers.get(kind, 0) + 1
        return id_of(self.random, {"message": "msg", "event": "evt", "conversation": "conv"}.get(kind, kind), number)

    def one(self, kind: str, none: float = 0.0) -> str | None:
        """The id of one; now and then of one that nobody knows, or with the chance `none` nothing."""
        if self.luck(none):
            return None
        return f"{kind}_ghost" if self.luck(0.04) else self.random.choice(self.ids[kind])

    def start(self) -> int:
        """Mostly any time, else an edge or a millisecond beside it."""
        if self.luck(0.8):
            return self.random.randrange(FIRST, LAST)
        return self.random.choice(EDGES) + self.random.choice((-1, 0, 0, 1, SECOND - 1))

    def stamp(self, at: int) -> str:
        """RFC 3339 in some offset, with digits beyond the millisecond that are cut off."""
        minutes = self.random.choice((0, 0, 0, 60, -240, 330, 345, 840, -720, -210))
        clock = (EPOCH + timedelta(milliseconds=at)).astimezone(timezone(timedelta(minutes=minutes)) if minutes else UTC)
        digits = f".{at % 1000:03d}" + self.random.choice(("", "", "000", "999", "123456", "5"))
        if at % 1000 == 0 and self.luck(0.5):
            digits = ""
        return f"{clock:%Y-%m-%dT%H:%M:%S}{digits}{self.zone_of(clock)}"

    def zone_of(self, clock: datetime) -> str:
        offset = clock.utcoffset() or timedelta()
        if not offset:
            return self.random.choice(("Z", "+00:00"))
        hours, minutes = divmod(abs(offset) // timedelta(minutes=1), 60)
        return f"{'-' if offset < timedelta() else '+'}{hours:02d}:{minutes:02d}"

    def maybe_stamp(self, at: int, chance: float = 0.5) -> str | None:
        return self.stamp(at) if self.luck(chance) else None

    def value(self, depth: int = 0) -> Any:
        """A value of a free object."""
        luck = self.random.random()
        if luck < 0.5 or depth > 2:
            return self.text()
        if luck < 0.7:
            return self.random.choice(NUMBERS)
        if luck < 0.85:
            return self.random.choice((True, False, None))
        if luck < 0.93:
            return [self.value(depth + 1) for _ in range(self.random.randrange(3))]
        return self.free(("a", "b", "\ue000", "😀", "Z", "é"), depth + 1)

    def free(self, keys: tuple[str, ...], depth: int = 0) -> Data | None:
        """A free object with some of the keys, or none at all."""
        if self.luck(0.25):
            return None
        chosen = self.random.sample(keys, self.random.randrange(len(keys) + 1))
        return {key: self.value(depth) for key in chosen}

    # --- how a record comes in

    def add(self, kind: str, id: str, data: Data) -> None:
        """Mostly once; else with versions, repeats, deletes and what comes too late, all in an order of their own."""
        data = {key: value for key, value in data.items() if value is not None or self.luck(0.3)}
        version = self.random.randrange(1_767_000_000_000, 1_777_000_000_000)
        history: list[Record] = [{"data": data, "version": version} if self.luck(0.4) else {"data": data}]
        if self.luck(0.08):
            history = self.random.choice(list(self.histories(data, version)))
        times = sorted(self.random.random() for _ in history)
        for time, record in zip(times, history, strict=True):
            envelope: Record = {"type": kind, "id": id}
            if record.get("op") or self.luck(0.2):
                envelope["op"] = record.get("op", "upsert")
            self._made.append((time, envelope | {key: record[key] for key in ("version", "data") if key in record}))

    def histories(self, data: Data, version: int) -> Iterator[list[Record]]:
        """What may have happened to an entity; those but the last three end with `data`."""
        other = self.altered(data)
        now, old = {"data": data, "version": version}, {"data": other, "version": version - 1}
        gone: Record = {"op": "delete"}
        yield [old, now]
        yield [now, old]
        yield [now, {"data": other, "version": version}]
        yield [{"data": data}, {"data": data}]
        yield [{"data": other}, now, old]
        yield [{"data": other}, gone, {"data": data}]
        yield [gone | {"version": version - 1}, old, now]
        yield [now, {"data": data}, {"data": other, "version": version}]
        yield [now, gone | {"version": version + 1}, {"data": other, "version": version}]
        yield [gone | {"version": version}, now]
        yield [{"data": data}, gone]

    def altered(self, data: Data) -> Data:
        texts = [key for key in ("content", "description", "name", "email", "away_state", "url") if isinstance(data.get(key), str)]
        return data | {key: "stale " + self.random.choice(WORDS) for key in texts}
