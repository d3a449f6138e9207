"""From a seed to the script of a round: what is sent, what is asked for, what goes wrong and when. Pure: the same seed, the same script.

When something goes wrong is a *moment*: a state that the load or an export has reached, not a time. So a seed that fails meets the same
states again, on a fast machine and on a slow one.
"""

import random
from dataclasses import dataclass, replace
from itertools import product

from tests.faults.records import PULSES, Record

FIRST_SERVICES = ("ingest", "export_request", "formatter-1", "formatter-2", "delivery")
SERVICES = (*FIRST_SERVICES, "lead_scoring")
DEPENDENCIES = ("kafka", "postgres", "s3")
NEEDS = {service: DEPENDENCIES[:2] if service in ("ingest", "export_request") else DEPENDENCIES for service in FIRST_SERVICES}
NEEDS["lead_scoring"] = ("kafka",)
LINKS = tuple((service, dependency) for service in SERVICES for dependency in NEEDS[service])
FIRST_LINKS = tuple(link for link in LINKS if link[0] in FIRST_SERVICES)
FIRST_TOPICS = (
    "records", "export-requests", "export-chunks", "export-chunks-express", "export-parts", "export-assemblies", "export-files", "export-events",
)  # fmt: skip
SCORE_TOPICS = ("lead-changes", "lead-scores")
STORE_SAYS_NO = {"refuse": "store_refused", "full": "store_full"}  # kind of fault → the reason that an export may then fail with
LATER_FROM = 2500  # what the suite learned later is in the rounds of seeds from here on, beside what they had: the scripts of those before are as they were
SCHEDULES_FROM = 3000  # from here on a schedule has missed windows when the round begins, and its scheduler is disturbed
SCHEDULE_STAGES = ("decided", "started")  # of a run of the schedule
# The states of an export as a moment can name them, in order; `released` and `part` are of its first chunk.
STAGES = ("accepted", "planned", "released", "part", "assembling", "published", "ended")
SENDS_SHOWN = 12  # moments of the way in are counted in twelfths of what is sent


@dataclass(frozen=True)
class Moment:
    """When: so many twelfths of the records are sent (`export` null), or the export of this number has reached `stage`, or, `during`, the
    round's first fault has begun and another export was accepted since. A stage without an export is that of a run of the schedule."""

    export: int | None
    stage: str = ""
    twelfths: int = 0
    during: bool = False

    @property
    def is_certain(self) -> bool:
        """Whether it comes in every round: all records are sent in the end."""
        return self.export is None and not self.during and not self.stage

    def __str__(self) -> str:
        if self.during:
            return "during the first"
        if self.export is None and self.stage:
            return f"run {self.stage}"
        return f"records {self.twelfths}/12" if self.export is None else f"export {self.export} {self.stage}"


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong. `kind`: kill, freeze, stop (a service); crash, restart (a dependency); cut, hang, slow (a link, or all links of
    a dependency: `target` is "service>dependency" or "*>dependency"); refuse, full (what is written over a link to the store is answered so);
    repeat (messages of a topic, in another order); jump (the clock, as the schedule sees it: hours pass at once). `seconds`: how long a link is in trouble."""

    kind: str
    target: str
    moment: Moment
    seconds: float = 0.0

    def __str__(self) -> str:
        lasting = f" {self.seconds:g} s" if self.seconds else ""
        return f"{self.kind} {self.target}{lasting} @ {self.moment}"


@dataclass(frozen=True)
class Send:
    """Records of one organisation that go out together: over Kafka, as a body of POST /v1/records, or as an atomic one."""

    organisation: int
    way: str  # kafka, http, atomic
    records: tuple[Record, ...]


@dataclass(frozen=True)
class Ask:
    """One export. `after`: how many twelfths of the records are sent first. `cancel`: the stage at which it is cancelled. `wrong`: it is to be
    refused. `times`: how often the same key is asked with."""

    number: int
    organisation: int
    way: str  # kafka, http
    dataset: str
    formats: tuple[str, ...]
    compression: str
    timezone: str
    max_rows_per_file: int | None
    after: int
    cancel: str | None = None
    wrong: bool = False
    times: int = 1

    @property
    def body(self) -> dict[str, object]:
        body: dict[str, object] = {
            "dataset": self.dataset, "formats": list(self.formats), "compression": self.compression, "timezone": self.timezone
        }  # fmt: skip
        if self.max_rows_per_file:
            body["max_rows_per_file"] = self.max_rows_per_file
        if self.dataset != "leads":
            body |= {"from": "2026-02-01", "to": "2026-05-01"}
        if self.wrong:
            body["columns"] = ["no_such_column"]
        return body


@dataclass(frozen=True)
class Script:
    """A round. `base`: each organisation's records from before anything goes wrong; `bad`: records over Kafka that are to be refused."""

    seed: int
    base: tuple[tuple[Record, ...], ...]
    sends: tuple[Send, ...]
    asks: tuple[Ask, ...]
    faults: tuple[Fault, ...]
    bad: int

    @property
    def windows_missed(self) -> int:
        """Hourly windows of a schedule that nobody has run when the round begins; 0: there is no schedule."""
        return 2 + self.seed % 3 if self.seed >= SCHEDULES_FROM else 0

    @property
    def refusal(self) -> str | None:
        """The reason that the store gives exports of this round to fail, where it is made to say no."""
        return next((STORE_SAYS_NO[fault.kind] for fault in self.faults if fault.kind in STORE_SAYS_NO), None)

    def sent(self, organisation: int) -> list[Record]:
        """All records of an organisation, in the order of the script."""
        return [*self.base[organisation], *(r for s in self.sends if s.organisation == organisation for r in s.records)]


