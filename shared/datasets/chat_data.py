"""chat-data: a workbook of eight sheets about chats, which are conversations, and everyone and everything in them."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from shared.datasets import chat_rules, operating_hours, rules, talk_filters
from shared.datasets.base import holds_part
from shared.datasets.belonging import Inside
from shared.datasets.chat_columns import PROFILE, SHEETS, profile
from shared.datasets.filters import Search
from shared.datasets.operating_hours import Hours, hours_of
from shared.datasets.plan import ChunkQuery, Column, PlanSpec, Sheet
from shared.datasets.sql import BLOCK_BYTES, found, given, hashed, lookup, matching, texts, there
from shared.datasets.talk_filters import TalkFilter
from shared.datasets.workbooks import Gathered, Workbook


class ChatFilter(TalkFilter):
    """The chats that a request wants; `ids` beat the rest. `q`: part of the contact's name or e-mail address, or of a message, in any case."""

    q: Search | None = None


class ChatData(Workbook):
    name = "chat-data"
    path = "chat-data"
    description = "Chats as a workbook: chats, users, bots, campaigns, managers, tags and messages, each on a sheet of its own."
    formats = ("json", "xlsx")
    default_format = "json"
    filter_model = ChatFilter
    rows_max_per_file = 10_000
    found_rows_max = 200
    protected = True
    brought = (PROFILE, f"{PROFILE}.<key>")
    reads_settings = frozenset({"operating_hours"})
    table: ClassVar[str] = "conversations"
    alias: ClassVar[str] = "c"
    inside = (Inside("messages", "m", "conversation_id", "m.created_at, m.id", "m.content", "message", SHEETS["Message data"][4]),)

    def sheet_columns(self) -> dict[str, list[Column]]:
        return SHEETS

    def conditions(self, spec: PlanSpec, snapshot: str) -> list[str]:
        parts = talk_filters.conditions(spec.filter, snapshot)
        if "q" in spec.filter:
            parts.append(_search(spec.filter["q"], snapshot))
        return parts

    def joins(self, snapshot: str) -> dict[str, str]:
        said = there("messages", "m", "m.conversation_id = c.id", snapshot)
        size = f"coalesce(sum({BLOCK_BYTES} * (m.blocks + 1) + 200), 0)"
        return {"said": f"cross join lateral (select {size} as bytes from {said}) said"}

    def size(self, spec: PlanSpec, snapshot: str) -> str:
        return "1000 + said.bytes"

    def gathered(self, snapshot: str, rows: str) -> tuple[Gathered, ...]:
        each = {"contacts": "c.contact_id", "campaigns": "c.campaign_id", "assignees": "c.assignee_id", "followers": "f.id"}
        named = ", ".join(f"array_agg(distinct {sql}) as {name}" for name, sql in each.items())
        chats = matching("conversations", "c", "c.contact_id, c.campaign_id, c.assignee_id, c.follower_ids", rows, snapshot)
        wrote = chat_rules.of(rows, "messages", "m", "m.sender_kind in ('agent', 'ai', 'bot') and m.sender_id is not null", snapshot)
        return (
            Gathered(tuple(each), f"select {named} from ({chats}) c left join lateral unnest(c.follower_ids) f(id) on true"),
            Gathered(("agents", "bots"), f"""
                select array_agg(m.id) filter (where m.is_agent) as agents, array_agg(m.id) filter (where not m.is_agent) as bots
                from (select distinct m.sender_id as id, m.sender_kind = 'agent' as is_agent from {wrote}) m"""),
            # Which tags each chat holds: a text[] of their names as text, beside the chat's id.
            Gathered(("tagged", "tag_names", "tags"), f"""
                with held as materialized ({rules.held_tags(rows, snapshot)})
                select array_agg(conversation_id) as tagged, array_agg(names::text) as tag_names, array(select distinct unnest(ids) from held) as tags from held"""),
        )  # fmt: skip

    def sheets(self, spec: PlanSpec, snapshot: str, rows: str, ids: Mapping[str, str]) -> list[Sheet]:
        hours = hours_of(spec.operating_hours) if spec.operating_hours is not None else None
        queries = {
            "UserChat data": _chats(rows, ids, hours, snapshot),
            "SupportBot data": _support_bots(rows, snapshot),
            "Marketing data": _known("campaigns", "ca", "ca.id, ca.type, ca.name, ca.created_at", ids["campaigns"], snapshot),
            "Manager data": _managers(" || ".join(ids[name] for name in ("assignees", "followers", "agents")), snapshot),
            "Bot data": _known("bots", "b", "b.id, b.channel_id, b.name, b.created_at", ids["bots"], snapshot),
            "UserChatTag data": _known("tags", "t", "t.id, t.channel_id, t.name, t.description, t.follower_ids, t.created_at", ids["tags"], snapshot),
            "Message data": _messages(rows, snapshot),
        }  # fmt: skip
        places = {"UserChat data": ("created_at", "id"), "Message data": ("created_at", "id")}
        plain = {name: _sheet(name, query, places.get(name, ())) for name, query in queries.items()}
        return [_users(ids["contacts"], snapshot) if name == "User data" else plain[name] for name in SHEETS]


