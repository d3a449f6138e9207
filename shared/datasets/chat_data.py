"""chat-data: a workbook of eight sheets about chats, which are conversations, and everyone and everything in them."""

from collections.abc import Sequence
from typing import ClassVar

from shared.datasets import chat_rules, operating_hours, rules, talk_filters
from shared.datasets.base import holds_part
from shared.datasets.belonging import Inside
from shared.datasets.chat_columns import PROFILE, SHEETS, profile
from shared.datasets.filters import Search
from shared.datasets.operating_hours import Hours, hours_of
from shared.datasets.plan import ChunkQuery, Column, PlanSpec, Sheet
from shared.datasets.sql import current, found, lookup, texts
from shared.datasets.talk_filters import TalkFilter
from shared.datasets.workbooks import Workbook


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

    def size(self, spec: PlanSpec, snapshot: str) -> str:
        said = f"m.conversation_id = c.id and {current('m', snapshot, 'messages')}"
        return f"1000 + (select coalesce(sum(coalesce(octet_length(m.content), 0) + 300), 0) from ingest.messages m where {said})"

    def sheets(self, spec: PlanSpec, snapshot: str, rows: str) -> list[Sheet]:
        hours = hours_of(spec.operating_hours) if spec.operating_hours is not None else None
        queries = {
            "UserChat data": _chats(rows, hours, snapshot),
            "SupportBot data": _support_bots(rows, snapshot),
            "Marketing data": _campaigns(rows, snapshot),
            "Manager data": _managers(rows, snapshot),
            "Bot data": _bots(rows, snapshot),
            "UserChatTag data": _tags(rows, snapshot),
            "Message data": _messages(rows, snapshot),
        }
        places = {"UserChat data": ("created_at", "id"), "Message data": ("created_at", "id")}
        plain = {name: _sheet(name, query, places.get(name, ())) for name, query in queries.items()}
        return [_users(rows, snapshot) if name == "User data" else plain[name] for name in SHEETS]


def _sheet(name: str, facts: str, place: tuple[str, ...]) -> Sheet:
    return Sheet(name, lambda _: SHEETS[name], lambda _: ChunkQuery(facts, place))


def _search(q: str, snapshot: str) -> str:
    person = (
        f"sc.id = c.contact_id and {current('sc', snapshot, 'contacts')} and ({holds_part('sc.name', q)} or {holds_part('sc.email', q)})"
    )
    said = f"sm.conversation_id = c.id and {current('sm', snapshot, 'messages')} and {holds_part('sm.content', q)}"
    return f"(exists (select from ingest.contacts sc where {person}) or exists (select from ingest.messages sm where {said}))"


def _of(rows: str, snapshot: str) -> str:
    """The chats: `c`, and their place `k.n`."""
    return f"unnest({rows}) with ordinality k(id, n) join {found('conversations', 'c', 'c.id = k.id', snapshot)}"


def _named(table: str, alias: str, ids: str, columns: str, snapshot: str) -> str:
    """Those of `ids` (a query for one column, `id`) that are known, once each, by id."""
    known = found(table, alias, f"{alias}.id = p.id", snapshot)
    return f"select {columns} from (select distinct id from ({ids}) i where id is not null) p join {known} order by {alias}.id"


def _chats(rows: str, hours: Hours | None, snapshot: str) -> str:
    joins = [
        lookup("contacts", "ct", "c.contact_id", snapshot), lookup("channels", "ch", "c.channel_id", snapshot),
        lookup("campaigns", "ca", "c.campaign_id", snapshot), rules.held_tags("ht", "c.id", snapshot),
        rules.first_inbound("fi", "c.id", snapshot), chat_rules.first_left("fl", snapshot), chat_rules.reopened("ro", "fl", snapshot),
        "cross join lateral (select coalesce(fi.created_at, c.created_at) as first_at, coalesce(ro.at, fi.created_at, c.created_at) as at offset 0) op",
        chat_rules.replied("fr", "op.at", snapshot), chat_rules.answered("an", "fi", snapshot), chat_rules.closed("cl", "op.at", snapshot),
        chat_rules.replies("rp", hours, snapshot),
    ]  # fmt: skip
    waiting, resolution = (chat_rules.milliseconds(span) for span in ("an.created_at - fi.created_at", "cl.at - op.at"))
    open_waiting, open_resolution = waiting, resolution
    if hours is not None:
        ends = {"oi": "case when an.id is not null then fi.created_at end", "oa": "an.created_at", "oo": "op.at", "oc": "cl.at"}
        joins += [operating_hours.instant(alias, at, "hours", hours) for alias, at in ends.items()]
        open_waiting, open_resolution = "oa.open_ms - oi.open_ms", "oc.open_ms - oo.open_ms"
    query = f"""
        select c.id, c.contact_id, ct.name, c.description, case c.status when 'new' then 'Opened' when 'pending' then 'Snoozed' else 'Closed' end as state,
               ch.medium, c.campaign_id, ca.type as campaign_type, c.support_bot_id, c.follower_ids, c.assignee_id, ht.names as tags,
               op.first_at as first_opened_at, op.at as opened_at, fr.created_at as replied_at, c.created_at, {waiting} as waiting_ms,
               {chat_rules.half_up("rp.total", "rp.count")} as average_ms, rp.total as total_ms, rp.count as replies, {resolution} as resolution_ms,
               {open_waiting} as open_waiting_ms, {chat_rules.half_up("rp.open_total", "rp.open_count")} as open_average_ms,
               rp.open_total as open_total_ms, rp.open_count as open_replies, {open_resolution} as open_resolution_ms, cl.at as closed_at
        from {_of(rows, snapshot)} {" ".join(joins)} order by k.n"""
    return f"with {operating_hours.table('hours', hours)} {query}" if hours else query