def faults_known() -> tuple[tuple[str, str], ...]:
    """Every (kind, target) of the suite's beginning, in an order in which neighbours differ."""
    known = [*product(("kill", "freeze", "stop"), FIRST_SERVICES), *product(("crash", "restart"), DEPENDENCIES)]
    known += [(kind, f"{service}>{dependency}") for kind in ("cut", "hang", "slow") for service, dependency in FIRST_LINKS]
    known += [(kind, f"*>{dependency}") for kind in ("cut", "hang", "slow") for dependency in DEPENDENCIES]
    known += [("repeat", topic) for topic in FIRST_TOPICS]
    random.Random("order of faults").shuffle(known)
    return tuple(known)


def faults_known_later() -> tuple[tuple[str, str], ...]:
    """Every (kind, target) of the scores' road and of a store that says no, in such an order."""
    known = [(kind, "lead_scoring") for kind in ("kill", "freeze", "stop")] + [("repeat", topic) for topic in SCORE_TOPICS]
    known += [(kind, "lead_scoring>kafka") for kind in ("cut", "hang", "slow")]
    known += [(kind, f"{who}>s3") for kind in STORE_SAYS_NO for who in ("*", "formatter-1", "delivery")]
    random.Random("order of later faults").shuffle(known)
    return tuple(known)


def plan(seed: int) -> Script:
    """The round of a seed. Its first fault goes through `faults_known` as seeds are counted up, its last one through `faults_known_later`; all else
    is drawn."""
    draw = random.Random(f"round {seed}")
    sizes = [draw.choice((8, 20)), draw.choice((90, 150, 240))] + [draw.choice((30, 60))] * draw.randint(0, 1)
    heavy = draw.random() < 1 / 6
    base = tuple(_base(draw, size, heavy and place == 1) for place, size in enumerate(sizes))
    sends = _sends(draw, base)
    asks = _asks(draw, len(base), heavy)
    more = _scheduled if seed >= SCHEDULES_FROM else _later if seed >= LATER_FROM else _nothing
    faults = _faults(draw, seed, asks) + more(seed, asks)
    return Script(seed, base, sends, asks, faults, draw.randint(0, 2))


