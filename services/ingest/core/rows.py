"""From a record's data to its columns: one table a type, columns in the order of the tuple that the type's function returns."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_type_hints

import msgspec

from services.ingest.core import types as t
from services.ingest.core.free import canonical
from services.ingest.core.instants import instant

Row = tuple[Any, ...]


class WrongTogether(ValueError):
    """A field of `data` (a dotted path) that its type alone can't refuse."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def _optional(text: str | None) -> datetime | None:
    return None if text is None else instant(text)


def _free(value: dict[str, Any] | None) -> str:
    """Canonical text; an object that isn't given is JSON's null, which differs from an empty one."""
    return "null" if value is None else canonical(value)


def _properties(value: dict[str, Any] | None) -> str:
    for name, item in (value or {}).items():
        if isinstance(item, dict | list):
            raise WrongTogether(f"custom_properties.{name}", "must be text, a number, true, false or null")
    return _free(value)


def _lead(d: t.Lead) -> Row:
    return (
        d.email, d.name, d.company, d.title, d.phone, d.status or "new", d.source or "import", d.source_url, d.tags, d.assigned_to,
        _properties(d.custom_properties), d.last_intent, _optional(d.first_seen_at), _optional(d.last_activity_at), instant(d.created_at),
        _optional(d.updated_at),
    )  # fmt: skip


def _contact(d: t.Contact) -> Row:
    attributes = [{k: v for k, v in msgspec.structs.asdict(a).items() if v is not None} for a in d.attributes or ()]
    return (
        d.medium, d.primary_identifier, d.secondary_identifier, d.name, d.email, d.mobile_number, d.member_id, d.lead_id, _free(d.profile),
        canonical(attributes), instant(d.created_at), _optional(d.updated_at),
    )  # fmt: skip


def _channel(d: t.Channel) -> Row:
    return (d.medium, d.name, d.display_name)


def _agent(d: t.Agent) -> Row:
    return (
        d.name, d.email, d.reference, d.team_id, d.channel_id, d.account_id, d.username, d.mobile_number, d.role, bool(d.removed),
        _optional(d.created_at), d.default_group_watch, d.default_direct_chat_watch, d.default_user_chat_watch, d.operator,
        d.operator_email_reminder,
    )  # fmt: skip


def _team(d: t.Team) -> Row:
    return (d.name,)


def _bot(d: t.Bot) -> Row:
    return (d.name, d.kind, d.channel_id, _optional(d.created_at))


def _topic(d: t.Topic) -> Row:
    return (d.name,)


def _tag(d: t.Tag) -> Row:
    return (d.name, d.description, d.channel_id, d.follower_ids, _optional(d.created_at))


def _campaign(d: t.Campaign) -> Row:
    return (d.type, d.name, _optional(d.created_at))


def _conversation(d: t.Conversation) -> Row:
    bot = d.support_bot
    csat = d.csat
    return (
        d.channel_id, d.contact_id, d.lead_id, d.visitor_id, d.description, d.status or "new", d.language, d.url, instant(d.created_at),
        _optional(d.ended_at), _optional(d.updated_at), d.assignee_id, d.follower_ids, d.campaign_id,
        *((bot.id, bot.revision_id, bot.section_path) if bot else (None, None, None)),
        d.qualification_triggered, d.meeting_booked, d.engagement_score,
        *((csat.score, csat.completed_status, csat.question, csat.answer) if csat else (None, None, None, None)),
        _free(d.metadata), _free(d.parameters),
    )  # fmt: skip


def _message(d: t.Message) -> Row:
    sender = d.sender
    kind, sender_id, name = (sender.kind, sender.id, sender.name) if sender else (None, None, None)
    return (
        d.conversation_id, instant(d.created_at), kind, sender_id, name, d.content, d.message_type, d.origin, d.outbound_message_type,
        d.post_url, _optional(d.updated_at), _optional(d.deleted_at),
    )  # fmt: skip


def _event(d: t.Event) -> Row:
    actor = d.actor
    model = t.EVENT_KINDS.get(d.kind)
    looked_for: tuple[str | None, ...] = (None, None, None, None)
    if model is not None:
        told = msgspec.convert(d.data or {}, model)
        looked_for = tuple([getattr(told, name, None) for name in ("topic_id", "tag_id", "message_id", "to")])
    kind, actor_id = (actor.kind, actor.id) if actor else (None, None)
    return (d.conversation_id, instant(d.at), d.kind, kind, actor_id, d.team_id, _free(d.data), *looked_for)


