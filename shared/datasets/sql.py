"""How values and identifiers get into SQL text, and what every query of a versioned table says.

DuckDB's postgres_query takes text, so values travel as literals. `literal` is the only function that makes one: everything
else here and in the dataset modules goes through it.
"""

import re
from collections.abc import Iterable

# The tables that keep versions: <table>_current and <table>_ended.
VERSIONED = (
    "agents", "bots", "campaigns", "channels", "contacts", "conversations", "events", "lead_scores", "leads", "locks", "messages", "presences", "tags", "teams", "topics", "visits",
)  # fmt: skip

# Those whose rows are counted by an index alone, where that is possible (`Settled.counted`).
COUNTED = ("conversations", "events", "lead_scores", "leads", "messages")
# In so many notes of new ids (up to forty each), and so many ended rows, an index is still asked instead of the rows.
_NOTES_MAX, _ENDED_MAX = 250, 10_000
# Many times what these can be: it tells PostgreSQL that they fit into memory, whatever its statistics say. It would compare each with every row otherwise.
_CHANGED_LIMIT = 200_000

# What `blocks` of a row counts (0045_read_by_index.sql): how many of so many bytes its texts fill.
BLOCK_BYTES = 512

_OWN = "{}.org_id = current_setting('app.org_id', true)"
_SNAPSHOT = re.compile(r"\d+:\d+:(\d+(,\d+)*)?")

# Keyset chunks want the index that is already in order, and lookups by key: never a scan, a sort or a hash of a whole table.
SESSION_SETTINGS: dict[str, str] = {
    "TimeZone": "UTC",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "max_parallel_workers_per_gather": "0",
    "work_mem": "32MB",  # what adds many rows up would write its groups to disk and read them again
    "jit": "off",
}


def literal(value: str) -> str:
    """`value` as a SQL string literal, safe in PostgreSQL whatever standard_conforming_strings says.

    Raises ValueError for what no text column can hold: U+0000 and lone surrogates.
    """
    _check(value)
    quoted = value.replace("'", "''")
    return f"'{quoted}'" if "\\" not in quoted else "E'" + quoted.replace("\\", "\\\\") + "'"


def duck_literal(value: str) -> str:
    """`value` as a DuckDB string literal (backslashes mean themselves there). Raises ValueError as `literal` does."""
    _check(value)
    return "'" + value.replace("'", "''") + "'"


def texts(values: list[str]) -> str:
    """A text[] literal."""
    elements = ",".join('"' + v.replace("\\", "\\\\").replace('"', '\\"') + '"' for v in values)
    return literal("{" + elements + "}") + "::text[]"


def instant(value: str) -> str:
    """A timestamptz literal of an ISO 8601 text with offset."""
    return literal(value) + "::timestamptz"


def snapshot_literal(snapshot: str) -> str:
    """A pg_snapshot literal; raises ValueError where `snapshot` isn't what pg_current_snapshot() prints."""
    if not _SNAPSHOT.fullmatch(snapshot):
        raise ValueError(f"not a PostgreSQL snapshot: {snapshot[:100]!r}")
    return f"'{snapshot}'::pg_snapshot"


class Settled(str):
    """A snapshot, and the tables in which no row of the organisation has ended since: all that it sees of them lies among the current rows.

    `counted`: the tables of which little has changed since, so that the index of the current rows, but for those that changed, is what it sees.
    For one PostgreSQL transaction alone, whose own snapshot that was found with: a row that ends meanwhile is still a current one there.
    """

    tables: frozenset[str]
    counted: frozenset[str]

    def __new__(cls, snapshot: str, found: Iterable[str]) -> "Settled":
        """`found`: what `settled_tables` tells."""
        made, names = super().__new__(cls, snapshot), list(found)
        made.tables = frozenset(name for name in names if not name.startswith("+"))
        made.counted = frozenset(name.removeprefix("+") for name in names if name.startswith("+"))
        return made


def settled_tables(snapshot: str) -> str:
    """PostgreSQL query for the tables of which nothing has ended since the snapshot, and, behind a +, those that may be counted: one text, separated by commas."""
    settled = [(table, f"not exists (select {_ended(table, snapshot)})") for table in VERSIONED]
    counted = [(f"+{table}", _little_has_changed(table, snapshot)) for table in COUNTED]
    tables = ", ".join(f"({literal(name)}, {holds})" for name, holds in settled + counted)
    return f"select coalesce(string_agg(name, ','), '') as tables from (values {tables}) t(name, holds) where holds"


