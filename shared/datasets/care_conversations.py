"""What resolved-conversations and open-conversations have in common: a conversation with its figures."""

from collections.abc import Mapping
from typing import ClassVar

from shared.datasets import care, rules
from shared.datasets.care import column
from shared.datasets.changes import Changes
from shared.datasets.entities import Entities
from shared.datasets.plan import Column, ColumnType, Dimension, PlanSpec
from shared.datasets.sql import lookup

_TIME, _WHOLE, _TEXTS = ColumnType.timestamp, ColumnType.int64, ColumnType.texts

IDENTITY = [
    column("Conversation ID", "The conversation's id", "fact.id"),
    column("Medium", "Medium of the channel", "channel.medium"),
    column("Channel", "Name of the channel", "channel.name"),
    column("Channel Display Name", "Display name of the channel", "channel.display_name"),
    column("Contact Profile ID", "The contact's id", "contact.id"),
    column("Contact Primary identifier", "The contact's primary identifier", "contact.primary_identifier", personal=True),
    column("Contact Secondary identifier", "The contact's secondary identifier", "contact.secondary_identifier", personal=True),
    column("Created at (Date / Time)", "When the conversation was created", "fact.created_at", _TIME),
    column("Last Status Change Agent ID", "Who last made it pending or resolved, where that was an agent", "changer.id"),
    column("Last Status Change Agent Name", "Name of that agent", "changer.name", personal=True),
    column("Last Status Change Agent Reference", "Reference of that agent", "changer.reference"),
    column("Last Status Change Team ID", "The team in which that was done", "team.id"),
    column("Last Status Change Team Name", "Name of that team", "team.name"),
    column("Current Status", "New, Pending or Resolved", "fact.status", plain=True),
    column("Resolved By", "Agent, Virtual Agent, Bulk Resolve or System: who resolved it first", "fact.resolved_by"),
]
RESOLVED_AT = column("Resolved At (Date / Time)", "When it was resolved first", "fact.resolved_at", _TIME)
FIGURES = [
    column("Number of Inbound Messages", "Messages of the contact", "fact.inbound", _WHOLE),
    column("Number of Outbound Messages", "All other messages", "fact.outbound", _WHOLE),
    column("First Response Time (s)", "From the first handover, else the first inbound message, to the first answer", kind=_WHOLE),
    column("Handle Time (s)", "How long agents had it locked and answered", kind=_WHOLE),
    column("No-Reply Time (s)", "How long agents had it locked and resolved it without an answer", kind=_WHOLE),
    column("Cherry-Picking Time (s)", "How long agents had it locked and did neither", kind=_WHOLE),
    column("Resolution Time (s)", "From the first inbound message to the first resolve", kind=_WHOLE),
    column("Topic IDs", "Topics that it holds", "fact.topic_ids", _TEXTS),
    column("Topic Names", "Names of these topics, side by side", "fact.topic_names", _TEXTS),
    column("Conversation URL", "Address of the conversation", "fact.url"),
    column("Last Updated", "When the conversation was last updated", "fact.updated_at", _TIME),
    column("Language", "Language of the conversation", "fact.language"),
]


def resolver(prefix: str) -> list[Column]:
    """The columns of the agent who resolved it first."""
    return [
        column(f"{prefix} Agent ID", "Who resolved it first, where that was an agent", "resolver.id"),
        column(f"{prefix} Agent Name", "Name of that agent", "resolver.name", personal=True),
        column("Resolved Agent Reference", "Reference of that agent", "resolver.reference"),
    ]


class CareConversations(Entities):
    """Its facts name the conversation `c`, its first resolve `fr`, its last status change `ls`."""

    filter_model = care.ChannelFilter
    conversation: ClassVar[str] = "c.id"
    fields: ClassVar[Mapping[str, str]] = {
        "id": "c.id", "channel_id": "c.channel_id", "contact_id": "c.contact_id", "created_at": "c.created_at",
        "changer_id": "case when ls.actor_kind = 'agent' then ls.actor_id end", "team_id": "coalesce(ls.team_id, la.team_id)",
        "status": "initcap(c.status)",
        "resolved_by": """case fr.actor_kind when 'agent' then 'Agent' when 'ai' then 'Virtual Agent' when 'bulk' then 'Bulk Resolve'
            else case when fr.id is not null then 'System' end end""",
        "resolved_at": "fr.at", "resolver_id": "case when fr.actor_kind = 'agent' then fr.actor_id end",
        "inbound": "mc.inbound", "outbound": "mc.outbound",
        "first_response_time_s": rules.seconds("re.created_at - coalesce(ho.at, fi.created_at)"),
        "handle_time_s": "lt.handle_time_s", "no_reply_time_s": "lt.no_reply_time_s", "cherry_picking_time_s": "lt.cherry_picking_time_s",
        "resolution_time_s": f"case when fr.at >= fi.created_at then {rules.seconds('fr.at - fi.created_at')} end",
        "topic_ids": "coalesce(ht.ids, '{}')", "topic_names": "coalesce(ht.names, '{}')", "url": "c.url", "updated_at": "c.updated_at", "language": "c.language",
    }  # fmt: skip

    entity, id_key = "conversations", "conversation_id"

    def touched(self, changes: Changes) -> Mapping[str, str]:
        return {
            "conversations": changes.ids("conversations"), "contacts": changes.of("conversations", "id", "contact_id", changes.ids("contacts")),
            **{table: changes.named(table, "conversation_id") for table in ("messages", "events", "locks")},
        }  # fmt: skip

    def joins(self, snapshot: str) -> dict[str, str]:
        c = self.conversation
        return {
            "ls": rules.last_status_change("ls", c, snapshot),
            "la": lookup("agents", "la", "case when ls.actor_kind = 'agent' then ls.actor_id end", snapshot),
            "mc": rules.message_counts("mc", c, snapshot),
            "fi": rules.first_inbound("fi", c, snapshot),
            "ho": rules.first_handover("ho", c, snapshot),
            "re": rules.first_response("re", c, "ho", "fi", snapshot),
            "lt": rules.lock_times("lt", c, snapshot),
            "ht": rules.held_topics("ht", c, snapshot),
        }

    def dimensions(self, spec: PlanSpec, snapshot: str) -> tuple[Dimension, ...]:
        return (
            care.channel("channel_id", snapshot),
            care.contact("contact_id", snapshot),
            care.agent("changer", "changer_id", snapshot),
            care.team("team_id", snapshot),
            care.agent("resolver", "resolver_id", snapshot),
        )

    def conditions(self, spec: PlanSpec, snapshot: str) -> list[str]:
        return care.on_channels(spec, self.conversation, snapshot)
