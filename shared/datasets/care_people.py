"""What agents did inside a range, one relation each: what teams and users add up."""

from shared.datasets import care, rules
from shared.datasets.plan import PlanSpec
from shared.datasets.sql import found, given, hashed, lookup, matching, there


def _on(spec: PlanSpec, conversation_id: str, snapshot: str) -> list[str]:
    return care.on_channels(spec, conversation_id, snapshot)


def _sent(spec: PlanSpec, snapshot: str) -> str:
    """What stands behind FROM for agents' messages `m` in range."""
    in_range = [f"m.created_at {sign} {bound}" for sign, bound in care.bounds(spec)]
    conditions = ["m.sender_kind = 'agent'", "m.sender_id is not null", *in_range, *_on(spec, "m.conversation_id", snapshot)]
    return there("messages", "m", " and ".join(conditions), snapshot)


def senders(spec: PlanSpec, snapshot: str) -> str:
    """A row an agent who wrote in range: agent_id, team_id."""
    sent = f"select m.sender_id from {_sent(spec, snapshot)} group by m.sender_id"
    return f"select s.sender_id as agent_id, a.team_id from ({sent}) s {lookup('agents', 'a', 's.sender_id', snapshot)}"


def said(spec: PlanSpec, snapshot: str) -> str:
    """What agents wrote in range, read once, as tables for a WITH clause, which talk_figures and responded read.

    `sent`: a row an agent and conversation: sender_id, conversation_id, first (message's time), messages; `talk` and `sender`: these conversations and agents.
    """
    sent = f"""
        select m.sender_id, m.conversation_id, min(m.created_at) as first, count(*) as messages
        from {_sent(spec, snapshot)} group by m.sender_id, m.conversation_id"""
    talks = matching("conversations", "c", "c.id, c.contact_id", "array(select id from talk_id)", snapshot)
    senders = matching("agents", "a", "a.id, a.team_id", "array(select distinct sender_id from sent)", snapshot)
    return f"""sent as materialized ({sent}), talk_id as materialized (select distinct conversation_id as id from sent),
        talk as materialized ({talks}), sender as materialized ({senders})"""


def resolved(spec: PlanSpec, snapshot: str) -> str:
    """A row a conversation whose first resolve is in range and by an agent: agent_id, team_id, replied (whether anyone had written), took (interval)."""
    conditions = [
        rules.is_first_resolve("e", snapshot), "e.actor_kind = 'agent'", "e.actor_id is not null", care.during("e", "at", spec, snapshot, "events"),
        *_on(spec, "e.conversation_id", snapshot),
    ]  # fmt: skip
    took = "case when e.at >= fi.created_at then e.at - fi.created_at end"
    return f"""
        select e.actor_id as agent_id, {rules.team_of("e", "a")} as team_id, fo.id is not null as replied, {took} as took
        from ingest.events e {lookup("agents", "a", "e.actor_id", snapshot)} {rules.first_inbound("fi", "e.conversation_id", snapshot)}
        {rules.outbound_before("fo", "e", snapshot)} where {" and ".join(conditions)}"""


def responded(spec: PlanSpec, snapshot: str) -> str:
    """A row a conversation whose first response ended in range with an agent's message: team_id, took (interval). Beside the tables `said`."""
    in_range = [f"re.created_at {sign} {bound}" for sign, bound in care.bounds(spec)]
    handovers = rules.first_handovers("array(select id from talk_id)", snapshot)
    return f"""
        select a.team_id, re.created_at - coalesce(ho.at, fi.created_at) as took from talk_id s
        {hashed(f"({handovers})", "ho", "s.id", "conversation_id")}
        {rules.first_inbound("fi", "s.id", snapshot)} {rules.first_response("re", "s.id", "ho", "fi", snapshot)} join {found("agents", "a", "a.id = re.sender_id", snapshot)}
        where {" and ".join(["re.sender_kind = 'agent'", *in_range])}"""


def locked(spec: PlanSpec, snapshot: str) -> str:
    """A row a lock that ended in range: agent_id, team_id, conversation_id, class, length (interval)."""
    conditions = [care.during("l", '"to"', spec, snapshot, "locks"), *_on(spec, "l.conversation_id", snapshot)]
    return f"""
        select l.agent_id, {rules.team_of("l", "a")} as team_id, l.conversation_id, {rules.lock_class("l", snapshot)} as class,
               l."to" - l."from" as length
        from ingest.locks l {lookup("agents", "a", "l.agent_id", snapshot)} where {" and ".join(conditions)} offset 0"""


def tagged(spec: PlanSpec, snapshot: str) -> str:
    """A row a tag that an agent applied in range: agent_id."""
    conditions = [
        "e.kind = 'tag_applied'",
        "e.actor_kind = 'agent'",
        "e.actor_id is not null",
        care.during("e", "at", spec, snapshot, "events"),
    ]
    return (
        f"select e.actor_id as agent_id from ingest.events e where {' and '.join([*conditions, *_on(spec, 'e.conversation_id', snapshot)])}"
    )


# ---- figures of a group, by `by` (team_id or agent_id)


def talk_figures(by: str) -> str:
    """`by`, first (message's time), contacts (how many were helped), messages. Beside the tables `said`."""
    group = {"agent_id": "s.sender_id", "team_id": "a.team_id"}[by]
    # Contacts are told apart by groups of their own: count(distinct) would sort them all.
    return f"""
        select {by}, min(first) as first, count(contact_id) as contacts, sum(messages)::bigint as messages
        from (select {group} as {by}, c.contact_id, min(s.first) as first, sum(s.messages) as messages
              from sent s {hashed("sender", "a", "s.sender_id")} {hashed("talk", "c", "s.conversation_id")}
              where {given(group)} group by {group}, c.contact_id offset 0) s group by {by}"""


def resolve_figures(by: str, spec: PlanSpec, snapshot: str) -> str:
    """`by`, replied and unreplied (resolves), resolution_s (average)."""
    return f"""select {by}, count(*) filter (where replied) as replied, count(*) filter (where not replied) as unreplied,
        {average("took")} as resolution_s from ({resolved(spec, snapshot)}) r where {by} is not null group by {by}"""


def lock_figures(by: str, spec: PlanSpec, snapshot: str) -> str:
    """`by`, seconds by class, handle_average_s over the conversations with a handle lock."""
    handled = """sum(l.length) filter (where l.class = 'handle')"""
    conversations = "nullif(count(distinct l.conversation_id) filter (where l.class = 'handle'), 0)"
    return f"""select {by}, {rules.lock_sums("l")}, floor(extract(epoch from {handled}) / {conversations} + 0.5)::bigint as handle_average_s
        from ({locked(spec, snapshot)}) l where {by} is not null group by {by}"""


def average(interval: str) -> str:
    """The mean of intervals as whole seconds, rounded half up once; null over nothing."""
    return f"floor(extract(epoch from sum({interval})) / nullif(count({interval}), 0) + 0.5)::bigint"
