"""messages: one row a message, with what its conversation, its sender and its tags say."""

from collections.abc import Mapping
from typing import ClassVar

from shared.datasets import care, rules
from shared.datasets.care import column
from shared.datasets.changes import Changes
from shared.datasets.entities import Entities
from shared.datasets.plan import ColumnType, Dimension, PlanSpec
from shared.datasets.sql import among, current, lookup, matching, pulled, there

COLUMNS = [
    column("Message ID", "The message's id", "fact.id"),
    column("Created at (Date / Time)", "When the message was created", "fact.created_at", ColumnType.timestamp),
    column("Conversation ID", "The conversation's id", "conversation.id"),
    column("Medium", "Medium of the channel", "conversation.medium"),
    column("Channel", "Name of the channel", "conversation.channel"),
    column("Channel Display Name", "Display name of the channel", "conversation.display_name"),
    column("Contact Profile ID", "The contact's id", "conversation.contact_id"),
    column("Contact Primary Identifier", "The contact's primary identifier", "conversation.primary_identifier", personal=True),
    column("Contact Secondary identifier", "The contact's secondary identifier", "conversation.secondary_identifier", personal=True),
    column("Message Type", "Type as given", "fact.message_type"),
    column("Origin", "Origin as given", "fact.origin"),
    column("Outbound Message Type", "Reply or Proactive", "fact.outbound_message_type"),
    column("Direction", "Inbound or Outbound", "case when fact.inbound then 'Inbound' else 'Outbound' end", plain=True),
    column("Agent ID", "The sending agent's id", "agent.id"),
    column("Agent Name", "The sending agent's name", "agent.name", personal=True),
    column("Agent Reference", "The sending agent's reference", "agent.reference"),
    column("Team ID", "The sending agent's team", "agent.team_id"),
    column("Team Name", "Name of that team", "agent.team"),
    column("Tag IDs", "Tags that the message holds", "held.tag_ids", ColumnType.texts),
    column("Tag Names", "Names of these tags, side by side", "held.tag_names", ColumnType.texts),
    column("Content", "The text", "fact.content", personal=True),
    column("Conversation URL", "Address of the conversation", "conversation.url"),
    column("Post URL", "Address of the post", "fact.post_url"),
    column("Last Updated", "When the message was last updated", "fact.updated_at", ColumnType.timestamp),
    column("Deleted at", "When the message was deleted", "fact.deleted_at", ColumnType.timestamp),
]


class Messages(Entities):
    name = "messages"
    path = "message"
    description = "Messages with their conversation, contact, agent and tags."
    fixed_columns = COLUMNS
    formats = ("csv", "jsonl", "xlsx", "parquet")
    filter_model = care.ChannelFilter
    differs_scheduled = True
    table, alias = "messages", "m"
    row_bytes, wide, blocks = 440, ("content", "post_url", "message_type", "origin", "outbound_message_type"), True
    fields: ClassVar[Mapping[str, str]] = {
        "id": "m.id", "created_at": "m.created_at", "conversation_id": "m.conversation_id",
        "agent_id": "case when m.sender_kind = 'agent' then m.sender_id end", "message_type": "m.message_type", "origin": "m.origin",
        "outbound_message_type": "m.outbound_message_type",
        "inbound": rules.inbound("m"),
        "content": "m.content", "post_url": "m.post_url", "updated_at": "m.updated_at", "deleted_at": "m.deleted_at",
    }  # fmt: skip

    entity, id_key = "messages", "message_id"

    def touched(self, changes: Changes) -> Mapping[str, str]:
        conversations, contacts = changes.ids("conversations"), changes.of("conversations", "id", "contact_id", changes.ids("contacts"))
        return {
            "messages": changes.ids("messages"), "events": changes.named("events", "message_id"),
            "conversations": changes.of("messages", "id", "conversation_id", conversations),
            "contacts": changes.of("messages", "id", "conversation_id", contacts),
        }  # fmt: skip

    def _fields(self, spec: PlanSpec, snapshot: str) -> Mapping[str, str]:
        return {**self.fields, "content": _content_but_twitters(snapshot)} if spec.scheduled else self.fields

    def conditions(self, spec: PlanSpec, snapshot: str) -> list[str]:
        return care.on_channels(spec, "m.conversation_id", snapshot)

    def dimensions(self, spec: PlanSpec, snapshot: str) -> tuple[Dimension, ...]:
        return (
            Dimension(
                "conversation",
                "conversation_id",
                "conversation.id = fact.conversation_id",
                lambda k: _conversations(k, snapshot),
                by="id",
            ),
            care.agent("agent", "agent_id", snapshot),
            Dimension(
                "held", "conversation_id", "held.conversation_id = fact.conversation_id and held.id = fact.id", lambda k: _held(k, snapshot)
            ),
        )


