"""users: one row an agent who was active inside the range."""

from shared.datasets import care, care_people, rules
from shared.datasets.care import column
from shared.datasets.groups import Groups
from shared.datasets.plan import ColumnType, PlanSpec
from shared.datasets.sql import lookup, there

_WHOLE = ColumnType.int64
COLUMNS = [
    column("Created At", "The agent's first message in the range", kind=ColumnType.timestamp),
    column("User ID", "The agent's id"),
    column("User Name", "The agent's name", personal=True),
    column("User Email Address", "The agent's e-mail address", personal=True),
    column("User Reference", "The agent's reference"),
    column("Available Time (s)", "How long the agent was available in the range", kind=_WHOLE),
    column("Away Time (s)", "How long the agent was away in the range", kind=_WHOLE),
    column("Contacts Handled", "Contacts whom the agent wrote to", kind=_WHOLE),
    column("Avg. Handle Time (s)", "Handle time by conversation", kind=_WHOLE),
    column("Handle Time (s)", "How long the agent had conversations locked and answered", kind=_WHOLE),
    column("No-Reply Time (s)", "How long the agent had them locked and resolved them without an answer", kind=_WHOLE),
    column("Cherry-Picking Time (s)", "How long the agent had them locked and did neither", kind=_WHOLE),
    column("Replies", "Messages of the agent in the range", kind=_WHOLE),
    column("Resolves With Reply", "Conversations that the agent resolved after someone had answered", kind=_WHOLE),
    column("Resolves No-Reply", "Conversations that the agent resolved before anyone had answered", kind=_WHOLE),
    column("Tags Added", "How often the agent applied a tag", kind=_WHOLE),
]


class Users(Groups):
    name = "users"
    path = "user"
    description = "What agents did in a range."
    fixed_columns = COLUMNS
    filter_model = care.ChannelFilter

    def keys(self, spec: PlanSpec, snapshot: str) -> str:
        acted = [
            care_people.senders(spec, snapshot), care_people.resolved(spec, snapshot), care_people.locked(spec, snapshot),
            care_people.tagged(spec, snapshot), _presence(spec, snapshot),
        ]  # fmt: skip
        ids = " union ".join(f"select agent_id from ({each}) a{i} where agent_id is not null" for i, each in enumerate(acted))
        return f"select agent_id as key from ({ids}) a"

    def groups(self, spec: PlanSpec, snapshot: str) -> str:
        tags = f"select agent_id, count(*) as tags from ({care_people.tagged(spec, snapshot)}) t group by agent_id"
        return f"""
            with {care_people.said(spec, snapshot)}
            select agent_id as key, s.first as created_at, agent_id as user_id, a.name as user_name, a.email as user_email_address,
                   a.reference as user_reference, coalesce(p.available_s, 0) as available_time_s, coalesce(p.away_s, 0) as away_time_s,
                   coalesce(s.contacts, 0) as contacts_handled, l.handle_average_s as avg_handle_time_s,
                   coalesce(l.handle_time_s, 0) as handle_time_s, coalesce(l.no_reply_time_s, 0) as no_reply_time_s,
                   coalesce(l.cherry_picking_time_s, 0) as cherry_picking_time_s, coalesce(s.messages, 0) as replies,
                   coalesce(r.replied, 0) as resolves_with_reply, coalesce(r.unreplied, 0) as resolves_no_reply, coalesce(g.tags, 0) as tags_added
            from ({care_people.talk_figures("agent_id")}) s
            full join ({care_people.resolve_figures("agent_id", spec, snapshot)}) r using (agent_id)
            full join ({care_people.lock_figures("agent_id", spec, snapshot)}) l using (agent_id)
            full join ({tags}) g using (agent_id) full join ({_presence(spec, snapshot)}) p using (agent_id)
            {lookup("agents", "a", "agent_id", snapshot)}"""


def _presence(spec: PlanSpec, snapshot: str) -> str:
    """Presence that overlaps the range, clipped to it; without an end, up to the end of the range. Channels don't touch it."""
    (_, start), (_, end) = care.bounds(spec)
    length = f"""least(coalesce(p."to", {end}), {end}) - greatest(p."from", {start})"""
    sums = ", ".join(
        f"coalesce({rules.seconds(f'''sum({length}) filter (where p.type = '{kind}')''')}, 0) as {name}"
        for kind, name in (("Available", "available_s"), ("Away", "away_s"))
    )
    overlaps = f"""p."from" < {end} and (p."to" is null or p."to" > {start})"""
    return f"select p.agent_id, {sums} from {there('presences', 'p', overlaps, snapshot)} group by p.agent_id"


DATASET = Users()
