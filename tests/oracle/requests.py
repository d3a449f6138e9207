"""Export requests over every dataset, by seed: ranges, timezones, filters, columns and formats, all valid by the contract.

    for request in requests(seed, records, 200):
        oracle.file(request, request["format"])     # and the same body to POST /v1/exports

Filters name what the records hold. `password` and `purpose` go with chat-data, whose file is the member of the ZIP that comes back. A search (`q`) of chats
asks for one person's e-mail address, so that it stays below 200 chats.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

from tests.oracle.columns import ANALYTICS, CARE, CONVERSATIONS, FORMATS, LEADS, key
from tests.oracle.generate import SETTINGS
from tests.oracle.making.records import DAY, FIRST, LAST
from tests.oracle.times import EPOCH, first_at, local

Request = dict[str, Any]

TIMEZONES = (
    "UTC", "Europe/Brussels", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/St_Johns", "Pacific/Kiritimati",
    "America/Havana", "Africa/Cairo", "Asia/Beirut",  # these skip a midnight in spring
)  # fmt: skip
CLOCK_CHANGES = ("2026-03-08", "2026-03-29", "2026-04-05", "2026-04-24")
SKIPPED = {"Europe/Brussels": "2026-03-29T02:30:00", "America/New_York": "2026-03-08T02:00:00", "America/Havana": "2026-03-08T00:15:00"}
SEARCHES = (
    "acme",
    "GMAIL",
    "élo",
    "иван",
    "50%",
    "_x",
    "alpha BRAVO",
    "山田",
    "=evil",
    "MÜLLER",
    "\\s",
    "o'brien",
    '"jj"',
    "no such thing",
)
WITHOUT_RANGE = {"open-conversations"}
RANGE_OPTIONAL = {"leads", "conversations"}


def requests(seed: int, records: Iterable[dict[str, Any]], count: int = 100) -> list[Request]:
    """Every dataset and format comes at least once where `count` allows it (32 pairs)."""
    asker = Asker(Random(seed), records)
    pairs = [(dataset, fmt) for dataset, formats in FORMATS.items() for fmt in formats]
    asker.random.shuffle(pairs)
    pairs += [asker.random.choice(pairs) for _ in range(count - len(pairs))]
    return [asker.request(dataset, fmt) for dataset, fmt in pairs[:count]]


class Asker:
    def __init__(self, random: Random, records: Iterable[dict[str, Any]]) -> None:
        self.random = random
        self._ids: dict[str, list[str]] = {}
        self._values: dict[tuple[str, str], list[Any]] = {}
        for record in records:
            self._ids.setdefault(record["type"], []).append(record["id"])
            for field, value in (record.get("data") or {}).items():
                if (record["type"], field) in USED and value:
                    self._values.setdefault((record["type"], field), []).append(value)

    def request(self, dataset: str, fmt: str) -> Request:
        made: Request = {"dataset": dataset, "format": fmt}
        timezone = self.random.choice(TIMEZONES)
        if self.luck(0.95):
            made["timezone"] = timezone
        if dataset not in WITHOUT_RANGE and (dataset not in RANGE_OPTIONAL or self.luck(0.8)):
            made |= self.range(made.get("timezone", SETTINGS["timezone"]))
            if dataset in RANGE_OPTIONAL and self.luck(0.2):
                del made[self.random.choice(("from", "to"))]
        wanted = self.filter(dataset)
        if wanted:
            made["filter"] = wanted
        if dataset == "analytics" and self.luck(0.8):
            made["granularity"] = self.random.choice(("day", "week", "month"))
        if dataset == "chat-data":
            return made | {"password": "Abcd1234", "purpose": "test"}  # pragma: allowlist secret
        if fmt != "txt" and self.luck(0.3):
            made["columns"] = self.columns(dataset, fmt)
        if fmt == "csv" and self.luck(0.3):
            made["spreadsheet_safe"] = self.luck(0.2)
        return made

    def luck(self, chance: float) -> bool:
        return self.random.random() < chance

    # --- ranges

    def range(self, timezone: str) -> Request:
        """All of the records half the time; else some days or hours, over a change of clocks, or with an end in a skipped hour."""
        if self.luck(0.5):
            return {"from": "2025-12-01", "to": "2026-09-01"}
        if self.luck(0.3):
            day = date.fromisoformat(self.random.choice(CLOCK_CHANGES))
            return {"from": str(day - timedelta(days=self.random.randrange(3))), "to": str(day + timedelta(days=self.random.randint(1, 3)))}
        if timezone in SKIPPED and self.luck(0.3):
            return {"from": SKIPPED[timezone], "to": "2026-06-01"}
        start = self.random.randrange(FIRST, LAST)
        length = self.random.choice((1, 3_600_000, DAY, 7 * DAY, 31 * DAY, 100 * DAY, 1_000 * DAY))
        return {"from": self.bound(start, timezone), "to": self.bound(start + length, timezone, later=True)}

    def bound(self, at: int, timezone: str, *, later: bool = False) -> str:
        """As a date, a local time or a time with an offset; `later` never comes before `at`."""
        clock = local(at, timezone).replace(tzinfo=None)
        if self.luck(0.4):
            return str(clock.date() + timedelta(days=later))
        if self.luck(0.4) and first_at(clock, timezone) == at:
            return clock.isoformat(timespec="milliseconds")
        return self.with_offset(at)

    def with_offset(self, at: int) -> str:
        moment: datetime = (EPOCH + timedelta(milliseconds=at)).astimezone(UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", self.random.choice(("Z", "+00:00")))

    # --- filters

    def filter(self, dataset: str) -> Request:
        """Mostly one or two, or none."""
        possible = self.filters(dataset)
        chosen = self.random.sample(sorted(possible), min(len(possible), self.random.choice((0, 0, 1, 1, 2, 3))))
        return {name: possible[name]() for name in chosen}

    def filters(self, dataset: str) -> dict[str, Callable[[], Any]]:
        channel: dict[str, Callable[[], Any]] = {
            "channel": lambda: self.some_ids("channel"),
            "medium": lambda: self.some("channel", "medium"),
        }
        if dataset in CARE:
            return {} if dataset == "user-presence" else channel
        if dataset == "analytics":
            return {}
        if dataset == "leads":
            return self.lead_filters()
        shared: dict[str, Callable[[], Any]] = {
            **channel,
            "ids": lambda: self.some_ids("conversation", 5),
            "status": lambda: self.several(["new", "pending", "resolved"]),
            "agent_id": lambda: self.some_ids("agent"),
            "team_id": lambda: self.some_ids("team"),
            "tags": lambda: self.tags([*self._ids["tag"], *self._values[("tag", "name")]]),
        }
        if dataset == "chat-data":
            return {**shared, "q": lambda: self.random.choice(self._values[("contact", "email")]).upper()}
        return {
            **shared,
            "lead_id": lambda: self.some_ids("lead", 5),
            "started_after": lambda: self.with_offset(self.random.randrange(FIRST, LAST)),
            "started_before": lambda: self.with_offset(self.random.randrange(FIRST, LAST)),
        }

    def lead_filters(self) -> dict[str, Callable[[], Any]]:
        return {
            "ids": lambda: self.some_ids("lead", 5),
            "status": lambda: self.several(["new", "qualified", "contacted", "converted", "lost"]),
            "source": lambda: self.several(["chat", "api", "import", "form"]),
            "tags": lambda: self.tags(["webinar", "enterprise", "=tag", "a,b", "é", "e\u0301", "", "none has it"]),
            "assigned_to": lambda: self.some("lead", "assigned_to"),
            "score_min": lambda: self.random.randrange(60),
            "score_max": lambda: self.random.randrange(20, 101),
            "created_after": lambda: self.with_offset(self.random.randrange(FIRST, LAST)),
            "created_before": lambda: self.with_offset(self.random.randrange(FIRST, LAST)),
            "q": lambda: self.random.choice(SEARCHES),
        }

    def several(self, values: list[Any], most: int = 3) -> Any:
        """A list, or a single value that stands for a list of one."""
        if self.luck(0.2):
            return self.random.choice(values)
        return list(dict.fromkeys(self.random.choices(values, k=self.random.randint(1, most))))

    def some_ids(self, kind: str, most: int = 3) -> Any:
        return self.several([*self._ids[kind], f"{kind}_ghost"], most)

    def some(self, kind: str, field: str) -> Any:
        return self.several(self._values[kind, field])

    def tags(self, values: list[str]) -> Any:
        picked = list(dict.fromkeys(self.random.choices(values, k=self.random.randint(1, 3))))
        return self.random.choice((picked, {"any": picked}, {"all": picked[:2]}))

    # --- columns

    def columns(self, dataset: str, fmt: str) -> list[str]:
        """Some of them, in an order of their own."""
        own = (
            [f"custom_{made['name']}" for made in SETTINGS["custom_properties"]] if fmt == "csv" else ["custom_properties", "conversations"]
        )
        if dataset == "leads":
            every = [*LEADS.split(", "), *own]
        else:
            every = {**CARE, "conversations": CONVERSATIONS, "analytics": ANALYTICS}[dataset].split(", ")
        keys = [key(dataset, header) for header in every]
        return self.random.sample(keys, self.random.randint(1, len(keys)))


USED = {("channel", "medium"), ("tag", "name"), ("contact", "email"), ("lead", "assigned_to")}
