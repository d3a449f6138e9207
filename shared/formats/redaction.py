"""Redaction in DuckDB, between a column's SQL and a format's cell: docs/redaction.md. What holds for a column is said in shared/datasets/redaction.py.

A relation (the facts, or a dimension) is read through a row of subqueries: the first takes the columns' values and does what rules say, the next look for one
pattern after the other, the last puts JSON together again. What each found is counted in columns beside them.
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from shared.datasets.plan import REDACTED, Column, ColumnType, Redaction, Rule
from shared.datasets.redaction import SEARCHED, inner_rules, rule_of
from shared.datasets.sql import duck_literal
from shared.formats.detectors import DETECTORS, Pattern
from shared.formats.json import quoted

_TOGETHER = "array_to_string(_all, chr(1))"
_BLOCK = 64  # bytes, of SHA-256
_ENDS = re.compile(r"[$^]|\\[AzB]")
_JSON = (ColumnType.json, ColumnType.property)


def macros() -> str:
    """Statements that define what expressions here need; once a connection."""
    checks = (Path(__file__).parent / "redaction.sql").read_text("utf-8")
    return checks + "\n".join(f"{_macro(name, pattern)};" for name, pattern in DETECTORS.items())


def _macro(name: str, pattern: Pattern) -> str:
    regex = duck_literal(pattern.regex)
    if pattern.check:
        # Every second piece is a candidate: no text holds U+0000. DuckDB's own split by a pattern forgets what stands before the rest of a text, and finds others.
        pieces = f"string_split(regexp_replace(x, {regex}, chr(0) || '\\0' || chr(0), 'g'), chr(0))"
        is_one = f"i % 2 = 0 and {pattern.check}(piece)"
        text = f"array_to_string(list_transform({pieces}, lambda piece, i: case when {is_one} then '{REDACTED}' else piece end), '')"
        count = f"len(list_filter({pieces}, lambda piece, i: {is_one}))"
        seen = f"{pattern.quick} and regexp_matches(x, {regex})"
    else:
        text, count, seen = f"regexp_replace(x, {regex}, '{REDACTED}', 'g')", f"len(regexp_extract_all(x, {regex}))", pattern.quick
    return f"""
        create or replace temp macro redact_{name}(x) as case when {seen} then {text} else x end;
        create or replace temp macro count_{name}(x) as coalesce({count}, 0)"""


def pseudonym_key(secret: bytes, org_id: str, profile: str) -> bytes:
    """The key of an organisation's profile (HKDF-SHA-256, RFC 5869): whoever has it can't tell another's, nor the secret."""
    extracted = hmac.digest(b"waybill pseudonyms", secret, "sha256")
    info = b"\x00".join([org_id.encode(), profile.encode()])
    return hmac.digest(extracted, info + b"\x01", "sha256")


def key_statements(key: bytes) -> list[str]:
    """Statements that set the key of `pseudonym` on a connection. Without one a pseudonym is null, never a value."""
    block = (key if len(key) <= _BLOCK else hashlib.sha256(key).digest()).ljust(_BLOCK, b"\x00")
    pads = (("inner", 0x36), ("outer", 0x5C))
    return [f"set variable pseudonym_{name} = unhex('{bytes(b ^ pad for b in block).hex()}')" for name, pad in pads]


def needs_key(redaction: Redaction | None) -> bool:
    return redaction is not None and "hash" in redaction.columns.values()


@dataclass(frozen=True)
class Redacted:
    """A relation as it is read: `over` makes it of what it was (a table or a query in parentheses), `cells` are its columns as formats get them;
    `counts` counter → expressions over its row."""

    over: Callable[[str], str]
    cells: Mapping[Column, Column]
    counts: Mapping[str, Sequence[str]]


def redacted(alias: str, columns: Iterable[Column], redaction: Redaction | None, family: str) -> Redacted:
    """The relation whose columns have expressions over `alias`."""
    columns = dict.fromkeys(columns)
    if redaction is None:
        return Redacted(lambda relation: relation, {c: c for c in columns}, {})
    steps = _Steps(alias, redaction, family)
    cells = {c: steps.take(i, c) for i, c in enumerate(columns)}
    steps.search()
    return Redacted(steps.over, cells, steps.counts)


@dataclass
class _Value:
    """A column on its way: name of the column that holds its text, or (`is_list`) its texts, and what they come from."""

    name: str
    is_list: bool
    tokens: str = ""
    finish: str = ""


