"""Conversations: their messages, events, topics and tags."""

from dataclasses import dataclass, field

from tests.oracle.making.records import DAY, HOUR, MINUTE, SECOND, Data
from tests.oracle.making.things import Things
from tests.oracle.texts import SENDER_NAMES, maybe, text

STEPS = (0, 0, 1, 499, 500, SECOND, 1_500, 61_001, 7 * MINUTE, 50 * MINUTE, 3 * HOUR, 26 * HOUR, 5 * DAY)
HANDOVER_REASONS = (
    "MANUALLY_BY_USER", "USER_DELETED", "USER_OFFLINE", "CHANNEL_DELETE", "CHANNEL_ACCESS_REVOKED", "CONVERSATION_RESOLVED", "VA_ENCOUNTERED_ERROR",
    "GDPR_INVOKED",
)  # fmt: skip
STARTED_BY = ("NEW_CONVERSATION", "VA_HANDED_OVER_CONVERSATION", "VA_REASSIGNED_CONVERSATION_TO_HUMAN_AGENT", "INBOUND_MESSAGE")
TRIGGERS = ("Human Agent", "Virtual Agent", "Automation", "Auto Resolve")
CSAT = ("Successful", "Skipped", "Customer did not respond", "Customer's response was not recognized")
ACTORS = ("agent", "agent", "agent", "ai", "ai", "visitor", "bot", "system", "automation", "bulk", None)


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


class Talk(Things):
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
