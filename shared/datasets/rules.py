"""The words of derivations.md as PostgreSQL: what a conversation's messages, events and locks say, at a snapshot.

Each function gives a lateral join for the conversation whose id is an expression of what stands on its left, found along an index: memory stays flat
whatever the size of an export. Things of one conversation are in order of (time, id), a message before an event.
"""

from shared.datasets.sql import lookup, there

RESOLVE = "{e}.kind = 'status_changed' and {e}.to_status = 'resolved'"


def seconds(interval: str) -> str:
    """An interval as whole seconds, rounded half up; null stays null."""
    return f"floor(extract(epoch from {interval}) + 0.5)::bigint"


def is_resolve(alias: str) -> str:
    """The condition that the event `alias` resolves its conversation."""
    return RESOLVE.format(e=alias)


def inbound(alias: str) -> str:
    """The condition that the message `alias` is inbound."""
    return f"{alias}.sender_kind is not distinct from 'visitor'"


def first_of(table: str, alias: str, conversation: str, condition: str, snapshot: str, order: str) -> str:
    """The first row of `table` in the conversation, by `order`, that fulfils `condition`."""
    rows = there(table, alias, f"{alias}.conversation_id = {conversation} and {condition}", snapshot)
    return f"left join lateral (select * from {rows} order by {order} limit 1) {alias} on true"


def first_inbound(alias: str, conversation: str, snapshot: str) -> str:
    """The first inbound message."""
    return first_of("messages", alias, conversation, f"{alias}.sender_kind = 'visitor'", snapshot, f"{alias}.created_at, {alias}.id")


def first_handover(alias: str, conversation: str, snapshot: str) -> str:
    """The first `handover` event."""
    return first_of("events", alias, conversation, f"{alias}.kind = 'handover'", snapshot, f"{alias}.at, {alias}.id")


def first_handovers(conversations: str, snapshot: str) -> str:
    """The first `handover` event of each of the conversations (text[]) that has one: conversation_id, at, id. One walk along the index."""
    handovers = there("events", "e", f"e.conversation_id = any({conversations}) and e.kind = 'handover'", snapshot)
    return f"select distinct on (e.conversation_id) e.conversation_id, e.at, e.id from {handovers} order by e.conversation_id, e.at, e.id"


def first_response(alias: str, conversation: str, handover: str, opening: str, snapshot: str) -> str:
    """The message that ends the first response: `handover` and `opening` are the aliases of first_handover and first_inbound."""
    after_handover = (
        f"{handover}.id is not null and {alias}.sender_kind = 'agent' and ({alias}.created_at, {alias}.id) > ({handover}.at, {handover}.id)"
    )
    after_inbound = (
        f"{handover}.id is null and not ({inbound(alias)}) and ({alias}.created_at, {alias}.id) > ({opening}.created_at, {opening}.id)"
    )
    # The time alone first: it is what the index can begin at. By CASE: COALESCE may leak for all that row-level security knows, which keeps it from the index.
    since = f"case when {handover}.id is null then {opening}.created_at else {handover}.at end"
    condition = f"{alias}.created_at >= {since} and ({after_handover} or {after_inbound})"
    return first_of("messages", alias, conversation, condition, snapshot, f"{alias}.created_at, {alias}.id")


def first_resolve(alias: str, conversation: str, snapshot: str) -> str:
    """The first `status_changed` to resolved."""
    return first_of("events", alias, conversation, is_resolve(alias), snapshot, f"{alias}.at, {alias}.id")


def last_status_change(alias: str, conversation: str, snapshot: str) -> str:
    """The last `status_changed` to pending or resolved."""
    condition = f"{alias}.kind = 'status_changed' and {alias}.to_status in ('pending', 'resolved')"
    return first_of("events", alias, conversation, condition, snapshot, f"{alias}.at desc, {alias}.id desc")


def is_first_resolve(alias: str, snapshot: str) -> str:
    """The condition that the event `alias` is the first that resolves its conversation."""
    earlier = f"r.conversation_id = {alias}.conversation_id and {is_resolve('r')} and (r.at, r.id) < ({alias}.at, {alias}.id)"
    return f"{is_resolve(alias)} and not exists (select from {there('events', 'r', earlier, snapshot)})"