def _sheet(name: str, facts: str, place: tuple[str, ...]) -> Sheet:
    return Sheet(name, lambda _: SHEETS[name], lambda _: ChunkQuery(facts, place))


def _search(q: str, snapshot: str) -> str:
    person = there("contacts", "sc", f"sc.id = c.contact_id and ({holds_part('sc.name', q)} or {holds_part('sc.email', q)})", snapshot)
    said = there("messages", "sm", f"sm.conversation_id = c.id and {holds_part('sm.content', q)}", snapshot)
    return f"(exists (select from {person}) or exists (select from {said}))"


def _known(table: str, alias: str, columns: str, ids: str, snapshot: str) -> str:
    """Those of `ids` (text[]) that are known, by id."""
    return f"{matching(table, alias, columns, ids, snapshot)} order by {alias}.id"


def _chats(rows: str, ids: Mapping[str, str], hours: Hours | None, snapshot: str) -> str:
    held = (
        f"select ht.conversation_id, ht.names::text[] as names from unnest({ids['tagged']}, {ids['tag_names']}) ht(conversation_id, names)"
    )
    of_chats = {"tk": chat_rules.talk(rows, hours, snapshot), "mv": chat_rules.moves(rows, snapshot), "ht": held}
    people = matching("contacts", "ct", "ct.id, ct.name", ids["contacts"], snapshot)
    figures = "tk.first_at, tk.answered_at, tk.said, tk.total, tk.replies, tk.open_total, tk.open_replies, mv.resolved_at"
    columns = """c.id, c.created_at, c.contact_id, c.channel_id, c.campaign_id, c.description, c.status, c.support_bot_id, c.follower_ids,
        c.assignee_id"""
    chats = f"""select c.*, ct.name, coalesce(ht.names, '{{}}') as tags, {figures}, coalesce(tk.first_at, c.created_at) as first_opened_at,
            coalesce(mv.reopened_at, tk.first_at, c.created_at) as opened_at
        from ({matching("conversations", "c", columns, rows, snapshot)}) c
        {" ".join(hashed(f"({query})", alias, "c.id", "conversation_id") for alias, query in of_chats.items())}
        {hashed(f"({people})", "ct", "c.contact_id")} where {given("c.id")} offset 0"""
    closed_at = "case when c.status = 'resolved' and c.resolved_at >= c.opened_at then c.resolved_at end"
    joins = [
        f"cross join lateral (select {closed_at} as closed_at offset 0) cl",
        *(lookup(table, alias, key, snapshot) for table, alias, key in (
            ("channels", "ch", "c.channel_id"), ("campaigns", "ca", "c.campaign_id"))),
    ]  # fmt: skip
    waiting, resolution = (chat_rules.milliseconds(span) for span in ("c.answered_at - c.first_at", "cl.closed_at - c.opened_at"))
    open_waiting, open_resolution = waiting, resolution
    if hours is not None:
        ends = {
            "oi": "case when c.answered_at is not null then c.first_at end",
            "oa": "c.answered_at",
            "oo": "c.opened_at",
            "oc": "cl.closed_at",
        }
        joins += [operating_hours.instant(alias, at, "hours", hours) for alias, at in ends.items()]
        open_waiting, open_resolution = "oa.open_ms - oi.open_ms", "oc.open_ms - oo.open_ms"
    query = f"""
        select c.id, c.contact_id, c.name, c.description, case c.status when 'new' then 'Opened' when 'pending' then 'Snoozed' else 'Closed' end as state,
               ch.medium, c.campaign_id, ca.type as campaign_type, c.support_bot_id, c.follower_ids, c.assignee_id, c.tags, c.first_opened_at, c.opened_at,
               {chat_rules.at_or_after("c.said", "c.opened_at")} as replied_at, c.created_at, {waiting} as waiting_ms,
               {chat_rules.half_up("c.total", "c.replies")} as average_ms, coalesce(c.total, 0) as total_ms, coalesce(c.replies, 0) as replies,
               {resolution} as resolution_ms, {open_waiting} as open_waiting_ms, {chat_rules.half_up("c.open_total", "c.open_replies")} as open_average_ms,
               coalesce(c.open_total, 0) as open_total_ms, coalesce(c.open_replies, 0) as open_replies, {open_resolution} as open_resolution_ms, cl.closed_at
        from ({chats}) c {" ".join(joins)} order by c.created_at, c.id"""
    return f"with {operating_hours.table('hours', hours)} {query}" if hours else query


