"""The words of derivations.md, "chat-data", as PostgreSQL: what the messages and events of many chats say, each read once. `chats` is a text[] of their ids; a chat
of which there is nothing to say has no row."""

from shared.datasets import operating_hours
from shared.datasets.operating_hours import Hours
from shared.datasets.sql import among, there


def milliseconds(interval: str) -> str:
    """An interval as whole milliseconds, which every time is kept to; null stays null."""
    return f"(extract(epoch from {interval}) * 1000)::bigint"


def half_up(total: str, count: str) -> str:
    """The quotient of two whole numbers, rounded half up; null where there is nothing to divide by."""
    return f"(2 * {total} + {count}) / nullif(2 * {count}, 0)"


def of(chats: str, table: str, alias: str, condition: str, snapshot: str) -> str:
    """What stands behind FROM for rows of `table` that belong to the chats. Chat by chat, which is how they lie, each page of the index read once."""
    return there(table, alias, f"{alias}.conversation_id = {among(chats)} and {condition}", snapshot)


def moves(chats: str, snapshot: str) -> str:
    """`reopened_at`: the last `status_changed` to new that follows one to pending or resolved. `resolved_at`: the last to resolved."""
    changes = f"""select e.conversation_id, e.at, e.to_status, row_number() over (partition by e.conversation_id order by e.at, e.id) as nth
        from {of(chats, "events", "e", "e.kind = 'status_changed'", snapshot)}"""
    reopened = "max(e.nth) filter (where e.to_status = 'new') > min(e.nth) filter (where e.to_status in ('pending', 'resolved'))"
    return f"""
        select e.conversation_id, case when {reopened} then max(e.at) filter (where e.to_status = 'new') end as reopened_at,
               max(e.at) filter (where e.to_status = 'resolved') as resolved_at
        from ({changes}) e group by e.conversation_id"""


def talk(chats: str, hours: Hours | None, snapshot: str) -> str:
    """`first_at`: the first inbound message. `answered_at`: the first agent message after it. `said`: when agents wrote, in order. `total` (milliseconds) and `replies`: of
    replies, and `open_total` and `open_replies` of what lies inside operating hours.

    Messages are counted off by the agent messages before them: a reply and what it answers have the same number, an exchange, which the reply ends.
    """
    by_agent, by_user = "p.sender_kind = 'agent'", "p.sender_kind = 'visitor'"
    numbered = f"""select m.conversation_id, m.created_at, m.sender_kind, count(*) filter (where m.sender_kind = 'agent')
            over (partition by m.conversation_id order by m.created_at, m.id rows between unbounded preceding and 1 preceding) as exchange
        from {of(chats, "messages", "m", "m.sender_kind in ('visitor', 'agent')", snapshot)}"""
    exchanges = f"""select p.conversation_id, p.exchange, min(p.created_at) filter (where {by_user}) as since, max(p.created_at) filter (where {by_agent}) as at
        from ({numbered}) p group by p.conversation_id, p.exchange"""
    replied, took = "s.since is not null and s.at is not null", f"coalesce(sum({milliseconds('s.at - s.since')}), 0)::bigint"
    joins, open_took, open_replied = "", took, replied
    if hours is not None:
        joins = " ".join(operating_hours.instant(alias, at, "hours", hours) for alias, at in (("ob", "s.since"), ("oe", "s.at")))
        open_took, open_replied = "coalesce(sum(oe.open_ms - ob.open_ms), 0)::bigint", f"{replied} and oe.is_open"
    return f"""
        select s.conversation_id, min(s.since) as first_at, (array_agg(s.at order by s.exchange) filter (where s.since is not null))[1] as answered_at,
               array_agg(s.at order by s.exchange) filter (where s.at is not null) as said, {took} as total, count(*) filter (where {replied}) as replies,
               {open_took} as open_total, count(*) filter (where {open_replied}) as open_replies
        from ({exchanges} offset 0) s {joins} group by s.conversation_id"""


def at_or_after(times: str, at: str) -> str:
    """The first of `times` (timestamptz[], in order) that is not before `at`; null where there is none."""
    return f"({times})[width_bucket({at} - interval '1 microsecond', {times}) + 1]"