def _base(draw: random.Random, size: int, heavy: bool) -> tuple[Record, ...]:
    found = [Record("contact", f"contact_{n}", "base", number=n) for n in range(5)]
    found += [Record("agent", f"agent_{n}", "base", number=n) for n in range(3)]
    found += [Record("conversation", f"conversation_{n}", "base", version=1, number=n) for n in range(7)]
    found += pulse(1)
    found.append(Record("lead", "forgotten", "", "erase"))  # of an id that never had a row: an erasure takes rows from exports under way
    found += [Record("message", f"message_{n}", "base", version=1, number=n) for n in range(size)]
    found += [Record("lead", f"lead_{n}", "base", version=1, number=n) for n in range(size // 3)]
    if heavy:
        found += [Record("message", f"long_{n}", "base", version=1, number=n, bulk=240_000) for n in range(64)]
    draw.shuffle(found)
    return tuple(found)


def pulse(generation: int) -> list[Record]:
    """The records that change together: whoever sees one of a generation sees all of it."""
    mark = f"pulse {generation}"
    leads = [Record("lead", f"pulse_{n}", mark, version=generation, number=n) for n in range(PULSES)]
    return leads + [Record("message", f"pulse_{n}", mark, version=generation, number=n + 500) for n in range(PULSES)]


def _sends(draw: random.Random, base: tuple[tuple[Record, ...], ...]) -> tuple[Send, ...]:
    """Changes in an order of their own: versions of one id come late, twice and by both ways; ids without versions by Kafka, in order."""
    sends: list[Send] = []
    for organisation, records in enumerate(base):
        sends += [Send(organisation, draw.choice(("kafka", "http")), batch) for batch in _changes(draw, records)]
    draw.shuffle(sends)
    for organisation in range(len(base)):
        for way, made in (("atomic", [tuple(pulse(g)) for g in range(2, 2 + draw.randint(6, 12))]), ("kafka", _plain(draw))):
            places = sorted(draw.randint(0, len(sends)) for _ in made)
            for shift, (place, batch) in enumerate(zip(places, made, strict=True)):
                sends.insert(place + shift, Send(organisation, way, batch))
    return tuple(sends)


def _changes(draw: random.Random, records: tuple[Record, ...]) -> list[tuple[Record, ...]]:
    made: list[Record] = []
    changed = [r for r in records if r.version == 1 and not r.id.startswith(("pulse", "long"))]
    for record in draw.sample(changed, len(changed) // 2):
        for version in range(2, 2 + draw.randint(1, 4)):
            op = "delete" if draw.random() < 0.15 else "upsert"
            made.append(Record(record.type, record.id, f"v{version}", op, version, record.number))
    for n in range(draw.randint(5, 30)):
        made.append(Record(draw.choice(("lead", "message", "conversation")), f"late_{n}", "v7", "upsert", 7, n))
        if draw.random() < 0.3:  # its deletion, with a version above, comes before or behind it
            made.append(Record(made[-1].type, f"late_{n}", "v9", "delete", 9, n))
    made.append(Record("lead", "forgotten", "back", "upsert", 5, 1))  # stale: it was erased
    made += draw.sample(made, len(made) // 6)  # sent twice
    draw.shuffle(made)
    batches = []
    while made:
        size = draw.randint(1, 40)
        batches.append(tuple(made[:size]))
        del made[:size]
    return batches


def _plain(draw: random.Random) -> list[tuple[Record, ...]]:
    """Records without versions, each id's in order."""
    return [
        tuple(Record("tag", f"plain_{n}", f"step {step}", "delete" if draw.random() < 0.1 else "upsert", number=n) for n in range(6))
        for step in range(draw.randint(2, 6))
    ]


def _asks(draw: random.Random, organisations: int, heavy: bool) -> tuple[Ask, ...]:
    asks = []
    for number in range(draw.randint(4, 7)):
        dataset, formats = draw.choice((
            ("leads", ("csv",)), ("leads", ("jsonl", "csv")), ("leads", ("json",)), ("messages", ("csv",)), ("messages", ("jsonl",)),
            ("messages", ("csv", "jsonl")), ("conversations", ("json",)), ("conversations", ("txt", "jsonl")),
        ))  # fmt: skip
        organisation = number if number < organisations else draw.randrange(organisations)
        wrong = draw.random() < 0.15
        cancel = draw.choice(STAGES[:6]) if not wrong and draw.random() < 0.15 else None
        asks.append(
            Ask(
                number, organisation, "kafka" if wrong else draw.choice(("http", "kafka")), dataset, formats,
                draw.choice(("none", "none", "gzip", "zstd")), draw.choice(("UTC", "Europe/Brussels", "America/St_Johns")),
                draw.choice((None, None, None, 25, 70)), draw.randint(0, SENDS_SHOWN - 2),
                cancel, wrong, times=1 if cancel else draw.choice((1, 1, 2)),
            )
        )  # fmt: skip
    if heavy:
        asks.append(Ask(len(asks), 1, "http", "messages", ("jsonl",), "none", "UTC", None, draw.randint(0, 8)))
    return tuple(asks)


# How often a kind is drawn: those first that leave something half done.
_OFTEN = {"kill": 4, "freeze": 2, "stop": 1, "crash": 3, "restart": 1, "cut": 2, "hang": 2, "slow": 1, "repeat": 4}


def _faults(draw: random.Random, seed: int, asks: tuple[Ask, ...]) -> tuple[Fault, ...]:
    known = faults_known()
    chosen = [known[seed % len(known)]]
    for kind in draw.choices(tuple(_OFTEN), tuple(_OFTEN.values()), k=draw.choice((0, 1, 1, 2, 3))):
        chosen.append(draw.choice([fault for fault in known if fault[0] == kind]))
    faults = [Fault(kind, target, _moment(draw, kind, target, asks), _seconds(draw, kind)) for kind, target in chosen]
    overlap = random.Random(f"overlap {seed}")
    return tuple(replace(f, moment=Moment(None, during=True)) if place and overlap.random() < 0.4 else f for place, f in enumerate(faults))


def _later(seed: int, asks: tuple[Ask, ...]) -> tuple[Fault, ...]:
    """One more fault, from a draw of its own, so that nothing else of the seed's round is another because of it."""
    draw, known = random.Random(f"later {seed}"), faults_known_later()
    kind, target = known[seed % len(known)]
    return (Fault(kind, target, _moment(draw, kind, target, asks), _seconds(draw, kind)),)


def faults_known_of_schedules() -> tuple[tuple[str, str], ...]:
    return (
        ("kill", "export_request"),
        ("jump", "schedule"),
        ("freeze", "export_request"),
        ("stop", "export_request"),
        ("crash", "postgres"),
    )


def _scheduled(seed: int, asks: tuple[Ask, ...]) -> tuple[Fault, ...]:
    """One more fault, between a window's decision and its export, or behind it."""
    known = faults_known_of_schedules()
    kind, target = known[seed % len(known)]
    return (Fault(kind, target, Moment(None, SCHEDULE_STAGES[seed // len(known) % len(SCHEDULE_STAGES)])),)


def _nothing(seed: int, asks: tuple[Ask, ...]) -> tuple[Fault, ...]:
    return ()


def _moment(draw: random.Random, kind: str, target: str, asks: tuple[Ask, ...]) -> Moment:
    """A state in which the target has something to do, mostly."""
    about_records = target.startswith(("ingest", "lead_scoring")) or target in ("records", *SCORE_TOPICS)
    lasting = [a.number for a in asks if not a.wrong]
    if not lasting or draw.random() < (0.9 if about_records else 0.25):
        return Moment(None, twelfths=draw.randint(0, SENDS_SHOWN))
    return Moment(draw.choice(lasting), draw.choice(_stages(kind, target)))


def _stages(kind: str, target: str) -> tuple[str, ...]:
    if kind == "repeat":
        return ("released", "part", "assembling", "published", "ended", "ended", "ended")
    if kind in STORE_SAYS_NO:
        return ("accepted", "planned", "released", "part", "assembling")
    if target.startswith("formatter"):
        return ("planned", "released", "part")
    return ("part", "assembling", "published") if target.startswith("delivery") else STAGES


def _seconds(draw: random.Random, kind: str) -> float:
    return draw.choice((0.5, 1.5, 4.0)) if kind in ("cut", "hang", "slow", *STORE_SAYS_NO) else 0.0