def _users(contacts: str, snapshot: str) -> Sheet:
    """All profile information: a column for each key that occurs. The json type keeps each value's text as it is stored."""
    given = "case when ct.profile = 'null' then '{}' else ct.profile end::json"
    keys = matching("contacts", "ct", f"distinct json_object_keys({given}) as key", contacts, snapshot)
    columns = "ct.id, ct.member_id, ct.name, ct.email, ct.mobile_number, ct.created_at, ct.updated_at"

    def query(names: Sequence[str]) -> ChunkQuery:
        values = f"""array(select v.value::text from unnest({texts(list(names))}) with ordinality n(key, place)
            left join json_each({given}) v on v.key = n.key order by n.place)"""
        return ChunkQuery(_known("contacts", "ct", f"{columns}, {values} as profile", contacts, snapshot), ())

    def with_profile(names: Sequence[str]) -> list[Column]:
        before, after = SHEETS["User data"][:5], SHEETS["User data"][5:]
        return [*before, *profile(names), *after]

    return Sheet("User data", with_profile, query, f'select key from ({keys}) k order by key collate "C"')


def _support_bots(rows: str, snapshot: str) -> str:
    columns = "c.support_bot_id as id, c.support_bot_revision_id as revision_id, c.support_bot_section_path as section_path"
    return f"""{matching("conversations", "c", f"distinct {columns}", rows, snapshot)} and c.support_bot_id is not null
        order by id, revision_id nulls last, section_path nulls last"""


def _managers(ids: str, snapshot: str) -> str:
    columns = """a.id, a.channel_id, a.account_id, a.username, a.name, a.mobile_number, a.role, a.removed, a.created_at, a.default_group_watch,
        a.default_direct_chat_watch, a.default_user_chat_watch, a.operator, a.operator_email_reminder"""
    return _known("agents", "a", columns, ids, snapshot)


def _messages(rows: str, snapshot: str) -> str:
    return f"""
        select m.conversation_id, case m.sender_kind when 'visitor' then 'User' when 'agent' then 'Manager' else 'Bot' end as person_type,
               m.sender_id, m.created_at, m.content, m.id
        from unnest({rows}) with ordinality k(id, n) join {found("messages", "m", "m.conversation_id = k.id", snapshot)} order by k.n, m.created_at, m.id"""


DATASET = ChatData()