def _users(rows: str, snapshot: str) -> Sheet:
    """All profile information: a column for each key that occurs. The json type keeps each value's text as it is stored."""
    contacts = f"select c.contact_id as id from {_of(rows, snapshot)}"
    given = "case when ct.profile = 'null' then '{}' else ct.profile end::json"
    keys = f"json_object_keys({given})"
    named = f"select distinct key from ({_named('contacts', 'ct', contacts, f'{keys} as key', snapshot)}) p"
    columns = "ct.id, ct.member_id, ct.name, ct.email, ct.mobile_number, ct.created_at, ct.updated_at"

    def query(names: Sequence[str]) -> ChunkQuery:
        values = f"""array(select v.value::text from unnest({texts(list(names))}) with ordinality n(key, place)
            left join json_each({given}) v on v.key = n.key order by n.place)"""
        return ChunkQuery(_named("contacts", "ct", contacts, f"{columns}, {values} as profile", snapshot), ())

    def with_profile(names: Sequence[str]) -> list[Column]:
        before, after = SHEETS["User data"][:5], SHEETS["User data"][5:]
        return [*before, *profile(names), *after]

    return Sheet("User data", with_profile, query, f'select key from ({named}) k order by key collate "C"')


def _support_bots(rows: str, snapshot: str) -> str:
    bot = "c.support_bot_id as id, c.support_bot_revision_id as revision_id, c.support_bot_section_path as section_path"
    return f"""select distinct {bot} from {_of(rows, snapshot)} where c.support_bot_id is not null
        order by id, revision_id nulls last, section_path nulls last"""


def _campaigns(rows: str, snapshot: str) -> str:
    used = f"select c.campaign_id as id from {_of(rows, snapshot)}"
    return _named("campaigns", "ca", used, "ca.id, ca.type, ca.name, ca.created_at", snapshot)


def _managers(rows: str, snapshot: str) -> str:
    agents = f"""select c.assignee_id as id from {_of(rows, snapshot)}
        union all select unnest(c.follower_ids) from {_of(rows, snapshot)} union all {_senders(rows, "m.sender_kind = 'agent'", snapshot)}"""
    columns = """a.id, a.channel_id, a.account_id, a.username, a.name, a.mobile_number, a.role, a.removed, a.created_at, a.default_group_watch,
        a.default_direct_chat_watch, a.default_user_chat_watch, a.operator, a.operator_email_reminder"""
    return _named("agents", "a", agents, columns, snapshot)


def _senders(rows: str, condition: str, snapshot: str) -> str:
    messages = found("messages", "m", f"m.conversation_id = k.id and {condition}", snapshot)
    return f"select m.sender_id as id from unnest({rows}) k(id) join {messages}"


def _bots(rows: str, snapshot: str) -> str:
    senders = _senders(rows, "m.sender_kind in ('ai', 'bot')", snapshot)
    return _named("bots", "b", senders, "b.id, b.channel_id, b.name, b.created_at", snapshot)


def _tags(rows: str, snapshot: str) -> str:
    held = f"select unnest(ht.ids) as id from unnest({rows}) k(id) {rules.held_tags('ht', 'k.id', snapshot)}"
    return _named("tags", "t", held, "t.id, t.channel_id, t.name, t.description, t.follower_ids, t.created_at", snapshot)


def _messages(rows: str, snapshot: str) -> str:
    messages = found("messages", "m", "m.conversation_id = k.id", snapshot)
    return f"""
        select m.conversation_id, case m.sender_kind when 'visitor' then 'User' when 'agent' then 'Manager' else 'Bot' end as person_type,
               m.sender_id, m.created_at, m.content, m.id
        from unnest({rows}) with ordinality k(id, n) join {messages} order by k.n, m.created_at, m.id"""


DATASET = ChatData()
