"""The fifteen record types as the contract gives them. An optional field that is left out or null takes its default.

A timestamp is text here (`Instant`) and becomes an instant in rows.py; a free object is a dict whose inside free.py checks.
"""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, defstruct

ID_CODE_POINTS_MAX = 128
LIST_ENTRIES_MAX = 1000
TEXT_BYTES_MAX = 256 * 1024
RECORD_BYTES_MAX = 1 << 20
WHOLE_NUMBER_MAX = 2**53

Instant = Annotated[str, Meta(description="RFC 3339 with an offset")]
Reference = Annotated[str, Meta(max_length=ID_CODE_POINTS_MAX)]  # another record's id
Texts = Annotated[list[str], Meta(max_length=LIST_ENTRIES_MAX)]
Free = dict[str, Any]
Watch = Literal["all", "info", "none"]
Status = Literal["new", "pending", "resolved"]
HandoverReason = Literal[
    "MANUALLY_BY_USER", "USER_DELETED", "USER_OFFLINE", "CHANNEL_DELETE", "CHANNEL_ACCESS_REVOKED", "CONVERSATION_RESOLVED",
    "VA_ENCOUNTERED_ERROR", "GDPR_INVOKED",
]  # fmt: skip


class Part(Struct, forbid_unknown_fields=True, gc=False):
    """An object inside `data` whose fields are given."""


class Data(Struct, forbid_unknown_fields=True, gc=False):
    """What `data` holds; a field that isn't named is refused."""


class Lead(Data):
    email: str
    created_at: Instant
    name: str | None = None
    company: str | None = None
    title: str | None = None
    phone: str | None = None
    status: Literal["new", "qualified", "contacted", "converted", "lost"] | None = None
    source: Literal["chat", "api", "import", "form"] | None = None
    source_url: str | None = None
    tags: Texts | None = None
    assigned_to: str | None = None
    custom_properties: Free | None = None  # values: text, number, boolean, null
    last_intent: str | None = None
    first_seen_at: Instant | None = None
    last_activity_at: Instant | None = None
    updated_at: Instant | None = None


class Attribute(Part):
    id: str
    name: str
    value: str | None = None
    type: Literal["Freeform", "Dropdown"] | None = None


class Contact(Data):
    created_at: Instant
    medium: str | None = None
    primary_identifier: str | None = None
    secondary_identifier: str | None = None
    name: str | None = None
    email: str | None = None
    mobile_number: str | None = None
    member_id: str | None = None
    lead_id: Reference | None = None
    profile: Free | None = None
    attributes: Annotated[list[Attribute], Meta(max_length=LIST_ENTRIES_MAX)] | None = None
    updated_at: Instant | None = None


class Channel(Data):
    medium: str
    name: str
    display_name: str | None = None


class Agent(Data):
    name: str
    email: str | None = None
    reference: str | None = None
    team_id: str | None = None
    channel_id: str | None = None
    account_id: str | None = None
    username: str | None = None
    mobile_number: str | None = None
    role: Literal["owner", "member"] | None = None
    removed: bool | None = None
    created_at: Instant | None = None
    default_group_watch: Watch | None = None
    default_direct_chat_watch: Watch | None = None
    default_user_chat_watch: Watch | None = None
    operator: bool | None = None
    operator_email_reminder: bool | None = None


class Team(Data):
    name: str


class Bot(Data):
    name: str
    kind: Literal["virtual_agent", "support_bot", "channel_bot"]
    channel_id: str | None = None
    created_at: Instant | None = None


class Topic(Data):
    name: str


class Tag(Data):
    name: str
    description: str | None = None
    channel_id: str | None = None
    follower_ids: Texts | None = None
    created_at: Instant | None = None


class Campaign(Data):
    type: Literal["oneTimeMsg", "campaign"]
    name: str | None = None
    created_at: Instant | None = None


class SupportBot(Part):
    id: str
    revision_id: str | None = None
    section_path: str | None = None


class Csat(Part):
    score: Annotated[int, Meta(ge=1, le=5)] | None = None
    completed_status: str | None = None
    question: str | None = None
    answer: str | None = None


