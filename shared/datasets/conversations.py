"""conversations: one row a conversation, with all its messages and events; as a transcript in txt."""

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from shared.datasets import talk_filters
from shared.datasets.base import any_of
from shared.datasets.belonging import Carried, Inside
from shared.datasets.changes import Changes
from shared.datasets.entities import Entities
from shared.datasets.filters import Instant, Texts
from shared.datasets.plan import ChunkQuery, Column, ColumnType, Dimension, PlanSpec, Sheet
from shared.datasets.sql import BLOCK_BYTES, counts, duck_literal, found, instant, lookup, pulled
from shared.datasets.talk_filters import TalkFilter

NESTED, FLAT = frozenset({"json", "jsonl"}), frozenset({"json", "jsonl", "xlsx"})


class ConversationFilter(TalkFilter):
    """The conversations that a request wants; `ids` beat the rest."""

    lead_id: Texts | None = None
    started_after: Instant | None = None
    started_before: Instant | None = None


def _column(key: str, kind: ColumnType, description: str, sql: str = "", source: str = "fact", missing: str = "null::varchar",
            personal: bool = False, formats: frozenset[str] = FLAT) -> Column:  # fmt: skip
    return Column(key, key, kind, description, sql or f"fact.{key}", source, missing, personal, formats=formats)


IN_EVENTS = "events."  # before a key of events' data, which may be anything: a rule's key


def _in_event(key: str) -> str:
    """Under which key of an event the column of a rule stands. One that events and columns both have holds for both."""
    return key.removeprefix(IN_EVENTS)


_SHORT_BYTES = 175  # of a message that fills no block: what is usually said, and what stands around it
# Which rule holds for what a transcript is put together from: as in the datasets that have columns of them.
_CONTENT, _PERSON, _AGENT, _ID, _STARTED = "content", "name", "agent_name", "conversation_id", "started_at"


COLUMNS = [
    _column("conversation_id", ColumnType.text, "The conversation's id"),
    _column("lead_id", ColumnType.text, "The lead's id"),
    _column("lead_email", ColumnType.text, "The lead's e-mail address", personal=True),
    _column("started_at", ColumnType.timestamp, "When the conversation was created"),
    _column("ended_at", ColumnType.timestamp, "When the conversation ended"),
    _column("duration_seconds", ColumnType.int64, "From start to end, null while open",
            "floor((epoch_ms(fact.ended_at) - epoch_ms(fact.started_at) + 500) / 1000)::bigint"),
    _column("message_count", ColumnType.int64, "How many messages it has", "talk.message_count", "talk"),
    _column("qualification_triggered", ColumnType.boolean, "Whether the lead was asked qualifying questions"),
    _column("meeting_booked", ColumnType.boolean, "Whether a meeting was booked"),
    _column("messages", ColumnType.json, "The messages in order: sender, content, timestamp", "talk.messages", "talk", personal=True,
            formats=NESTED),
    replace(_column("events", ColumnType.json, "The events in order: type, timestamp and their data", "happened.events", "happened", "'[]'",
                    formats=NESTED), inside=_in_event),
    Column("transcript", "", ColumnType.text, "The conversation as people read it", "talk.transcript", "talk", personal=True,
           formats=frozenset({"txt"}), asked=False, also=("messages",), pieces="talk.pieces"),
]  # fmt: skip


def _beside(key: str, kind: ColumnType, description: str, of: str = "", personal: bool = False) -> Column:
    """A column of another sheet; it shows what the column `of` of other formats does."""
    return Column(key, key, kind, description, f"fact.{key}", personal=personal, also=(of,) if of else ())


def _happening(key: str, kind: ColumnType, description: str) -> Column:
    """A column of the sheet Events; it shows what stands under its key in the events of other formats."""
    return replace(_beside(key, kind, description, "events"), also=("events", f"{IN_EVENTS}{key}"), inside=_in_event)


# The sheets behind that of the conversations.
BESIDE = {
    "Messages": [
        _beside("conversation_id", ColumnType.text, "The conversation's id"),
        _beside("sender", ColumnType.text, "What sent it: visitor, agent, ai, bot or system", "messages"),
        _beside("content", ColumnType.text, "What the message says", "messages", personal=True),
        _beside("timestamp", ColumnType.timestamp, "When the message was created", "messages"),
    ],
    "Events": [
        _beside("conversation_id", ColumnType.text, "The conversation's id"),
        _happening("type", ColumnType.text, "What happened"),
        _happening("timestamp", ColumnType.timestamp, "When it happened"),
        _happening("data", ColumnType.json, "Its data as JSON"),
    ],
}


