"""virtual-agents: one row a virtual agent and channel, with what it did inside the range."""

from shared.datasets import care, rules
from shared.datasets.care import column
from shared.datasets.groups import Groups, joined
from shared.datasets.plan import ColumnType, PlanSpec
from shared.datasets.sql import found, lookup

_WHOLE = ColumnType.int64
COLUMNS = [
    column("Agent ID", "The virtual agent's id"),
    column("Agent Name", "The virtual agent's name"),
    *care.CHANNEL,
    column("Total Conversations", "Conversations with a message by it", kind=_WHOLE),
    column("Handover to Agent", "Conversations that it handed over", kind=_WHOLE),
    column("Handover due to error", "Of these, because it met an error", kind=_WHOLE),
    column("Resolved", "Conversations that it resolved", kind=_WHOLE),
    column("Total Conversations with Topic", "How often it applied a topic", kind=_WHOLE),
    column("Total Messages Tagged", "Messages that it tagged", kind=_WHOLE),
    column("Total Tags Applied", "How often it applied a tag", kind=_WHOLE),
]


class VirtualAgents(Groups):
    name = "virtual-agents"
    path = "virtual-agent"
    description = "What virtual agents did, by channel."
    fixed_columns = COLUMNS
    filter_model = care.ChannelFilter

    def groups(self, spec: PlanSpec, snapshot: str) -> str:
        error = "e.kind = 'handover' and e.data::json ->> 'reason' = 'VA_ENCOUNTERED_ERROR'"
        did = f"e.kind in ('handover', 'topic_applied', 'tag_applied') or {rules.is_resolve('e')}"
        messages = f"""
            select m.sender_id as bot, m.conversation_id, 'message' as what, null::text as message_id, false as error
            from ingest.messages m where m.sender_kind = 'ai' and m.sender_id is not null and {care.during("m", "created_at", spec, snapshot, "messages")}"""
        events = f"""
            select e.actor_id, e.conversation_id, e.kind, e.message_id, {error}
            from ingest.events e where e.actor_kind = 'ai' and e.actor_id is not null and ({did}) and {care.during("e", "at", spec, snapshot, "events")}"""
        # Once for each conversation first, so that few are looked up.
        by_conversation = f"""
            select bot, conversation_id, what, message_id, error, count(*) as times
            from ({messages} union all {events}) done group by bot, conversation_id, what, message_id, error"""

        def conversations(what: str) -> str:
            return f"count(distinct d.conversation_id) filter (where {what})"

        by_channel = f"""
            select d.bot, c.channel_id, {conversations("d.what = 'message'")} as sent, {conversations("d.what = 'handover'")} as handed,
                   {conversations("d.error")} as error, {conversations("d.what = 'status_changed'")} as resolved,
                   coalesce(sum(d.times) filter (where d.what = 'topic_applied'), 0)::bigint as topics,
                   coalesce(sum(d.times) filter (where d.what = 'tag_applied'), 0)::bigint as tags,
                   count(distinct d.message_id) filter (where d.what = 'tag_applied') as tagged
            from ({by_conversation}) d {lookup("conversations", "c", "d.conversation_id", snapshot)}
            where {" and ".join(["true", *care.on_channels(spec, "d.conversation_id", snapshot)])} group by d.bot, c.channel_id"""
        return f"""
            select {joined("b.id", "d.channel_id")} as key, b.id as agent_id, b.name as agent_name, {care.CHANNEL_FIELDS},
                   d.sent as total_conversations, d.handed as handover_to_agent, d.error as handover_due_to_error, d.resolved,
                   d.topics as total_conversations_with_topic, d.tagged as total_messages_tagged, d.tags as total_tags_applied
            from ({by_channel}) d join {found("bots", "b", "b.id = d.bot and b.kind = 'virtual_agent'", snapshot)}
            {lookup("channels", "ch", "d.channel_id", snapshot)}"""


DATASET = VirtualAgents()