class _Steps:
    """Collects the expressions of each subquery."""

    def __init__(self, alias: str, redaction: Redaction, family: str) -> None:
        self._alias, self._redaction, self._family = alias, redaction, family
        self.values: list[str] = []  # of the first
        self._derived: list[str] = []  # of the second: lists of texts, from tokens
        self._ruled: list[str] = []  # of the third: rules inside
        self._inner_counts: list[str] = []
        self._searched: list[_Value] = []
        self._patterns: list[str] = []  # what each of the next selects, one pattern after the other
        self.counts: dict[str, list[str]] = {}

    def take(self, i: int, column: Column) -> Column:
        rule = rule_of(column, self._redaction)
        if rule == "keep" or (rule is None and (column.type not in SEARCHED or column.plain)):
            return column
        name = f"_v{i}"
        if rule is not None:
            self.values += [f"{ruled(column, rule, self._family)} as {name}", f"({_present(column)})::bigint as _c{i}"]
            self._count(f"columns.{column.key}", f"_c{i}")
        elif column.pieces is not None:
            self._pieces(i, name, column, column.pieces)
        elif column.type in _JSON:
            self._tokens(i, name, column)
        else:
            self.values.append(f"{column.sql} as {name}")
            self._searched.append(_Value(name, column.type is ColumnType.texts))
        kind = ColumnType.text if rule is not None else column.type
        return replace(column, type=kind, sql=f"{self._alias}.{name}", plain=False, pieces=None)

    def _count(self, counter: str, sql: str) -> None:
        self.counts.setdefault(counter, []).append(f"{self._alias}.{sql}")

    def _tokens(self, i: int, name: str, column: Column) -> None:
        self.values.append(f"json_tokens({column.sql}) as _t{i}")
        self._derived.append(f"list_transform(_t{i}, lambda t: token_value(t)) as {name}")
        rules = (
            {f"{quoted(key)}:": inner for key, inner in inner_rules(column, self._redaction).items()}
            if column.type is ColumnType.json
            else {}
        )
        if rules:
            before = f"list_zip(_t{i}, list_concat([null], _t{i}))"
            self._derived.append(f"list_transform({before}, lambda z: case when ends_with(z[2], '\":') then z[2] end) as _k{i}")
            self._inside(i, name, rules, lambda sql: f"json_text({sql})")
        finish = f"list_transform(list_zip(_t{i}, {name}), lambda z: case when starts_with(z[1], '\"') and z[2] is not null then json_text(z[2]) else token_with(z[1], z[2]) end)"
        self._searched.append(_Value(name, True, f"_t{i}", f"case when _t{i} is not null then array_to_string({finish}, '') end"))

    def _pieces(self, i: int, name: str, column: Column, pieces: str) -> None:
        self.values.append(f"{pieces} as _p{i}")
        self._derived += [
            f"list_transform(_p{i}, lambda p: p.{field}) as _{column_name}{i}"
            for field, column_name in (("k", "k"), ("v", "t"), ("v", "v"))
        ]
        if rules := inner_rules(column, self._redaction):
            self._inside(i, name, rules, lambda sql: f"coalesce({sql}, '')")
        finish = f"list_transform(list_zip(_t{i}, {name}), lambda z: coalesce(z[2], z[1], ''))"
        self._searched.append(_Value(name, True, f"_t{i}", f"case when _p{i} is not null then array_to_string({finish}, '') end"))

    def _inside(self, i: int, name: str, rules: dict[str, tuple[str, Rule]], written: Callable[[str], str]) -> None:
        """What rules say of values by their key: they are written at once, and no pattern looks at them any more."""
        zipped = f"list_zip(_k{i}, {name}, _t{i})"
        cases = " ".join(f"when z[1] = {duck_literal(key)} then {written(text_ruled('z[2]', rule))}" for key, (_, rule) in rules.items())
        keys = ", ".join(duck_literal(key) for key in rules)
        is_ruled = f"z[2] is not null and z[1] in ({keys})"
        self._ruled += [
            f"list_transform({zipped}, lambda z: case when {is_ruled} then case {cases} end else z[3] end) as _t{i}",
            f"list_transform({zipped}, lambda z: case when {is_ruled} then null else z[2] end) as {name}",
        ]
        for key, (column, _) in rules.items():
            counter = f"_i{i}_{len(self.counts)}"
            self._inner_counts.append(f"len(list_filter({zipped}, lambda z: z[2] is not null and z[1] = {duck_literal(key)})) as {counter}")
            self._count(f"columns.{column}", counter)

    def search(self) -> None:
        """Once all columns are taken: look for the patterns in those that have no rule.

        All texts of a row go through each pattern as one list: DuckDB makes a pattern ready for every place where it stands, which takes longer than a small chunk.
        """
        if not self._searched:
            return
        single, lists = [v for v in self._searched if not v.is_list], [v for v in self._searched if v.is_list]
        together = [
            f"[{', '.join(f'{v.name}::varchar' for v in single)}]::varchar[]",
            *(f"coalesce({v.name}, []::varchar[])" for v in lists),
        ]
        self._patterns.append(f"*, flatten([{', '.join(together)}]) as _all")
        self._patterns.append(f"*, {_TOGETHER} as _text")
        own = len(self._redaction.patterns)
        for n, (counter, found, text, count) in enumerate(_searches(self._redaction)):
            if own and n == own:  # what they left may hold what they tore apart
                self._patterns.append(f"* replace ({_TOGETHER} as _text)")
            changes = f"list_sum(list_transform(list_zip(_all, _new), lambda z: case when z[1] <> z[2] then {count.replace('§', 'z[1]')} else 0 end))"
            self._patterns += [
                f"*, case when {found} then list_transform(_all, lambda x: {text.replace('§', 'x')}) else _all end as _new",
                f"* exclude (_new) replace (_new as _all), case when {found} and _all <> _new then coalesce({changes}, 0) else 0 end::bigint as _f{n}",
            ]
            self._count(counter, f"_f{n}")
        apart, before = [f"_all[{i}] as {v.name}" for i, v in enumerate(single, 1)], str(len(single))
        for v in lists:
            apart.append(f"case when {v.name} is not null then _all[{before} + 1:{before} + len({v.name})] end as {v.name}")
            before += f" + coalesce(len({v.name}), 0)"
        self._patterns.append(f"* exclude (_all, _text) replace ({', '.join(apart)})")
        if finished := ", ".join(f"{v.finish} as {v.name}" for v in lists if v.finish):
            self._patterns.append(f"* replace ({finished})")

    def over(self, relation: str) -> str:
        if not self.values:
            return relation
        query = f"select *, {', '.join(self.values)} from {relation} {self._alias}"
        for selected in (*self._lists(), *self._patterns):
            query = f"select {selected} from ({query})"
        return f"({query})"

    def _lists(self) -> list[str]:
        derived = [f"*, {', '.join(self._derived)}"] if self._derived else []
        return derived + ([f"* replace ({', '.join(self._ruled)}), {', '.join(self._inner_counts)}"] if self._ruled else [])