class Conversations(Entities):
    name = "conversations"
    path = "conversations"
    description = "Conversations with all their messages and events."
    fixed_columns = COLUMNS
    formats = ("json", "jsonl", "txt", "xlsx")
    default_format = "json"
    family = "leads"
    range_rule = "optional"
    filter_model = ConversationFilter
    table, alias = "conversations", "c"
    fields: ClassVar[Mapping[str, str]] = {
        "conversation_id": "c.id", "lead_id": "c.lead_id", "lead_email": "ld.email", "started_at": "c.created_at", "ended_at": "c.ended_at",
        "qualification_triggered": "c.qualification_triggered", "meeting_booked": "c.meeting_booked",
    }  # fmt: skip

    inside = (
        Inside("messages", "m", "conversation_id", "m.created_at, m.id", "m.content", "message", BESIDE["Messages"][2]),
        Inside("events", "e", "conversation_id", "e.at, e.id", "e.data", "event", BESIDE["Events"][3]),
    )

    entity, id_key = "conversations", "conversation_id"
    brought = (f"{IN_EVENTS}<key>",)

    def touched(self, changes: Changes) -> Mapping[str, str]:
        return {
            "conversations": changes.ids("conversations"), "leads": changes.of("conversations", "id", "lead_id", changes.ids("leads")),
            "contacts": changes.of("conversations", "id", "contact_id", changes.ids("contacts")),
            "messages": changes.named("messages", "conversation_id"), "events": changes.named("events", "conversation_id"),
        }  # fmt: skip

    def joins(self, snapshot: str) -> dict[str, str]:
        return {"ld": lookup("leads", "ld", "c.lead_id", snapshot)}

    def conditions(self, spec: PlanSpec, snapshot: str) -> list[str]:
        f = spec.filter
        parts = [any_of("c.lead_id", f["lead_id"])] if "lead_id" in f else []
        parts += talk_filters.conditions(f, snapshot)
        for name, sign in (("started_after", ">"), ("started_before", "<")):
            if name in f:
                parts.append(f"c.created_at {sign} {instant(f[name])}")
        return parts

    def carried(self, spec: PlanSpec, snapshot: str) -> tuple[Carried, ...]:
        # Three times the text: building one value of all messages of a conversation holds several copies of them at once.
        text = f"3 * ({BLOCK_BYTES} * m.blocks + {_SHORT_BYTES})"
        return Carried("messages", "m", "conversation_id", text), Carried("events", "e", "conversation_id", "octet_length(e.data) + 100")

    def tables(self, spec: PlanSpec, fmt: str) -> dict[str, list[Column]]:
        return super().tables(spec, fmt) | BESIDE

    def compared(self, spec: PlanSpec) -> PlanSpec:
        """A workbook's rows don't show messages and events, which stand on other sheets: JSON's do."""
        whole = next((name for name in sorted(NESTED, reverse=True) if name not in spec.formats), None)
        if "xlsx" not in spec.formats or whole is None:
            return spec
        columns = spec.columns | self.resolve_columns(None, [whole])
        return spec.model_copy(update={"formats": [*spec.formats, whole], "columns": columns})

    def redactable(self, spec: PlanSpec) -> list[Column]:
        beside = [column for columns in BESIDE.values() for column in columns] if "xlsx" in spec.formats else []
        return [*super().redactable(spec), *beside]

    def beside(self, spec: PlanSpec, snapshot: str, rows: str) -> list[Sheet]:
        queries = {"Messages": _messages(rows, snapshot), "Events": _events(rows, snapshot)}
        return [_sheet(name, query) for name, query in queries.items()]

    def dimensions(self, spec: PlanSpec, snapshot: str) -> tuple[Dimension, ...]:
        key, talk = "conversation_id", _counted if set(spec.formats) == {"xlsx"} else _talk
        return (
            Dimension("talk", key, "talk.id = fact.conversation_id", lambda k: talk(k, spec, snapshot), by="id"),
            Dimension("happened", key, "happened.id = fact.conversation_id", lambda k: _happened(k, snapshot)),
        )


def _sheet(name: str, facts: str) -> Sheet:
    return Sheet(name, lambda _: BESIDE[name], lambda _: ChunkQuery(facts, ("timestamp", "id")))


def _messages(rows: str, snapshot: str) -> str:
    messages = found("messages", "m", "m.conversation_id = k.id", snapshot)
    return f"""select m.conversation_id, m.sender_kind as sender, m.content, m.created_at as timestamp, m.id
        from unnest({rows}) with ordinality k(id, n) join {messages} order by k.n, m.created_at, m.id"""


def _events(rows: str, snapshot: str) -> str:
    events = found("events", "e", "e.conversation_id = k.id", snapshot)
    return f"""select e.conversation_id, e.kind as type, e.at as timestamp, e.data, e.id
        from unnest({rows}) with ordinality k(id, n) join {events} order by k.n, e.at, e.id"""


def _counted(keys: str, spec: PlanSpec, snapshot: str) -> str:
    """A row a conversation: how many messages it has."""
    query = f"""select id, 0 as n from unnest({keys}) k(id)
        union all select conversation_id, n from ({counts("messages", "conversation_id", keys, snapshot)}) m"""
    return f"select id, sum(n)::bigint as message_count from {pulled(query)} group by id"