def outbound_before(alias: str, event: str, snapshot: str) -> str:
    """An outbound message before the event `event`, in order."""
    condition = f"not ({inbound(alias)}) and ({alias}.created_at, {alias}.id) <= ({event}.at, {event}.id)"
    return first_of("messages", alias, f"{event}.conversation_id", condition, snapshot, f"{alias}.created_at, {alias}.id")


def message_counts(alias: str, conversation: str, snapshot: str) -> str:
    """How many messages: inbound, outbound."""
    counts = f"count(*) filter (where {inbound('mc')}) as inbound, count(*) filter (where not ({inbound('mc')})) as outbound"
    return f"""cross join lateral (
        select {counts} from {there("messages", "mc", f"mc.conversation_id = {conversation}", snapshot)}) {alias}"""


def lock_class(alias: str, snapshot: str) -> str:
    """An expression: handle, no-reply or cherry-picking, for the lock `alias`, which has an end."""
    wrote = f"""lm.conversation_id = {alias}.conversation_id and lm.sender_kind = 'agent' and lm.sender_id = {alias}.agent_id
        and lm.created_at between {alias}."from" and {alias}."to\""""
    sent = f"exists (select from {there('messages', 'lm', wrote, snapshot)})"
    resolved = f"""le.conversation_id = {alias}.conversation_id and {is_resolve("le")} and le.actor_kind = 'agent' and le.actor_id = {alias}.agent_id
        and le.at between {alias}."from" and {alias}."to\""""
    return f"case when {sent} then 'handle' when exists (select from {there('events', 'le', resolved, snapshot)}) then 'no-reply' else 'cherry-picking' end"


def lock_sums(relation: str) -> str:
    """Aggregates over `relation` (columns class, length): seconds by class, 0 where none."""
    classes = (("handle", "handle_time_s"), ("no-reply", "no_reply_time_s"), ("cherry-picking", "cherry_picking_time_s"))
    return ", ".join(
        f"coalesce({seconds(f'''sum({relation}.length) filter (where {relation}.class = '{name}')''')}, 0) as {column}"
        for name, column in classes
    )


def lock_times(alias: str, conversation: str, snapshot: str) -> str:
    """Seconds by class over the conversation's locks that have an end."""
    ended = there("locks", "lk", f'lk.conversation_id = {conversation} and lk."to" is not null', snapshot)
    locks = f"""select {lock_class("lk", snapshot)} as class, lk."to" - lk."from" as length from {ended}"""
    return f"cross join lateral (select {lock_sums('l')} from ({locks} offset 0) l) {alias}"


def held_topics(alias: str, conversation: str, snapshot: str) -> str:
    """`ids` and `names` of the topics that the conversation holds, side by side in the order of first application; null where it holds none."""
    return f"left join lateral ({_held('topic', f'= {conversation}', snapshot)}) {alias} on true"


def held_tags(conversations: str, snapshot: str) -> str:
    """conversation_id, `ids` and `names` of the tags that each of the conversations (text[]) itself, none of its messages, holds, if any, likewise."""
    return _held("tag", f"= any({conversations})", snapshot, " and te.message_id is null")


def _held(kind: str, conversation: str, snapshot: str, more: str = "") -> str:
    theirs = f"te.conversation_id {conversation} and te.{kind}_id is not null and te.kind in ('{kind}_applied', '{kind}_removed'){more}"
    events = f"""select te.conversation_id, te.{kind}_id as id, te.kind, row_number() over (partition by te.conversation_id order by te.at, te.id) as n
        from {there("events", "te", theirs, snapshot)}"""
    applied, removed = (f"filter (where kind = '{kind}_{what}')" for what in ("applied", "removed"))
    held = f"""select conversation_id, id, min(n) {applied} as first, max(n) {applied} > coalesce(max(n) {removed}, 0) as is_held
        from ({events}) e group by conversation_id, id"""
    return f"""
        select h.conversation_id, array_agg(h.id order by h.first) as ids, array_agg(coalesce(tp.name, '') order by h.first) as names
        from ({held}) h {lookup(f"{kind}s", "tp", "h.id", snapshot)} where h.is_held group by h.conversation_id"""


def team_of(event: str, actor: str) -> str:
    """The team of an event or a lock: its own, else that of the agent whose row is `actor`."""
    return f"coalesce({event}.team_id, {actor}.team_id)"
