"""contact-attributes: one row an attribute of a contact who sent a message inside the range."""

from shared.datasets import care
from shared.datasets.care import column
from shared.datasets.groups import Groups
from shared.datasets.plan import PlanSpec
from shared.datasets.sql import found, lookup

COLUMNS = [
    column("Contact Profile ID", "The contact's id"),
    column("Contact Primary Identifier", "The contact's primary identifier", personal=True),
    column("Contact Secondary Identifier", "The contact's secondary identifier", personal=True),
    column("Attribute ID", "The attribute's id"),
    column("Attribute Name", "The attribute's name"),
    column("Attribute Value", "Its value for the contact", personal=True),
    column("Attribute Type", "Freeform or Dropdown"),
]


class ContactAttributes(Groups):
    name = "contact-attributes"
    path = "contact-attributes"
    description = "Attributes of contacts who sent a message in a range."
    fixed_columns = COLUMNS
    filter_model = care.ChannelFilter

    def groups(self, spec: PlanSpec, snapshot: str) -> str:
        sent = " and ".join(["m.sender_kind = 'visitor'", care.during("m", "created_at", spec, snapshot, "messages")])
        conversations = f"select distinct m.conversation_id from ingest.messages m where {sent}"
        conditions = " and ".join(["true", *care.on_channels(spec, "m.conversation_id", snapshot)])
        contacts = f"""
            select distinct c.contact_id from ({conversations}) m {lookup("conversations", "c", "m.conversation_id", snapshot)} where {conditions}"""
        # A place in a list has four digits: it may have 1,000 entries (records.yaml).
        return f"""
            select (ct.id || E'\\x01' || to_char(a.place, 'FM0000')) collate "C" as key, ct.id as contact_profile_id,
                   ct.primary_identifier as contact_primary_identifier, ct.secondary_identifier as contact_secondary_identifier,
                   a.value ->> 'id' as attribute_id, a.value ->> 'name' as attribute_name, a.value ->> 'value' as attribute_value,
                   a.value ->> 'type' as attribute_type
            from ({contacts}) g join {found("contacts", "ct", "ct.id = g.contact_id", snapshot)}
            cross join lateral json_array_elements(case when ct.attributes = 'null' then '[]' else ct.attributes end::json)
                with ordinality a(value, place)"""


DATASET = ContactAttributes()