class Conversation(Data):
    created_at: Instant
    channel_id: str | None = None
    contact_id: str | None = None
    lead_id: Reference | None = None
    visitor_id: str | None = None
    description: str | None = None
    status: Status | None = None
    language: str | None = None
    url: str | None = None
    ended_at: Instant | None = None
    updated_at: Instant | None = None
    assignee_id: str | None = None
    follower_ids: Texts | None = None
    campaign_id: str | None = None
    support_bot: SupportBot | None = None
    qualification_triggered: bool | None = None
    meeting_booked: bool | None = None
    engagement_score: Annotated[float, Meta(ge=0, le=100)] | None = None
    csat: Csat | None = None
    metadata: Free | None = None
    parameters: Free | None = None


class Sender(Part):
    kind: Literal["visitor", "agent", "ai", "bot", "system"]
    id: str | None = None
    name: str | None = None


class Message(Data):
    conversation_id: Reference
    created_at: Instant
    sender: Sender | None = None
    content: str | None = None
    message_type: str | None = None
    origin: str | None = None
    outbound_message_type: Literal["Reply", "Proactive"] | None = None
    post_url: str | None = None
    updated_at: Instant | None = None
    deleted_at: Instant | None = None


class Actor(Part):
    kind: Literal["visitor", "agent", "ai", "bot", "system", "automation", "bulk"]
    id: str | None = None


class Event(Data):
    conversation_id: Reference
    at: Instant
    kind: str
    actor: Actor | None = None
    team_id: str | None = None
    data: Free | None = None


class Lock(Data, rename={"from_": "from"}):
    conversation_id: Reference
    agent_id: str
    from_: Instant
    team_id: str | None = None
    to: Instant | None = None


class Presence(Data, rename={"from_": "from"}):
    agent_id: str
    type: Literal["Available", "Away"]
    from_: Instant
    away_state: str | None = None
    to: Instant | None = None


class Visit(Data):
    visitor_id: str
    at: Instant
    url: str | None = None


class Envelope(Struct, forbid_unknown_fields=True, gc=False):
    """One record. `envelope_of` adds the field `data`: the whole entity for an upsert, missing for a delete or an erasure."""

    type: str
    id: str
    op: Literal["upsert", "delete", "erase"] | None = None
    version: Annotated[int, Meta(ge=0, le=WHOLE_NUMBER_MAX)] | None = None
    org_id: str | None = None


def envelope_of(data: type[Data]) -> Any:
    """The class of the envelopes whose `data` is of this class."""
    return defstruct(f"{data.__name__}Envelope", [("data", data | None, None)], bases=(Envelope,), forbid_unknown_fields=True, gc=False)


class _Tagged(Struct, forbid_unknown_fields=True, tag_field="type", gc=False):
    """An envelope whose `type` says which class it is read as, so that bytes become columns without a dict between."""

    id: str
    op: Literal["upsert", "delete", "erase"] | None = None
    version: Annotated[int, Meta(ge=0, le=WHOLE_NUMBER_MAX)] | None = None
    org_id: str | None = None


def tagged_envelope_of(name: str, data: type[Data]) -> Any:
    """The class of the envelopes of one type, told by their tag."""
    return defstruct(
        f"Tagged{data.__name__}",
        [("data", data | None, None)],
        bases=(_Tagged,),
        forbid_unknown_fields=True,
        tag_field="type",
        tag=name,
        gc=False,
    )


# ---- what an event's data must hold by its kind; more keys are allowed, and other kinds are free


class Queued(Struct):
    started_by: Literal["NEW_CONVERSATION", "VA_HANDED_OVER_CONVERSATION", "VA_REASSIGNED_CONVERSATION_TO_HUMAN_AGENT", "INBOUND_MESSAGE"]
    handover_reason: HandoverReason | None = None
    message_id: str | None = None


class StatusChanged(Struct):
    to: Status
    reason: str | None = None
    comment: str | None = None
    trigger: Literal["Human Agent", "Virtual Agent", "Automation", "Auto Resolve"] | None = None


class Handover(Struct):
    reason: HandoverReason | None = None


class TopicChange(Struct):
    topic_id: str


class TagChange(Struct):
    tag_id: str
    message_id: str | None = None


class QualificationCheck(Struct):
    result: str | None = None
    score: float | None = None


EventData = Queued | StatusChanged | Handover | TopicChange | TagChange | QualificationCheck
EVENT_KINDS: dict[str, type[EventData]] = {
    "queued": Queued, "status_changed": StatusChanged, "handover": Handover, "topic_applied": TopicChange, "topic_removed": TopicChange,
    "tag_applied": TagChange, "tag_removed": TagChange, "qualification_check": QualificationCheck,
}  # fmt: skip
