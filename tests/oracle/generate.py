"""Records of all fifteen types, by seed: what conversations leave behind, edge cases included.

    records = generate(seed, conversations=5_000)
    body = ndjson(records)                          # for POST /v1/records, in this order

Every record is valid by records.yaml and none is refused; some are stale (Oracle.state counts them). About 17 records a conversation. What the texts leave
open (README.md) is kept out where a difference would only say so: whole numbers beyond 2^53, empty ids, ids of system senders, operating hours at a change
of clocks, one unknown message id tagged in two conversations. Erasures too: they do more than take a record away.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from random import Random
from typing import Any

from tests.oracle.texts import PEOPLE, SENDER_NAMES, WORDS, id_of, maybe, text
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
STEPS = (0, 0, 1, 499, 500, SECOND, 1_500, 61_001, 7 * MINUTE, 50 * MINUTE, 3 * HOUR, 26 * HOUR, 5 * DAY)
HANDOVER_REASONS = (
    "MANUALLY_BY_USER", "USER_DELETED", "USER_OFFLINE", "CHANNEL_DELETE", "CHANNEL_ACCESS_REVOKED", "CONVERSATION_RESOLVED", "VA_ENCOUNTERED_ERROR",
    "GDPR_INVOKED",
)  # fmt: skip
STARTED_BY = ("NEW_CONVERSATION", "VA_HANDED_OVER_CONVERSATION", "VA_REASSIGNED_CONVERSATION_TO_HUMAN_AGENT", "INBOUND_MESSAGE")
TRIGGERS = ("Human Agent", "Virtual Agent", "Automation", "Auto Resolve")
CSAT = ("Successful", "Skipped", "Customer did not respond", "Customer's response was not recognized")
MEDIA = ("Web chat", "Twitter", "Email", "WhatsApp", "SMS", 'Wéb, "chat"', "=medium")
ACTORS = ("agent", "agent", "agent", "ai", "ai", "visitor", "bot", "system", "automation", "bulk", None)
NUMBERS = (0, -0.0, 1.0, -5, 1000.0, 0.1, 62.5, 1e-7, 1.5e-10, 5e-324, 123456.789, 4503599627370495.5, 2**53, -(2**53))

SETTINGS: dict[str, Any] = {
    "name": 'Synaptiq, "EU"',
    "timezone": "Europe/Brussels",
    "qualification_threshold": 40,
    "custom_properties": [
        {"name": "company_size", "type": "text"},
        {"name": "budget", "type": "number"},
        {"name": "vip", "type": "boolean"},
        {"name": 'Größe, "EU"', "type": "text"},
        {"name": "=note", "type": "text"},
        {"name": "nobody has it", "type": "number"},
    ],
    "operating_hours": {
        "timezone": "America/New_York",
        **{day: [["09:00", "12:30"], ["13:15", "17:30"]] for day in ("mon", "tue", "wed", "thu")},
        "fri": [["08:00", "14:45"]],
        "sat": [["10:00", "11:00"]],
    },
}
"""An organisation for these records: PATCH /v1/settings takes it; scores that it gives are for its own scoring to tell."""


def generate(seed: int, conversations: int = 100, longest: int = 30_000) -> list[Record]:
    """`longest`: code points of the longest message (xlsx takes 32,767, records.yaml 256 KiB)."""
    return Maker(Random(seed), conversations, longest).records()


def ndjson(records: list[Record]) -> bytes:
    """A line each; every other one in ASCII with escapes."""
    return "".join(json.dumps(record, ensure_ascii=number % 2 == 0) + "\n" for number, record in enumerate(records)).encode()


@dataclass
class Chat:
    """A conversation while it is made up."""

    id: str
    agents: list[str]
    bots: list[str]
    at: int
    messages: list[str] = field(default_factory=list)
    topics: list[str] = field(default_factory=list)
    tags: list[tuple[str, str | None]] = field(default_factory=list)
    status: str = "new"
    instant_of_message: int | None = None


class Maker:
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

    def records(self) -> list[Record]:
        for kind in ("channel", "team", "bot", "topic", "tag", "campaign", "agent", "contact", "lead"):
            for id in self.ids[kind]:
                self.add(kind, id, getattr(self, kind)())
        self.add("bot", self.quiet_bot, self.bot())
        for _ in range(self.conversations):
            self.conversation()
        for agent in [*self.ids["agent"], "agent_ghost"]:
            self.presences(agent)
        for _ in range(self.conversations * 3 // 2):
            visit = {"visitor_id": self.random.choice(self.visitors), "at": self.stamp(self.start()), "url": maybe(self.random)}
            self.add("visit", self.new_id("visit"), visit)
        return [record for _, record in sorted(self._made, key=lambda made: made[0])]

    # --- small things

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

    # --- entities that others name

    def channel(self) -> Data:
        medium = self.random.choice(MEDIA)
        return {"medium": medium, "name": f"{medium} EU" if self.luck(0.7) else self.text(), "display_name": self.maybe()}

    def team(self) -> Data:
        return {"name": self.text()}

    def topic(self) -> Data:
        return {"name": self.text()}

    def bot(self) -> Data:
        kind = self.random.choice(("virtual_agent", "virtual_agent", "virtual_agent", "support_bot", "channel_bot"))
        name = self.random.choice((*PEOPLE, ""))
        return {"name": name, "kind": kind, "channel_id": self.one("channel", 0.3), "created_at": self.maybe_stamp(self.start())}

    def tag(self) -> Data:
        return {
            "name": self.text(),
            "description": self.maybe(),
            "channel_id": self.one("channel", 0.3),
            "follower_ids": self.list_of("agent"),
            "created_at": self.maybe_stamp(self.start()),
        }

    def list_of(self, kind: str) -> list[str | None] | None:
        return self.random.choice((None, [], [self.one(kind)], [self.one(kind), self.one(kind)]))

    def campaign(self) -> Data:
        return {"type": self.random.choice(("oneTimeMsg", "campaign")), "name": self.maybe(), "created_at": self.maybe_stamp(self.start())}

    def agent(self) -> Data:
        watch = ("all", "info", "none", None)
        flag = (True, False, None)
        return {
            "name": self.random.choice(SENDER_NAMES),
            "email": f"agent{self._numbers['agent']}.{self.random.randrange(10**6)}@support.example" if self.luck(0.7) else None,
            "reference": self.maybe(),
            "team_id": self.one("team", 0.2),
            "channel_id": self.one("channel", 0.3),
            "account_id": self.maybe(),
            "username": self.maybe(),
            "mobile_number": self.random.choice(("+32470123456", "0032470123456", None)),
            "role": self.random.choice(("owner", "member", None)),
            "removed": self.random.choice(flag),
            "created_at": self.maybe_stamp(self.start()),
            **{f"default_{what}_watch": self.random.choice(watch) for what in ("group", "direct_chat", "user_chat")},
            "operator": self.random.choice(flag),
            "operator_email_reminder": self.random.choice(flag),
        }

    def contact(self) -> Data:
        at = self.start()
        return {
            "medium": self.random.choice((*MEDIA, None)),
            "primary_identifier": self.maybe(),
            "secondary_identifier": self.maybe(),
            "name": self.random.choice((*PEOPLE, "", None)),
            "email": f"c{self.random.randrange(10**9)}@mail.example" if self.luck(0.7) else None,
            "mobile_number": self.random.choice(("+32470123456", "0032470123456", None)),
            "member_id": self.random.choice(("12345678901234567890", "m1", "", None)),
            "lead_id": self.one("lead", 0.5),
            "profile": self.free(("plan", "age", "vip", "Région", 'a b"c', "😀", "=x")),
            "attributes": self.attributes(),
            "created_at": self.stamp(at),
            "updated_at": self.maybe_stamp(at + self.random.randrange(30 * DAY)),
        }

    def attributes(self) -> list[Data] | None:
        if self.luck(0.3):
            return self.random.choice((None, []))
        return [
            {"id": self.random.choice(("attr_1", "attr_2", "=attr", "é")), "name": self.text()}
            | self.random.choice(({}, {"value": None}, {"value": self.text()}, {"value": ""}))
            | self.random.choice(({}, {"type": "Freeform"}, {"type": "Dropdown"}, {"type": None}))
            for _ in range(self.random.randint(1, 4))
        ]

    def lead(self) -> Data:
        at = self.start()
        name = self.random.choice((*PEOPLE, "", None))
        return {
            "email": f"{self.random.choice(('jane', 'josé', 'x+y', 'O.Brien'))}{self.random.randrange(10**9)}@{self.random.choice(('acme.example', 'GMAIL.com'))}",
            "name": name,
            "company": self.random.choice(("Acme Corp", "株式会社", "Müller & Söhne, GmbH", "=Evil", "50% off", "", None)),
            "title": self.random.choice(("Engineer", "VP", None)),
            "phone": self.random.choice(("+1-555-0123", "01234567890123456789", "=5", None)),
            "status": self.random.choice(("new", "qualified", "contacted", "converted", "lost", None)),
            "source": self.random.choice(("chat", "api", "import", "form", None)),
            "source_url": self.random.choice(("https://yoursite.example/pricing?utm=a,b", 'https://例え.example/道?q="x"', "", None)),
            "tags": self.random.choice(
                (None, [], ["webinar"], ["webinar", "enterprise"], ["=tag"], ["a,b", "é", "e\u0301"], [""], ["é", "é"])
            ),
            "assigned_to": self.random.choice((self.one("agent"), "alex@yourteam.example", None)),
            "custom_properties": self.properties(),
            "last_intent": self.random.choice(("demo_request", "", None)),
            "first_seen_at": self.maybe_stamp(at - HOUR),
            "last_activity_at": self.maybe_stamp(at + self.random.randrange(30 * DAY)),
            "created_at": self.stamp(at),
            "updated_at": self.maybe_stamp(at + self.random.randrange(30 * DAY)),
        }

    def properties(self) -> Data | None:
        """Also of another type than declared, and undeclared ones."""
        if self.luck(0.2):
            return self.random.choice((None, {}))
        names = (*(made["name"] for made in SETTINGS["custom_properties"][:-1]), "undeclared", "\ue000", "😀")
        return {
            name: self.random.choice((self.text(), self.text(), self.random.choice(NUMBERS), True, False, None))
            for name in self.random.sample(names, self.random.randrange(len(names)))
        }

    # --- conversations

    def conversation(self) -> None:
        start = self.start()
        agents = [self.one("agent") or "" for _ in range(self.random.randint(1, 2))]
        chat = Chat(self.new_id("conversation"), agents, [self.one("bot") or "", self.one("bot") or ""], start)
        doing = (
            self.visitor,
            self.by_bot,
            self.by_agent,
            self.by_others,
            self.queued,
            self.handover,
            self.status,
            self.topics,
            self.tags,
            self.free_event,
        )
        self.random.choice((self.visitor, self.visitor, self.visitor, self.by_bot, self.by_agent))(chat)
        for act in self.random.choices(doing, (6, 3, 6, 1, 2.5, 1, 2.5, 1.5, 3, 1), k=self.random.choice((0, 1, 3, 6, 10, 15, 25))):
            chat.at += self.random.choice(STEPS)
            act(chat)
        if self.luck(0.96):
            created = start + self.random.choice((0, 0, 0, -MINUTE, 12 * MINUTE))
            self.add("conversation", chat.id, self.conversation_data(chat, created))

    def conversation_data(self, chat: Chat, created: int) -> Data:
        csat = {
            "score": self.random.choice((1, 3, 5, None)),
            "completed_status": self.random.choice(CSAT),
            "question": self.maybe(),
            "answer": self.maybe(),
        }
        bot = {
            "id": self.one("bot"),
            "revision_id": self.random.choice(("r1", "R2", None)),
            "section_path": self.random.choice(("a > b, c", "é", None)),
        }
        flag = (True, False, None)
        return {
            "channel_id": self.one("channel", 0.05),
            "contact_id": self.one("contact", 0.08),
            "lead_id": self.one("lead", 0.4),
            "visitor_id": self.random.choice((*self.visitors[:3], None)),
            "description": self.maybe(),
            "status": chat.status if self.luck(0.8) else self.random.choice(("new", "pending", "resolved", None)),
            "language": self.random.choice(("English", "日本語", "", None)),
            "url": self.random.choice((f"https://app.example/c/{self.random.randrange(999)}", 'https://app.example/?q="a",b', None)),
            "created_at": self.stamp(created),
            "ended_at": self.maybe_stamp(max(created, chat.at) + self.random.choice((0, 499, 500, HOUR)), 0.4),
            "updated_at": self.maybe_stamp(chat.at + self.random.randrange(DAY)),
            "assignee_id": self.one("agent", 0.4),
            "follower_ids": self.list_of("agent"),
            "campaign_id": self.one("campaign", 0.8),
            "support_bot": bot if self.luck(0.2) else None,
            "qualification_triggered": self.random.choice(flag),
            "meeting_booked": self.random.choice(flag),
            "engagement_score": self.random.choice((None, self.random.randint(0, 400) / 4)),
            "csat": csat if self.luck(0.3) else None,
            "metadata": self.free(("page", "minus")),
            "parameters": self.free(("deep",)),
        }

    def message(self, chat: Chat, sender: Data | None) -> None:
        id = self.new_id("message")
        chat.messages.append(id)
        chat.instant_of_message = chat.at
        if sender is not None and self.luck(0.2):
            sender = sender | {"name": self.random.choice((*SENDER_NAMES, None))}
        data = {
            "conversation_id": chat.id,
            "created_at": self.stamp(chat.at),
            "sender": sender,
            "content": maybe(self.random, self.longest) if self.luck(0.2) else text(self.random, self.longest),
            "message_type": self.random.choice(("text", "image", "=type", "", None)),
            "origin": self.random.choice(("Medium", "Sparkcentral", None)),
            "outbound_message_type": self.random.choice(("Reply", "Proactive", None)),
            "post_url": self.random.choice(("https://social.example/p/1,2", None, None)),
            "updated_at": self.maybe_stamp(chat.at + self.random.randrange(DAY), 0.2),
            "deleted_at": self.maybe_stamp(chat.at + self.random.randrange(DAY), 0.05),
        }
        self.add("message", id, data)

    def event(self, chat: Chat, kind: str, data: Data | None, actor: Data | None = None, at: int | None = None) -> None:
        """At times with the id of the message that came at the same instant."""
        at = chat.at if at is None else at
        id = self.new_id("event")
        if chat.messages and chat.instant_of_message == at and self.luck(0.1):
            id, chat.instant_of_message = chat.messages[-1], None
        made = {
            "conversation_id": chat.id,
            "at": self.stamp(at),
            "kind": kind,
            "actor": actor,
            "team_id": self.one("team", 0.7),
            "data": data,
        }
        self.add("event", id, made)

    def actor(self, chat: Chat, kind: str | None) -> Data | None:
        if kind is None:
            return None
        if kind in ("agent", "ai") and self.luck(0.92):
            return {"kind": kind, "id": self.random.choice(chat.agents if kind == "agent" else chat.bots)}
        return {"kind": kind} | self.random.choice(({}, {"id": None}))

    def visitor(self, chat: Chat) -> None:
        self.message(chat, {"kind": "visitor"} | self.random.choice(({}, {"id": self.random.choice(self.visitors)}, {"id": None})))

    def by_bot(self, chat: Chat) -> None:
        self.message(chat, self.actor(chat, "ai"))

    def by_others(self, chat: Chat) -> None:
        self.message(
            chat,
            self.random.choice(
                (None, {"kind": "system"}, {"kind": "bot", "id": self.random.choice((self.quiet_bot, *chat.bots))}, {"kind": "bot"})
            ),
        )

    def by_agent(self, chat: Chat) -> None:
        sender = self.actor(chat, "agent")
        self.message(chat, sender)
        if sender and sender.get("id") and self.luck(0.5):
            self.lock(chat, sender["id"] if self.luck(0.8) else self.random.choice(self.ids["agent"]))

    def lock(self, chat: Chat, agent: str) -> None:
        """Around now: its ends may be the very instant; open ones too."""
        start = chat.at - self.random.choice((0, 1, SECOND, 5 * MINUTE, 2 * HOUR))
        end = chat.at + self.random.choice((0, 0, 1, 1_499, MINUTE, -1, -SECOND))
        to = None if self.luck(0.15) else self.stamp(max(start, end))
        data = {"conversation_id": chat.id, "agent_id": agent, "team_id": self.one("team", 0.6), "from": self.stamp(start), "to": to}
        self.add("lock", self.new_id("lock"), data)

    def queued(self, chat: Chat) -> None:
        named = self.random.choice((None, None, self.random.choice(chat.messages), f"{chat.messages[0][:90]} unknown"))
        data = {
            "started_by": self.random.choice(STARTED_BY),
            "handover_reason": self.random.choice((None, *HANDOVER_REASONS)),
            "message_id": named,
        }
        self.event(chat, "queued", self.present(data), self.actor(chat, self.random.choice(("system", None))))

    def handover(self, chat: Chat) -> None:
        reason = self.random.choice((*HANDOVER_REASONS, "VA_ENCOUNTERED_ERROR", "VA_ENCOUNTERED_ERROR", None))
        self.event(chat, "handover", self.present({"reason": reason}) or None, self.actor(chat, "ai"))

    def status(self, chat: Chat) -> None:
        """Resolved, reopened, resolved again; at times at one instant."""
        for _ in range(self.random.choice((1, 1, 1, 2, 4))):
            chat.status = self.random.choice(("new", "pending", "resolved", "resolved"))
            actor = self.actor(chat, self.random.choice(ACTORS))
            data = {"to": chat.status, "reason": self.maybe(), "comment": self.maybe(), "trigger": self.random.choice((*TRIGGERS, None))}
            self.event(chat, "status_changed", self.present(data), actor)
            if self.luck(0.3):
                self.lock(chat, self.random.choice(chat.agents))
            chat.at += self.random.choice((0, 0, 1, MINUTE))

    def topics(self, chat: Chat) -> None:
        """Applied, removed, applied again; at times removed before, or all at one instant."""
        if not chat.topics or self.luck(0.5):
            chat.topics.append(self.one("topic") or "")
        for _ in range(self.random.choice((1, 1, 2, 3))):
            kind = self.random.choice(("topic_applied", "topic_applied", "topic_removed"))
            self.event(chat, kind, {"topic_id": self.random.choice(chat.topics)}, self.actor(chat, self.random.choice(ACTORS)))

    def tags(self, chat: Chat) -> None:
        """The same on a message, on an unknown one, or on the conversation."""
        if not chat.tags or self.luck(0.6):
            where = self.random.choice(
                (None, self.random.choice(chat.messages), self.random.choice(chat.messages), f"{chat.messages[0][:90]} tagged")
            )
            chat.tags.append((self.one("tag") or "", where))
        for _ in range(self.random.choice((1, 1, 2, 3))):
            tag, message = self.random.choice(chat.tags)
            kind = self.random.choice(("tag_applied", "tag_applied", "tag_removed"))
            data = self.present({"tag_id": tag, "message_id": message})
            self.event(chat, kind, data, self.actor(chat, self.random.choice(("agent", "agent", "ai", None))))

    def free_event(self, chat: Chat) -> None:
        if self.luck(0.4):
            data = self.present({"result": self.maybe(), "score": self.random.choice((None, 0, 15, 62.5, 100))})
            self.event(chat, "qualification_check", data, self.actor(chat, "ai"))
        else:
            keys = ("type", "timestamp", "zebra", "Apple", "\ue000", "😀", "é")
            actor = self.actor(chat, self.random.choice(ACTORS))
            self.event(chat, self.random.choice(("page_viewed", "csat_sent", "article.shown", "=kind", "Ünï\n")), self.free(keys), actor)

    def present(self, data: Data) -> Data:
        """Without fields that are null, mostly."""
        return {key: value for key, value in data.items() if value is not None or self.luck(0.1)}

    # --- presence

    def presences(self, agent: str) -> None:
        """One after another, over ends of ranges, some of no length; a last one open at times."""
        at = self.random.choice((FIRST - 20 * DAY, self.start()))
        for _ in range(self.random.randrange(8)):
            end = self.random.choice(
                (at, at + 1, at + self.random.randrange(3 * DAY), at + self.random.randrange(60 * DAY), max(at, self.start()))
            )
            self.presence(agent, at, end)
            at = end + self.random.choice((0, 1, HOUR))
        if self.luck(0.4):
            self.presence(agent, at, None)

    def presence(self, agent: str, start: int, end: int | None) -> None:
        data = {
            "agent_id": agent,
            "type": self.random.choice(("Available", "Away")),
            "away_state": self.random.choice(("Lunch", "=away", "", None)),
            "from": self.stamp(start),
            "to": None if end is None else self.stamp(end),
        }
        self.add("presence", self.new_id("presence"), data)