def _searches(redaction: Redaction) -> list[tuple[str, str, str, str]]:
    """For each pattern: its counter; the condition on `_text`, all texts of a row, that it may find something; and the expressions (over §) of a text
    without what it finds, and of how often it finds something."""
    searches = []
    for own in redaction.patterns:
        regex, instead = duck_literal(own.pattern), duck_literal(own.replacement.replace("\\", "\\\\"))
        # The ends of a text aren't those of all texts.
        found = "true" if _ENDS.search(own.pattern) else f"regexp_matches(_text, {regex})"
        searches.append(
            (f"patterns.{own.name}", found, f"regexp_replace(§, {regex}, {instead}, 'g')", f"len(regexp_extract_all(§, {regex}))")
        )
    for name in redaction.detect:
        regex = duck_literal(DETECTORS[name].regex)
        searches.append((f"patterns.{name}", f"regexp_matches(_text, {regex})", f"redact_{name}(§)", f"count_{name}(§)"))
    return searches


# ---- rules


def text_ruled(sql: str, rule: Rule) -> str:
    """A text as a rule leaves it; null stays null."""
    match rule:
        case "remove":
            return "null::varchar"
        case "mask":
            return f"case when {sql} is not null then '{REDACTED}' end"
        case "hash":
            return f"pseudonym({sql})"
        case "truncate":
            return f"beginning({sql})"
        case "year":
            return f"year_of({sql})"
        case "keep":
            return sql


def ruled(column: Column, rule: Rule, family: str) -> str:
    """A column's value as a rule leaves it, always a text: of a list a pseudonym for each entry, of a time its year; other rules leave nothing of what isn't text."""
    sql, kind = f"({column.sql})", column.type
    match rule, kind:
        case ("remove", _):
            return "null::varchar"
        case ("hash", ColumnType.texts):
            return f"joined(list_transform({sql}, lambda entry: pseudonym(entry)))"
        case ("hash", ColumnType.timestamp):
            return f"pseudonym(epoch_us({sql})::varchar)"
        case ("hash", ColumnType.property):
            return f"pseudonym({_property(sql)})"
        case ("hash", ColumnType.json):
            return f"pseudonym(nullif({sql}, 'null'))"
        case ("hash", _):
            return f"pseudonym({sql}::varchar)"
        case ("year", ColumnType.timestamp):
            return f"left(utc_seconds({sql}), 4)" if family == "leads" else f"left(local_text({sql}), 4)"
        case ("year", ColumnType.date):
            return f"left({sql}::varchar, 4)"
        case ("truncate" | "year", ColumnType.text):
            return text_ruled(sql, rule)
        case ("truncate" | "year", ColumnType.property):
            text = text_ruled(f"({sql}->>'$')", rule)
            return f"case when starts_with({sql}, '\"') then {text} when {_present(column)} then '{REDACTED}' end"
        case _:
            return f"case when {_present(column)} then '{REDACTED}' end"


def _property(sql: str) -> str:
    return f"case when starts_with({sql}, '\"') then ({sql}->>'$') else nullif({sql}, 'null') end"


def _present(column: Column) -> str:
    if column.type in _JSON:
        return f"nullif(({column.sql}), 'null') is not null"
    if column.type is ColumnType.texts:
        return f"coalesce(len(({column.sql})) > 0, false)"
    return f"({column.sql}) is not null"


def missing(column: Column, redaction: Redaction | None, family: str) -> Column:
    """The column's value where its dimension has no row, as formats get it: nothing to look for in there."""
    rule, bare = rule_of(column, redaction), replace(column, sql=column.missing)
    if rule in (None, "keep"):
        return bare
    return replace(bare, sql=ruled(bare, rule, family), type=ColumnType.text, plain=False)


def counted_missing(column: Column) -> str:
    """Whether a rule has something to redact there."""
    return f"({_present(replace(column, sql=column.missing))})::bigint"