def _talk(keys: str, spec: PlanSpec, snapshot: str) -> str:
    """A row a conversation: its messages as JSON, their number, and its transcript."""
    names = "ld.name as lead_name, ct.name as contact_name, m.sender_name, a.name as agent_name, b.name as bot_name"
    joins = f"{lookup('leads', 'ld', 'c.lead_id', snapshot)} {lookup('contacts', 'ct', 'c.contact_id', snapshot)}"
    senders = f"""{lookup("agents", "a", "case when m.sender_kind = 'agent' then m.sender_id end", snapshot)}
        {lookup("bots", "b", "case when m.sender_kind in ('ai', 'bot') then m.sender_id end", snapshot)}"""
    transcript = "txt" in spec.formats
    query = f"""
        select c.id, c.created_at as started_at, m.id as message_id, m.created_at, m.sender_kind, m.content{", " + names if transcript else ""}
        from unnest({keys}) k(id) join {found("conversations", "c", "c.id = k.id", snapshot)} {joins if transcript else ""}
        left join {found("messages", "m", "m.conversation_id = c.id", snapshot)} {senders if transcript else ""}"""
    one = """concat('{"sender":', json_text(sender_kind), ',"content":', json_text(content), ',"timestamp":"', utc_seconds(created_at), '"}')"""
    given = "filter (where message_id is not null)"
    if not transcript:
        text = "null::varchar as transcript"
    elif spec.redaction is None:
        text = f"{_transcript(spec, given)} as transcript"
    else:
        text = f"{_pieces(spec, given)} as pieces, array_to_string(list_transform(pieces, lambda piece: coalesce(piece.v, '')), '') as transcript"
    return f"""
        select id, count(message_id) as message_count, {text},
               concat('[', string_agg({one}, ',' order by created_at, message_id) {given}, ']') as messages
        from {pulled(query)} group by id"""


_NAME = "coalesce(nullif(lead_name, ''), nullif(contact_name, ''))"


def _who(spec: PlanSpec) -> str:
    return f"""coalesce(nullif(sender_name, ''), case sender_kind
        when 'visitor' then coalesce(first_word({_NAME}), 'Visitor')
        when 'agent' then coalesce(nullif(agent_name, ''), 'Agent')
        when 'ai' then coalesce(nullif(bot_name, ''), {duck_literal(spec.organisation_name)})
        when 'bot' then coalesce(nullif(bot_name, ''), {duck_literal(spec.organisation_name)})
        else 'System' end)"""


def _transcript(spec: PlanSpec, given: str) -> str:
    line = f"concat('[', local_clock(created_at), '] ', one_line({_who(spec)}), ': ', one_line(content), chr(10))"
    head = f"""concat('Conversation ', one_line(id), ' · ', one_line(coalesce(any_value({_NAME}), 'Visitor')), ' · ',
        local_date(any_value(started_at)), {duck_literal(f" ({spec.timezone})")}, chr(10))"""
    return f"concat({head}, string_agg({line}, '' order by created_at, message_id) {given})"


def _pieces(spec: PlanSpec, given: str) -> str:
    """The transcript as the list of its pieces, {k: the rule's column, v: text}, so that each is redacted by itself."""
    who = f"case sender_kind when 'visitor' then '{_PERSON}' when 'agent' then '{_AGENT}' end"
    fixed, mark = "null::varchar", duck_literal(f" ({spec.timezone})")
    head = [(fixed, "'Conversation '"), (f"'{_ID}'", "one_line(id)"), (fixed, "' · '"), (f"'{_PERSON}'", f"one_line(coalesce(any_value({_NAME}), 'Visitor'))"),
            (fixed, "' · '"), (f"'{_STARTED}'", "local_date(any_value(started_at))"), (fixed, f"concat({mark}, chr(10))")]  # fmt: skip
    line = [(fixed, "concat('[', local_clock(created_at), '] ')"), (who, f"one_line({_who(spec)})"), (fixed, "': '"), (f"'{_CONTENT}'", "one_line(content)"),
            (fixed, "chr(10)")]  # fmt: skip
    lines = f"flatten(list({_listed(line)} order by created_at, message_id) {given})"
    return f"list_concat({_listed(head)}, {lines})"


def _listed(pieces: list[tuple[str, str]]) -> str:
    return "[" + ", ".join(f"{{k: {key}, v: {value}}}" for key, value in pieces) + "]"


def _happened(keys: str, snapshot: str) -> str:
    """A row a conversation with events: an event is its type and timestamp, which win over the same keys in its data, then its data."""
    query = f"""
        select e.conversation_id as id, e.id as event_id, e.at as happened_at, e.kind,
               case when strpos(e.data, '"type":') > 0 or strpos(e.data, '"timestamp":') > 0 then
                   coalesce((select '{{' || string_agg(to_json(d.key)::text || ':' || d.value::text, ',') || '}}'
                             from json_each(e.data::json) d where d.key not in ('type', 'timestamp')), '{{}}')
               else e.data end as data
        from unnest({keys}) k(id) join {found("events", "e", "e.conversation_id = k.id", snapshot)}"""
    rest = "case when data in ('{}', 'null') then '}' else concat(',', substr(data, 2)) end"
    one = f"""concat('{{"type":', json_text(kind), ',"timestamp":"', utc_seconds(happened_at), '"', {rest})"""
    return f"select id, concat('[', string_agg({one}, ',' order by happened_at, event_id), ']') as events from {pulled(query)} group by id"


DATASET = Conversations()
