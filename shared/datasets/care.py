"""What the datasets of the customer-care family share: keys of columns, filters, and relations that name things by their ids."""

import re
from collections.abc import Callable

from shared.datasets.base import any_of
from shared.datasets.filters import Filter, Texts
from shared.datasets.plan import Column, ColumnType, Dimension, PlanSpec
from shared.datasets.sql import current, instant, lookup, matching, pulled


class ChannelFilter(Filter):
    """What a request wants: what belongs to conversations on these channels or media."""

    channel: Texts | None = None
    medium: Texts | None = None


def care_key(header: str) -> str:
    """The key of a care family column from its header (derivations.md, "Keys")."""
    text = header.lower().replace("(date / time)", "").replace("(s)", " s")
    return re.sub(r"[^a-z0-9]+", "_", text).strip("_")


def column(
    header: str, description: str, sql: str = "", kind: ColumnType = ColumnType.text, personal: bool = False, plain: bool = False
) -> Column:
    """A column; `sql` is the field of the same key where not given, and names its source in front of the first dot."""
    key = care_key(header)
    sql = sql or f"fact.{key}"
    source = match[1] if (match := re.match(r"(\w+)\.", sql)) else "fact"
    missing = "[]::varchar[]" if kind is ColumnType.texts else "null::varchar"
    return Column(key, header, kind, description, sql, source, missing, personal, plain=plain)


CHANNEL = [
    column("Medium", "Medium of the channel"),
    column("Channel", "Name of the channel"),
    column("Channel Display Name", "Display name of the channel"),
]
CHANNEL_FIELDS = "ch.medium, ch.name as channel, ch.display_name as channel_display_name"


def during(alias: str, time: str, spec: PlanSpec, snapshot: str, table: str) -> str:
    """The condition that a row `alias` of `table` is seen by the snapshot and its `time` is inside the spec's range."""
    return " and ".join([current(alias, snapshot, table), *(f"{alias}.{time} {sign} {bound}" for sign, bound in bounds(spec))])


def bounds(spec: PlanSpec) -> list[tuple[str, str]]:
    """The spec's range: (">=", from) and ("<", to), as far as they are given."""
    return [(sign, instant(bound.isoformat())) for sign, bound in ((">=", spec.from_), ("<", spec.to)) if bound is not None]


def on_channels(spec: PlanSpec, conversation_id: str, snapshot: str) -> list[str]:
    """The filter as conditions on what belongs to the conversation `conversation_id` (a PostgreSQL expression)."""
    names = (("channel", "fc.channel_id"), ("medium", "fch.medium"))
    wanted = [any_of(sql, spec.filter[name]) for name, sql in names if name in spec.filter]
    if not wanted:
        return []
    channel = lookup("channels", "fch", "fc.channel_id", snapshot) if "medium" in spec.filter else ""
    conversation = f"ingest.conversations fc {channel} where fc.id = {conversation_id} and {current('fc', snapshot, 'conversations')}"
    return [f"exists (select from {conversation} and {' and '.join(wanted)})"]


# ---- dimensions: each has a row for every key and one for '' (which is no id), so that every fact has exactly one


def channel(key: str, snapshot: str) -> Dimension:
    """`channel`: medium, name, display_name of the channel whose id is the fact's `key`."""
    return _named("channel", key, lambda k: f"""
        select k.id as key, ch.medium, ch.name, ch.display_name
        from unnest(array_append({k}, '')) k(id) {lookup("channels", "ch", "k.id", snapshot)}""")  # fmt: skip


def contact(key: str, snapshot: str) -> Dimension:
    """`contact`: id (also of one that isn't known), medium and identifiers of the contact whose id is the fact's `key`."""

    def select(keys: str) -> str:
        contacts = matching("contacts", "ct", "ct.id, ct.medium, ct.primary_identifier, ct.secondary_identifier", keys, snapshot)
        return f"""
            select k.key, nullif(k.key, '') as id, ct.medium, ct.primary_identifier, ct.secondary_identifier
            from (select distinct coalesce({key}, '') as key from fact) k left join {pulled(contacts)} ct on ct.id = k.key"""

    return Dimension("contact", key, f"contact.key = coalesce(fact.{key}, '')", select, by="key")


def agent(name: str, key: str, snapshot: str) -> Dimension:
    """`name`: id (also of one that isn't known), name, email, reference, team_id and team (its name) of the agent whose id is the fact's `key`."""
    return _named(name, key, lambda k: f"""
        select k.id as key, nullif(k.id, '') as id, a.name, a.email, a.reference, a.team_id, t.name as team
        from unnest(array_append({k}, '')) k(id) {lookup("agents", "a", "k.id", snapshot)} {lookup("teams", "t", "a.team_id", snapshot)}""")  # fmt: skip


def team(key: str, snapshot: str) -> Dimension:
    """`team`: id (also of one that isn't known) and name of the team whose id is the fact's `key`."""
    return _named("team", key, lambda k: f"""
        select k.id as key, nullif(k.id, '') as id, t.name
        from unnest(array_append({k}, '')) k(id) {lookup("teams", "t", "k.id", snapshot)}""")  # fmt: skip


def _named(name: str, key: str, select: Callable[[str], str]) -> Dimension:
    return Dimension(name, key, f"{name}.key = coalesce(fact.{key}, '')", lambda k: f"select * from {pulled(select(k))}", by="key")
