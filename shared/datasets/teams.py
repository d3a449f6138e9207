"""teams: one row a team whose agents wrote inside the range."""

from shared.datasets import care, care_people
from shared.datasets.care import column
from shared.datasets.groups import Groups
from shared.datasets.plan import ColumnType, PlanSpec
from shared.datasets.sql import lookup

_WHOLE = ColumnType.int64
COLUMNS = [
    column("Created At", "The team's first message in the range", kind=ColumnType.timestamp),
    column("Team ID", "The team's id"),
    column("Team Name", "The team's name"),
    column("Resolves With Reply", "Conversations that it resolved after someone had answered", kind=_WHOLE),
    column("Resolves without Reply", "Conversations that it resolved before anyone had answered", kind=_WHOLE),
    column("Avg. First Response Time (s)", "Over conversations that it answered first", kind=_WHOLE),
    column("Avg. Resolution Time (s)", "Over conversations that it resolved", kind=_WHOLE),
    column("Total Handle Time (s)", "How long its agents had conversations locked and answered", kind=_WHOLE),
    column("Total No-Reply Time (s)", "How long they had them locked and resolved them without an answer", kind=_WHOLE),
    column("Total Cherry-Picking Time (s)", "How long they had them locked and did neither", kind=_WHOLE),
    column("Avg. Handle Time (s)", "Handle time by conversation", kind=_WHOLE),
    column("Contacts Helped", "Contacts whom its agents wrote to", kind=_WHOLE),
]


class Teams(Groups):
    name = "teams"
    path = "team"
    description = "What teams did in a range."
    fixed_columns = COLUMNS
    filter_model = care.ChannelFilter

    def keys(self, spec: PlanSpec, snapshot: str) -> str:
        return f"select distinct team_id as key from ({care_people.senders(spec, snapshot)}) s where team_id is not null"

    def groups(self, spec: PlanSpec, snapshot: str) -> str:
        answers = f"""select team_id, {care_people.average("took")} as response_s from ({care_people.responded(spec, snapshot)}) r
            where team_id is not null group by team_id"""
        return f"""
            with {care_people.said(spec, snapshot)}
            select s.team_id as key, s.first as created_at, s.team_id, t.name as team_name, coalesce(r.replied, 0) as resolves_with_reply,
                   coalesce(r.unreplied, 0) as resolves_without_reply, f.response_s as avg_first_response_time_s,
                   r.resolution_s as avg_resolution_time_s, coalesce(l.handle_time_s, 0) as total_handle_time_s,
                   coalesce(l.no_reply_time_s, 0) as total_no_reply_time_s, coalesce(l.cherry_picking_time_s, 0) as total_cherry_picking_time_s,
                   l.handle_average_s as avg_handle_time_s, s.contacts as contacts_helped
            from ({care_people.talk_figures("team_id")}) s
            left join ({care_people.resolve_figures("team_id", spec, snapshot)}) r using (team_id)
            left join ({answers}) f using (team_id) left join ({care_people.lock_figures("team_id", spec, snapshot)}) l using (team_id)
            {lookup("teams", "t", "s.team_id", snapshot)}"""


DATASET = Teams()
