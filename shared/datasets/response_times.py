"""response-times: one row a response of an agent, by the message that it ends with."""

from collections.abc import Mapping
from typing import ClassVar

from shared.datasets import care, rules
from shared.datasets.care import column
from shared.datasets.entities import Entities
from shared.datasets.plan import ColumnType, Dimension, PlanSpec
from shared.datasets.sql import lookup, there

COLUMNS = [
    column("Conversation ID", "The conversation's id"),
    column("Medium", "Medium of the channel", "channel.medium"),
    column("Sender Channel", "Name of the channel", "channel.name"),
    column("Sender Channel Display Name", "Display name of the channel", "channel.display_name"),
    column("Contact Profile ID", "The contact's id", "fact.contact_id"),
    column("Started By", "What opened the wait"),
    column("Handover Reason", "Why it was handed over"),
    column("From", "When the wait was opened", "fact.since", ColumnType.timestamp),
    column("To", "When the agent's message was created", "fact.until", ColumnType.timestamp),
    column("Agent Response Time (s)", "From then to then", kind=ColumnType.int64),
    column("Replying Agent ID", "The agent's id", "agent.id"),
    column("Replying Agent Name", "The agent's name", "agent.name", personal=True),
    column("Replying Agent Reference", "The agent's reference", "agent.reference"),
    column("Inbound Message ID", "The message that waited"),
    column("Outbound Message ID", "The agent's message", "fact.id"),
    column("Conversation URL", "Address of the conversation"),
]


class ResponseTimes(Entities):
    """Its rows are the agents' messages `m` that close a wait, which the event `q` opened after the agents' message before, `pm`."""

    name = "response-times"
    path = "response-times"
    description = "How long contacts waited for agents' messages."
    fixed_columns = COLUMNS
    filter_model = care.ChannelFilter
    table, alias = "messages", "m"
    fields: ClassVar[Mapping[str, str]] = {
        "id": "m.id", "conversation_id": "m.conversation_id", "channel_id": "c.channel_id", "contact_id": "c.contact_id",
        "started_by": "q.data::json ->> 'started_by'", "handover_reason": "q.data::json ->> 'handover_reason'",
        "since": "q.at", "until": "m.created_at", "agent_response_time_s": rules.seconds("m.created_at - q.at"), "agent_id": "m.sender_id",
        "inbound_message_id": "coalesce(q.message_id, im.id)", "conversation_url": "c.url",
    }  # fmt: skip

    def scope(self, snapshot: str) -> list[str]:
        # By what only the row itself says PostgreSQL goes along the time, in order; an index that says all the rest tempts it to read and sort every message for a page.
        return ["m.sender_kind = 'agent'", "q.id is not null", "m.added > '0'::xid8"]

    def joins(self, snapshot: str) -> dict[str, str]:
        """A queued event opens a wait unless one is open: the first one since the agents' message before."""
        before = "pm.conversation_id = m.conversation_id and pm.sender_kind = 'agent' and (pm.created_at, pm.id) < (m.created_at, m.id)"
        opening = "q.conversation_id = m.conversation_id and q.kind = 'queued' and (q.at, q.id) < (m.created_at, m.id)"
        # The time alone first: it is what the index can begin at. By CASE, because row-level security lets no index be asked with COALESCE, which may leak for all it knows.
        since = "q.at >= case when pm.id is null then '-infinity' else pm.created_at end and (pm.id is null or (q.at, q.id) >= (pm.created_at, pm.id))"
        waiting = f"im.conversation_id = m.conversation_id and {rules.inbound('im')} and im.created_at <= q.at"

        def one(table: str, alias: str, condition: str, order: str) -> str:
            return f"left join lateral (select * from {there(table, alias, condition, snapshot)} order by {order} limit 1) {alias} on true"

        return {
            "pm": one("messages", "pm", before, "pm.created_at desc, pm.id desc"),
            "q": one("events", "q", f"{opening} and {since}", "q.at, q.id"),
            "im": one("messages", "im", waiting, "im.created_at desc, im.id desc"),
            "c": lookup("conversations", "c", "m.conversation_id", snapshot),
        }

    def conditions(self, spec: PlanSpec, snapshot: str) -> list[str]:
        return care.on_channels(spec, "m.conversation_id", snapshot)

    def dimensions(self, spec: PlanSpec, snapshot: str) -> tuple[Dimension, ...]:
        return care.channel("channel_id", snapshot), care.agent("agent", "agent_id", snapshot)


DATASET = ResponseTimes()
