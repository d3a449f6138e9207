"""topics: one row a topic and channel where it was applied inside the range."""

from shared.datasets import care
from shared.datasets.care import column
from shared.datasets.groups import Groups, joined
from shared.datasets.plan import ColumnType, PlanSpec
from shared.datasets.sql import lookup, there

COLUMNS = [
    column("Topic ID", "The topic's id"),
    column("Topic Name", "The topic's name"),
    column("Total Conversations", "Conversations to which it was applied", kind=ColumnType.int64),
    column("Total Current Conversations", "Of these, how many hold it", kind=ColumnType.int64),
    *care.CHANNEL,
]


class Topics(Groups):
    name = "topics"
    path = "topic"
    description = "How often topics were applied to conversations, by channel."
    fixed_columns = COLUMNS
    filter_model = care.ChannelFilter

    def groups(self, spec: PlanSpec, snapshot: str) -> str:
        conditions = " and ".join(
            [care.during("e", "at", spec, snapshot, "events"), *care.on_channels(spec, "e.conversation_id", snapshot)]
        )
        applied = f"""
            select distinct e.topic_id, e.conversation_id from ingest.events e
            where e.kind = 'topic_applied' and e.topic_id is not null and {conditions}"""
        same = "l.conversation_id = a.conversation_id and l.topic_id = a.topic_id and l.kind in ('topic_applied', 'topic_removed')"
        last = f"(select l.kind from {there('events', 'l', same, snapshot)} order by l.at desc, l.id desc limit 1)"
        by_channel = f"""
            select a.topic_id, c.channel_id, count(*) as total, count(*) filter (where {last} = 'topic_applied') as held
            from ({applied}) a {lookup("conversations", "c", "a.conversation_id", snapshot)} group by a.topic_id, c.channel_id"""
        return f"""
            select {joined("g.topic_id", "g.channel_id")} as key, g.topic_id, tp.name as topic_name, g.total as total_conversations,
                   g.held as total_current_conversations, {care.CHANNEL_FIELDS}
            from ({by_channel}) g {lookup("topics", "tp", "g.topic_id", snapshot)} {lookup("channels", "ch", "g.channel_id", snapshot)}"""


DATASET = Topics()