def _little_has_changed(table: str, snapshot: str) -> str:
    noted = f"(select bool_and(pg_visible_in_snapshot(n.since, {snapshot_literal(snapshot)})) from ingest.arrivals_noted n)"
    few = [
        f"(select count(*) from (select {rows} limit {most + 1}) t) <= {most}"
        for rows, most in ((_notes(table, snapshot), _NOTES_MAX), (_ended(table, snapshot), _ENDED_MAX))
    ]
    return " and ".join([noted, *few])


def _ended(table: str, snapshot: str) -> str:
    """What stands behind SELECT for the rows that the snapshot may not have seen ending."""
    return f"from ingest.{table}_ended xe where {own('xe')} and xe.ended >= {oldest_unseen(snapshot)}"


def _notes(table: str, snapshot: str) -> str:
    """What stands behind SELECT for the notes of new ids that the snapshot doesn't see."""
    unseen = f"xa.added >= {oldest_unseen(snapshot)} and not pg_visible_in_snapshot(xa.added, {snapshot_literal(snapshot)})"
    return f"from ingest.arrivals xa where {own('xa')} and xa.type = {literal(table)} and {unseen}"


def _changed(table: str, snapshot: Settled) -> str:
    """PostgreSQL query for the ids of the current rows that the snapshot doesn't see as they are; some may be of no row any more."""
    changed = f"select unnest(xa.ids) as id {_notes(table, snapshot)}"
    if table not in snapshot.tables:
        changed += (
            f" union all select xe.id {_ended(table, snapshot)} and not pg_visible_in_snapshot(xe.ended, {snapshot_literal(snapshot)})"
        )
    return f"select id from ({changed}) x limit {_CHANGED_LIMIT}"


def counts(table: str, owner: str, keys: str, snapshot: str) -> str:
    """PostgreSQL query for `owner` and `n`: how many rows of a versioned table name each of `keys` (text[]) there. It may give a key twice: its counts add up.

    Where little has changed, the index by `owner` is counted alone, what changed is taken off again, and what it was before is added: no row is read but those.
    """

    def counted(partition: str, n: str, condition: str) -> str:
        return f"select r.{owner}, {n} as n from ingest.{table}{partition} r where r.{owner} is not null and {condition} group by r.{owner}"

    theirs = f"r.{owner} = any({keys})"
    if not isinstance(snapshot, Settled) or table not in snapshot.counted:
        return counted("", "count(*)", f"{theirs} and {current('r', snapshot, table)}")
    # Of the few that changed: `is true` keeps PostgreSQL from sorting all keys for them, and from hashing them before there is one.
    among_them = f"(r.{owner} in (select unnest({keys}))) is true"
    found = [
        counted("_current", "count(*)", f"{theirs} and {own('r')}"),
        counted("_current", "-count(*)", f"r.id = any(array({_changed(table, snapshot)})) and {own('r')} and {among_them}"),
    ]
    if table not in snapshot.tables:
        found.append(counted("_ended", "count(*)", f"{replaced_since('r', snapshot)} and {among_them}"))
    return " union all ".join(found)


def current(alias: str, snapshot: str, table: str = "") -> str:
    """The condition that a row version of `alias` is the organisation's and is seen by `snapshot`.

    The organisation is named as the row-level policy names it, so that the planner sees one condition and not two that every lookup compares.
    Where the `table` is settled, the condition says that the row is current, and PostgreSQL leaves the partition of the ended ones out.
    """
    if isinstance(snapshot, Settled) and table in snapshot.tables:
        return f"{unreplaced(alias, snapshot)} and {alias}.ended is null"
    s = snapshot_literal(snapshot)
    return (
        f"{_OWN.format(alias)} and pg_visible_in_snapshot({alias}.added, {s})"
        f" and ({alias}.ended is null or not pg_visible_in_snapshot({alias}.ended, {s}))"
    )


def unreplaced(alias: str, snapshot: str, table: str = "") -> str:
    """`current`, of a row in <table>_current.

    Where little has changed in the `table`, the condition names the row's id alone, so that an index answers it. As a subquery PostgreSQL hashes it.
    """
    if isinstance(snapshot, Settled) and table in snapshot.counted:
        return f"{own(alias)} and {alias}.id not in ({_changed(table, snapshot)})"
    return f"{_OWN.format(alias)} and pg_visible_in_snapshot({alias}.added, {snapshot_literal(snapshot)})"


