"""leads: one row a lead, with its score, its custom properties and, in JSON, its conversations."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, ClassVar

from pydantic import Field, StrictInt

from shared.datasets import filters
from shared.datasets.base import any_of, holds_part
from shared.datasets.belonging import Carried
from shared.datasets.changes import Changes
from shared.datasets.entities import Entities
from shared.datasets.filters import Filter, Instant, Search, TagFilter, Texts
from shared.datasets.plan import Column, ColumnType, CustomProperty, Dimension, PlanSpec
from shared.datasets.sql import counts, instant, literal, lookup, matching, pulled, seen, texts

CUSTOM = "custom_"  # before a custom property's name: the key of its column
NESTED = frozenset({"json", "jsonl"})
FLAT = frozenset({"csv", "xlsx", "parquet"})
Status = filters.one_of("new", "qualified", "contacted", "converted", "lost")
Source = filters.one_of("chat", "api", "import", "form")
Score = Annotated[StrictInt, Field(ge=0, le=100)]


class LeadFilter(Filter):
    """The leads that a request wants; `ids` beat the rest."""

    ids: Texts | None = None
    status: filters.list_of(Status) | None = None  # type: ignore[valid-type]
    source: filters.list_of(Source) | None = None  # type: ignore[valid-type]
    tags: TagFilter | None = None
    assigned_to: Texts | None = None
    score_min: Score | None = None
    score_max: Score | None = None
    created_after: Instant | None = None
    created_before: Instant | None = None
    q: Search | None = None


class Leads(Entities):
    name = "leads"
    path = "leads"
    description = "Leads with their score and custom properties."
    formats = ("csv", "json", "jsonl", "xlsx", "parquet")
    family = "leads"
    range_rule = "optional"
    filter_model = LeadFilter
    table, alias = "leads", "l"
    row_bytes, wide, blocks = 440, ("email", "name", "phone", "company", "status", "source_url", "custom_properties"), True
    fields: ClassVar[Mapping[str, str]] = {
        "id": "l.id", "email": "l.email", "name": "l.name", "phone": "l.phone", "company": "l.company", "status": "l.status",
        "source_url": "l.source_url", "created_at": "l.created_at", "last_activity_at": "l.last_activity_at",
        "tags": "l.tags", "assigned_to": "l.assigned_to", "custom_properties": "l.custom_properties",
    }  # fmt: skip

    entity, id_key = "leads", "id"
    brought = (f"{CUSTOM}<name>",)

    def touched(self, changes: Changes) -> Mapping[str, str]:
        return {
            "leads": changes.ids("leads"), "lead_scores": changes.ids("lead_scores"), "conversations": changes.named("conversations", "lead_id"),
            "messages": changes.of("conversations", "lead_id", "id", changes.named("messages", "conversation_id")),
        }  # fmt: skip

    def columns(self, custom_properties: Sequence[CustomProperty] = ()) -> list[Column]:
        t = ColumnType
        return [
            _column("id", t.text, "The lead's id"),
            _column("email", t.text, "E-mail address", personal=True),
            _column("name", t.text, "Full name", personal=True),
            _column("phone", t.text, "Telephone number", personal=True),
            _column("company", t.text, "Company"),
            _column("status", t.text, "new, qualified, contacted, converted or lost"),
            replace(_column("score", t.int64, "Lead score 0–100, 0 until there is one"), sql="coalesce(fact.score, 0)"),
            _column("source_url", t.text, "Page that the lead came from"),
            _column("created_at", t.timestamp, "When the lead was created"),
            _column("last_activity_at", t.timestamp, "When the lead was last active"),
            _column("tags", t.texts, "Tags of the lead"),
            replace(
                _column("assigned_to", t.text, "The agent's e-mail address, or the id where the agent isn't known", personal=True),
                sql="assignee.shown", source="assignee",
            ),
            *[_custom(i, p) for i, p in enumerate(custom_properties)],
            Column("custom_properties", "custom_properties", t.json, "All custom properties that the lead has", "fact.custom_properties",
                   personal=True, formats=NESTED, inside=_property_of),
            Column("conversations", "conversations", t.json, "The lead's conversations: id, started_at, message_count", "talks.json",
                   source="talks", missing="'[]'", formats=NESTED, inside={"conversation_id": "id", "started_at": "started_at"}.get),
        ]  # fmt: skip

    def _fields(self, spec: PlanSpec, snapshot: str) -> Mapping[str, str]:
        # The json type keeps each value's text as it is stored: numbers stay as RFC 8785 prints them.
        custom = {f"custom_{i}": f"(l.custom_properties::json -> {literal(p.name)})::text" for i, p in enumerate(spec.custom_properties)}
        return {**self.fields, **custom}

    def joins(self, snapshot: str) -> dict[str, str]:
        return {"sc": lookup("lead_scores", "sc", "l.id", snapshot)}

    def conditions(self, spec: PlanSpec, snapshot: str) -> list[str]:
        f, parts = spec.filter, []
        for name in ("status", "source", "assigned_to"):
            if name in f:
                parts.append(any_of(f"l.{name}", f[name]))
        if tags := f.get("tags"):
            parts.append(f"l.tags && {texts(tags['any'])}" if "any" in tags else f"l.tags @> {texts(tags['all'])}")
        for name, sign in (("score_min", ">="), ("score_max", "<=")):
            if name in f:
                parts.append(f"coalesce(sc.score, 0) {sign} {int(f[name])}")
        for name, sign in (("created_after", ">"), ("created_before", "<")):
            if name in f:
                parts.append(f"l.created_at {sign} {instant(f[name])}")
        if "q" in f:
            parts.append(_search(f["q"]))
        return parts

    def attached(self, spec: PlanSpec, snapshot: str) -> Mapping[str, Callable[[str], str]]:
        return {"score": lambda ids: matching("lead_scores", "sc", "sc.id, sc.score", ids, snapshot)}

    def dimensions(self, spec: PlanSpec, snapshot: str) -> tuple[Dimension, ...]:
        def talks(keys: str) -> str:
            conversations, are_seen = seen("conversations", "c", snapshot)
            theirs = f"c.lead_id = any({keys}) and c.lead_id is not null and {are_seen}"
            query = f"""
                with c as materialized (select c.lead_id, c.id, c.created_at from {conversations} where {theirs})
                select lead_id, id, created_at, null as messages from c
                union all select null, conversation_id, null, n from ({counts("messages", "conversation_id", "array(select id from c)", snapshot)}) m"""
            one = """concat('{"id":', json_text(c.id), ',"started_at":"', utc_seconds(c.created_at), '","message_count":', coalesce(m.messages, 0), '}')"""
            # In order by way of a list: an aggregate with an order of its own sorts for every lead, at four times the price.
            in_order = f"list_sort(list({{since: c.created_at, id: c.id, text: {one}}}))"
            return f"""
                with found as materialized (from {pulled(query)})
                select c.lead_id, concat('[', array_to_string(list_transform({in_order}, lambda talk: talk.text), ','), ']') as json
                from (from found where lead_id is not null) c
                left join (select id, sum(messages)::bigint as messages from found where lead_id is null group by id) m on m.id = c.id group by c.lead_id"""

        def assignees(keys: str) -> str:
            rows = pulled(matching("agents", "ag", "ag.id, ag.email", keys, snapshot))
            return f"""select k.id, coalesce(ag.email, nullif(k.id, '')) as shown
                from (select distinct coalesce(assigned_to, '') as id from fact) k left join {rows} ag on ag.id = k.id"""

        return (
            Dimension("assignee", "assigned_to", "assignee.id = coalesce(fact.assigned_to, '')", assignees, by="id"),
            Dimension("talks", "id", "talks.lead_id = fact.id", talks),
        )

    def carried(self, spec: PlanSpec, snapshot: str) -> tuple[Carried, ...]:
        nested = any("conversations" in keys for keys in spec.columns.values())
        return (Carried("conversations", "c", "lead_id", 120),) if nested else ()


def _column(key: str, kind: ColumnType, description: str, personal: bool = False) -> Column:
    return Column(key, key, kind, description, f"fact.{key}", personal=personal)


def _property_of(key: str) -> str | None:
    return key.removeprefix(CUSTOM) if key.startswith(CUSTOM) else None


def _custom(place: int, custom: CustomProperty) -> Column:
    key = f"{CUSTOM}{custom.name}"
    # In JSON all of them are inside custom_properties; one asked for by name stands by itself, where its key is free.
    formats = FLAT if key == "custom_properties" else None
    description = f"Custom property '{custom.name}' ({custom.type})"
    return Column(key, key, ColumnType.property, description, f"fact.custom_{place}", personal=True, formats=formats, default=FLAT)


def _search(q: str) -> str:
    """Part of name, email, company or a text property, any case (Unicode, the same in every database)."""

    properties = f"""exists (select from json_each(case when l.custom_properties = 'null' then '{{}}' else l.custom_properties end::json) p(k, v)
        where json_typeof(p.v) = 'string' and {holds_part("(p.v #>> '{}')", q)})"""
    return f"({' or '.join(holds_part(f'l.{c}', q) for c in ('name', 'email', 'company'))} or {properties})"


DATASET = Leads()
