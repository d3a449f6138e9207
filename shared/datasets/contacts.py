"""contacts: one row a contact with a message inside the range."""

from shared.datasets import care, rules
from shared.datasets.care import column
from shared.datasets.groups import Groups
from shared.datasets.plan import ColumnType, PlanSpec
from shared.datasets.sql import given, hashed, lookup, matching

_TIME, _WHOLE = ColumnType.timestamp, ColumnType.int64
COLUMNS = [
    column("Contact Profile ID", "The contact's id"),
    column("Medium", "The contact's medium"),
    column("Primary identifier", "The contact's primary identifier", personal=True),
    column("Secondary identifier", "The contact's secondary identifier", personal=True),
    column("Created At", "The contact's first message in the range", kind=_TIME),
    column("Number of Conversations", "Conversations with a message in the range", kind=_WHOLE),
    column("Number of Inbound Messages", "Messages of the contact in the range", kind=_WHOLE),
    column("Number of Outbound Messages", "All other messages in the range", kind=_WHOLE),
    column("Last Updated", "When the contact was last updated", kind=_TIME),
]


class Contacts(Groups):
    name = "contacts"
    path = "contact"
    description = "Contacts with a message in a range, and how many."
    fixed_columns = COLUMNS
    filter_model = care.ChannelFilter

    entity, id_key = "contacts", "contact_profile_id"

    def groups(self, spec: PlanSpec, snapshot: str) -> str:
        by_conversation = f"""
            select m.conversation_id, count(*) filter (where {rules.inbound("m")}) as inbound, count(*) as messages,
                   min(m.created_at) filter (where {rules.inbound("m")}) as first
            from ingest.messages m where {care.during("m", "created_at", spec, snapshot, "messages")} group by m.conversation_id"""
        by_contact = f"""
            select c.contact_id, count(*) as conversations, sum(m.inbound)::bigint as inbound, sum(m.messages - m.inbound)::bigint as outbound,
                   min(m.first) as first
            from said m {hashed("talk", "c", "m.conversation_id")} where {given("c.contact_id")} group by c.contact_id offset 0"""
        return f"""
            with said as materialized ({by_conversation}),
                 talk as materialized ({_talks("c.id, c.contact_id", "array(select conversation_id from said)", spec, snapshot)})
            select g.contact_id as key, g.contact_id as contact_profile_id, ct.medium, ct.primary_identifier, ct.secondary_identifier,
                   g.first as created_at, g.conversations as number_of_conversations, g.inbound as number_of_inbound_messages,
                   g.outbound as number_of_outbound_messages, ct.updated_at as last_updated
            from ({by_contact}) g {lookup("contacts", "ct", "g.contact_id", snapshot)}"""

    def keys(self, spec: PlanSpec, snapshot: str) -> str:
        said = (
            f"select distinct m.conversation_id from ingest.messages m where {care.during('m', 'created_at', spec, snapshot, 'messages')}"
        )
        return _talks("distinct c.contact_id as key", f"array({said})", spec, snapshot)


def _talks(columns: str, ids: str, spec: PlanSpec, snapshot: str) -> str:
    """PostgreSQL query for `columns` of the conversations among `ids` (text[]) that have a contact and are wanted."""
    conditions = " and ".join(["c.contact_id is not null", *care.on_channels(spec, "c.id", snapshot)])
    return f"{matching('conversations', 'c', columns, ids, snapshot)} and {conditions}"


DATASET = Contacts()