def seen(table: str, alias: str, snapshot: str) -> tuple[str, str]:
    """What stands behind FROM, and the condition, for the rows of a versioned table that the snapshot sees.

    Of a settled table these are current rows; where little has changed too, an index answers a query that asks for nothing which it doesn't hold.
    """
    if isinstance(snapshot, Settled) and table in snapshot.tables:
        return f"ingest.{table}_current {alias}", unreplaced(alias, snapshot, table)
    return f"ingest.{table} {alias}", current(alias, snapshot)


def there(table: str, alias: str, condition: str, snapshot: str) -> str:
    """What stands behind FROM for those of a versioned table's rows that the snapshot sees and that fulfil `condition`."""
    rows, are_seen = seen(table, alias, snapshot)
    return f"{rows} where {condition} and {are_seen}"


def replaced_since(alias: str, snapshot: str) -> str:
    """`current`, of a row in <table>_ended: only what ended after the snapshot can be, which its index finds, however much ended before."""
    return f"{current(alias, snapshot)} and {alias}.ended >= {oldest_unseen(snapshot)}"


def between(column: str, earlier: str, later: str) -> str:
    """The condition that what the transaction in `column` did is seen by the snapshot `later` and wasn't by `earlier`."""
    return f"(pg_visible_in_snapshot({column}, {snapshot_literal(later)}) and not pg_visible_in_snapshot({column}, {snapshot_literal(earlier)}))"


def oldest_unseen(snapshot: str) -> str:
    """No transaction before this one is unseen by the snapshot: where an index may begin."""
    snapshot_literal(snapshot)
    return f"'{snapshot.partition(':')[0]}'::xid8"


def own(alias: str) -> str:
    """The condition that a row of `alias` is the organisation's, in the words of the row-level policy."""
    return _OWN.format(alias)


def lookup(table: str, alias: str, key: str, snapshot: str) -> str:
    """A left join that finds one row of a versioned table by its id."""
    return f"left join {found(table, alias, f'{alias}.id = {key}', snapshot)}"


def found(table: str, alias: str, condition: str, snapshot: str) -> str:
    """What a join finds of a versioned table by an index, once for each row on its left: `condition` names the left side.

    OFFSET 0 keeps PostgreSQL from turning the join round. Before a table's first ANALYZE it would read the whole index for every key.
    """
    return f"lateral (select * from {there(table, alias, condition, snapshot)} offset 0) {alias} on true"


def matching(table: str, alias: str, columns: str, keys: str, snapshot: str) -> str:
    """PostgreSQL query for `columns` of a versioned table's rows whose ids are among `keys` (text[]).

    One walk along the index, which reads each of its pages once; a lookup a key (`found`) would go down the tree as often as there are keys, at three times the price.
    """
    return f"select {columns} from {there(table, alias, f'{alias}.id = {among(keys)}', snapshot)}"


def among(keys: str) -> str:
    """What stands behind `=` where a value is to be among `keys` (text[], of thousands). As a subquery: the planner would look at each of a literal's, which takes
    as long as finding the rows."""
    return f"any((select {keys})::text[])"


def hashed(relation: str, alias: str, key: str, by: str = "id") -> str:
    """A left join by a hash with what was found for the rows on its left: nothing else may be in `relation`. For many rows, where nothing has an index any more.

    Sessions plan no left join by a hash, and a full one by nothing else. PostgreSQL makes a left one of it where a condition on its left side isn't met by
    nulls: so what stands behind it says `given`, and `offset 0` where conditions come from outside.
    """
    return f"full join {relation} {alias} on {alias}.{by} = {key}"


def given(column: str) -> str:
    """The condition that something is not null, behind `hashed`: null meets it as far as the planner can tell."""
    return f"num_nonnulls({column}) = 1"


def pulled(query: str) -> str:
    """A PostgreSQL query as a table in DuckDB."""
    return f"postgres_query('pg', {duck_literal(query)})"


def session_sql(org_id: str) -> str:
    """The statement that a transaction begins with: whose rows it sees, and how its queries are planned."""
    settings = {"app.org_id": org_id, **SESSION_SETTINGS}
    return "select " + ", ".join(f"set_config({literal(k)}, {literal(v)}, true) as s{i}" for i, (k, v) in enumerate(settings.items()))


def _check(value: str) -> None:
    if "\x00" in value:
        raise ValueError("text must not hold U+0000")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError("text must not hold a lone surrogate") from error
