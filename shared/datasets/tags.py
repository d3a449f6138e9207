"""tags: one row a tag and channel where it was applied to a message inside the range."""

from shared.datasets import care
from shared.datasets.care import column
from shared.datasets.groups import Groups, joined
from shared.datasets.plan import ColumnType, PlanSpec
from shared.datasets.sql import lookup, there

COLUMNS = [
    column("Tag ID", "The tag's id"),
    column("Tag Name", "The tag's name"),
    column("Total Contacts", "Contacts whose messages it was applied to", kind=ColumnType.int64),
    column("Total Messages", "Messages that it was applied to", kind=ColumnType.int64),
    column("Total Current Messages", "Of these, how many hold it", kind=ColumnType.int64),
    *care.CHANNEL,
]


class Tags(Groups):
    name = "tags"
    path = "tag"
    description = "How often tags were applied to messages, by channel."
    fixed_columns = COLUMNS
    filter_model = care.ChannelFilter

    def groups(self, spec: PlanSpec, snapshot: str) -> str:
        conditions = " and ".join(
            [care.during("e", "at", spec, snapshot, "events"), *care.on_channels(spec, "e.conversation_id", snapshot)]
        )
        applied = f"""
            select distinct e.tag_id, e.message_id, e.conversation_id from ingest.events e
            where e.kind = 'tag_applied' and e.tag_id is not null and e.message_id is not null and {conditions}"""
        same = "l.conversation_id = a.conversation_id and l.tag_id = a.tag_id and l.message_id = a.message_id and l.kind in ('tag_applied', 'tag_removed')"
        last = f"(select l.kind from {there('events', 'l', same, snapshot)} order by l.at desc, l.id desc limit 1)"
        by_channel = f"""
            select a.tag_id, c.channel_id, count(distinct c.contact_id) as contacts, count(distinct a.message_id) as total,
                   count(distinct a.message_id) filter (where {last} = 'tag_applied') as held
            from ({applied}) a {lookup("conversations", "c", "a.conversation_id", snapshot)} group by a.tag_id, c.channel_id"""
        return f"""
            select {joined("g.tag_id", "g.channel_id")} as key, g.tag_id, t.name as tag_name, g.contacts as total_contacts,
                   g.total as total_messages, g.held as total_current_messages, {care.CHANNEL_FIELDS}
            from ({by_channel}) g {lookup("tags", "t", "g.tag_id", snapshot)} {lookup("channels", "ch", "g.channel_id", snapshot)}"""


DATASET = Tags()