def _interval(from_: str, to: str | None) -> tuple[datetime, datetime | None]:
    start, end = instant(from_), _optional(to)
    if end is not None and end < start:
        raise WrongTogether("to", "lies before 'from'")
    return start, end


def _lock(d: t.Lock) -> Row:
    return (d.conversation_id, d.agent_id, d.team_id, *_interval(d.from_, d.to))


def _presence(d: t.Presence) -> Row:
    return (d.agent_id, d.type, d.away_state, *_interval(d.from_, d.to))


def _visit(d: t.Visit) -> Row:
    return (d.visitor_id, instant(d.at), d.url)


@dataclass(frozen=True)
class RecordType:
    """One of the fifteen: its table in the schema `ingest`, its columns, and how its data becomes them."""

    name: str
    table: str
    data: type[t.Data]
    row: Callable[[Any], Row]
    columns: tuple[str, ...]
    parts: tuple[str, ...] = ()  # fields of `data` that hold an object with given fields
    free: tuple[str, ...] = ()  # fields of `data` that hold a free object, or a list of objects
    can_be_erased: bool = False

    @property
    def instants(self) -> dict[str, str]:
        """Python attribute → field name of every timestamp."""
        hints = get_type_hints(self.data, include_extras=True)
        return {
            f.name: f.encode_name for f in msgspec.structs.fields(self.data) if hints[f.name] in (t.Instant, t.Instant | None)
        }  # fmt: skip


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


RECORD_TYPES = {
    r.name: r
    for r in (
        RecordType("lead", "leads", t.Lead, _lead, _names(
            "email name company title phone status source source_url tags assigned_to custom_properties last_intent first_seen_at"
            " last_activity_at created_at updated_at"), free=("custom_properties",), can_be_erased=True),
        RecordType("contact", "contacts", t.Contact, _contact, _names(
            "medium primary_identifier secondary_identifier name email mobile_number member_id lead_id profile attributes created_at"
            " updated_at"), free=("profile", "attributes"), can_be_erased=True),
        RecordType("channel", "channels", t.Channel, _channel, _names("medium name display_name")),
        RecordType("agent", "agents", t.Agent, _agent, _names(
            "name email reference team_id channel_id account_id username mobile_number role removed created_at default_group_watch"
            " default_direct_chat_watch default_user_chat_watch operator operator_email_reminder")),
        RecordType("team", "teams", t.Team, _team, _names("name")),
        RecordType("bot", "bots", t.Bot, _bot, _names("name kind channel_id created_at")),
        RecordType("topic", "topics", t.Topic, _topic, _names("name")),
        RecordType("tag", "tags", t.Tag, _tag, _names("name description channel_id follower_ids created_at")),
        RecordType("campaign", "campaigns", t.Campaign, _campaign, _names("type name created_at")),
        RecordType("conversation", "conversations", t.Conversation, _conversation, _names(
            "channel_id contact_id lead_id visitor_id description status language url created_at ended_at updated_at assignee_id"
            " follower_ids campaign_id support_bot_id support_bot_revision_id support_bot_section_path qualification_triggered"
            " meeting_booked engagement_score csat_score csat_completed_status csat_question csat_answer metadata parameters"),
            parts=("support_bot", "csat"), free=("metadata", "parameters")),
        RecordType("message", "messages", t.Message, _message, _names(
            "conversation_id created_at sender_kind sender_id sender_name content message_type origin outbound_message_type post_url"
            " updated_at deleted_at"), parts=("sender",)),
        RecordType("event", "events", t.Event, _event, _names(
            "conversation_id at kind actor_kind actor_id team_id data topic_id tag_id message_id to_status"),
            parts=("actor",), free=("data",)),
        RecordType("lock", "locks", t.Lock, _lock, _names("conversation_id agent_id team_id from to")),
        RecordType("presence", "presences", t.Presence, _presence, _names("agent_id type away_state from to")),
        RecordType("visit", "visits", t.Visit, _visit, _names("visitor_id at url")),
    )
}  # fmt: skip