def _content_but_twitters(snapshot: str) -> str:
    """The text, but for the medium Twitter: scheduled exports leave it out there (datasets.yaml). Who has no such channel pays for one look."""
    twitter = "lower(tch.medium) = 'twitter'"
    channels = there("channels", "tch", twitter, snapshot)
    conversation = f"ingest.conversations tc {lookup('channels', 'tch', 'tc.channel_id', snapshot)}"
    of_twitter = (
        f"exists (select from {conversation} where tc.id = m.conversation_id and {current('tc', snapshot, 'conversations')} and {twitter})"
    )
    return f"case when not exists (select from {channels}) then m.content when {of_twitter} then null else m.content end"


def _conversations(keys: str, snapshot: str) -> str:
    """The conversations with what their channel and contact say: one answer of PostgreSQL with rows of three tables, each read once."""
    conversations = matching("conversations", "c", "c.id, c.channel_id, c.contact_id, c.url", keys, snapshot)
    contact = "'contact', ct.id, ct.primary_identifier, ct.secondary_identifier, null"
    channel = "'channel', ch.id, ch.medium, ch.name, ch.display_name"
    query = f"""
        with c as materialized ({conversations})
        select 'conversation' as entity, id, channel_id as a, contact_id as b, url as c from c
        union all {matching("contacts", "ct", contact, "array(select contact_id from c)", snapshot)}
        union all {matching("channels", "ch", channel, "array(select distinct channel_id from c)", snapshot)}"""
    return f"""
        with entities as materialized (from {pulled(query)})
        select k.id, ch.a as medium, ch.b as channel, ch.c as display_name, c.b as contact_id, ct.a as primary_identifier, ct.b as secondary_identifier, c.c as url
        from (select distinct conversation_id as id from fact) k left join (from entities where entity = 'conversation') c on c.id = k.id
        left join (from entities where entity = 'channel') ch on ch.id = c.a left join (from entities where entity = 'contact') ct on ct.id = c.b"""


def _held(keys: str, snapshot: str) -> str:
    """Tags that messages hold: the last event for (message, tag) in order applied it; listed in order of first application, ever.

    Events are numbered in order once, because aggregates with an ORDER BY of their own sort for every group.
    """
    tagging = f"e.conversation_id = {among(keys)} and e.tag_id is not null and e.message_id is not null and e.kind in ('tag_applied', 'tag_removed')"
    events = "e.conversation_id, e.message_id, e.tag_id, e.kind = 'tag_applied' as applied, e.at as since, e.id"
    names = matching("tags", "t", "null, null, t.id, null, null, null, t.name", "array(select distinct tag_id from e)", snapshot)
    query = f"""
        with e as materialized (
            select {events} from {there("events", "e", tagging, snapshot)}
        ) select *, null as name from e union all {names}"""
    numbered = "select conversation_id, message_id, tag_id, applied, row_number() over (order by since, id) as n from found where applied is not null"
    tags = f"""
        select conversation_id, message_id, tag_id, coalesce(any_value(tag.name), '') as name, min(n) filter (where applied) as first, arg_max(applied, n) as holds
        from ({numbered}) e left join (select tag_id as id, name from found where applied is null) tag on tag.id = e.tag_id group by conversation_id, message_id, tag_id"""
    return f"""
        with found as materialized (from {pulled(query)})
        select conversation_id, id, list_transform(tags, lambda t: t.id) as tag_ids, list_transform(tags, lambda t: t.name) as tag_names
        from (select conversation_id, message_id as id, list_sort(list({{first: first, id: tag_id, name: name}})) as tags
              from ({tags}) where holds group by conversation_id, message_id)"""


DATASET = Messages()
