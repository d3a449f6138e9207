"""The words of derivations.md, "chat-data", as PostgreSQL: lateral joins for the conversation `c`, in the manner of rules.py."""

from shared.datasets import operating_hours, rules
from shared.datasets.operating_hours import Hours
from shared.datasets.sql import current

_AGENTS = "{m}.sender_kind = 'agent'"


def milliseconds(interval: str) -> str:
    """An interval as whole milliseconds, which every time is kept to; null stays null."""
    return f"(extract(epoch from {interval}) * 1000)::bigint"


def half_up(total: str, count: str) -> str:
    """The quotient of two whole numbers, rounded half up; null where there is nothing to divide by."""
    return f"(2 * {total} + {count}) / nullif(2 * {count}, 0)"


def first_left(alias: str, snapshot: str) -> str:
    """The first `status_changed` to pending or resolved."""
    condition = f"{alias}.kind = 'status_changed' and {alias}.to_status in ('pending', 'resolved')"
    return rules.first_of("events", alias, "c.id", condition, snapshot, f"{alias}.at, {alias}.id")


def reopened(alias: str, left: str, snapshot: str) -> str:
    """The last `status_changed` to new after the event `left`."""
    condition = f"{alias}.kind = 'status_changed' and {alias}.to_status = 'new' and ({alias}.at, {alias}.id) > ({left}.at, {left}.id)"
    return rules.first_of("events", alias, "c.id", condition, snapshot, f"{alias}.at desc, {alias}.id desc")


def replied(alias: str, opened_at: str, snapshot: str) -> str:
    """The first agent message at or after `opened_at`: times alone are compared."""
    condition = f"{_AGENTS.format(m=alias)} and {alias}.created_at >= {opened_at}"
    return rules.first_of("messages", alias, "c.id", condition, snapshot, f"{alias}.created_at, {alias}.id")


def answered(alias: str, opening: str, snapshot: str) -> str:
    """The first agent message after the message `opening`."""
    condition = f"{_AGENTS.format(m=alias)} and ({alias}.created_at, {alias}.id) > ({opening}.created_at, {opening}.id)"
    return rules.first_of("messages", alias, "c.id", condition, snapshot, f"{alias}.created_at, {alias}.id")


def closed(alias: str, opened_at: str, snapshot: str) -> str:
    """The last resolve at or after `opened_at`, while the conversation is resolved."""
    condition = f"c.status = 'resolved' and {rules.is_resolve(alias)} and {alias}.at >= {opened_at}"
    return rules.first_of("events", alias, "c.id", condition, snapshot, f"{alias}.at desc, {alias}.id desc")


def replies(alias: str, hours: Hours | None, snapshot: str) -> str:
    """`total` (milliseconds) and `count` of replies, and the same of what lies inside operating hours.

    Messages are counted off by the agent messages before them: a reply and what it answers have the same number.
    """
    numbered = f"""select pm.created_at, pm.sender_kind, count(*) filter (where {_AGENTS.format(m="pm")})
            over (order by pm.created_at, pm.id rows between unbounded preceding and 1 preceding) as n
        from ingest.messages pm where pm.conversation_id = c.id and pm.sender_kind in ('visitor', 'agent') and {current("pm", snapshot, "messages")}"""
    spans = f"""select min(p.created_at) filter (where p.sender_kind = 'visitor') as since, max(p.created_at) filter (where p.sender_kind = 'agent') as at
        from ({numbered}) p group by p.n"""
    total, count = f"coalesce(sum({milliseconds('s.at - s.since')}), 0)::bigint", "count(*)"
    if hours is None:
        inside = f"{total} as open_total, {count} as open_count"
        joins = ""
    else:
        inside = "coalesce(sum(oe.open_ms - ob.open_ms), 0)::bigint as open_total, count(*) filter (where oe.is_open) as open_count"
        joins = " ".join(operating_hours.instant(alias, at, "hours", hours) for alias, at in (("ob", "s.since"), ("oe", "s.at")))
    return f"""cross join lateral (select {total} as total, {count} as count, {inside}
        from ({spans} offset 0) s {joins} where s.since is not null and s.at is not null) {alias}"""
