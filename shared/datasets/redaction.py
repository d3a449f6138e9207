"""What a redaction says of a column, and what the manifest counts: docs/redaction.md. How it is done: shared/formats/redaction.py."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from shared.datasets.plan import Column, ColumnType, Redaction, Rule

# How little a rule tells. Two different ones of the same rank (a text's beginning, a time's year) leave nothing together.
RANKS: dict[Rule, int] = {"keep": 0, "truncate": 2, "year": 2, "hash": 3, "mask": 4, "remove": 5}
_NO_RULE = 1  # patterns are looked for
# In a column of these types patterns are looked for; the others hold numbers, times, yes or no.
SEARCHED = (ColumnType.text, ColumnType.texts, ColumnType.property, ColumnType.json)


def stricter(a: Rule | None, b: Rule | None) -> Rule | None:
    """The rule that tells less; null is no rule: the text stays, but for what patterns find."""
    rank_a, rank_b = (RANKS[rule] if rule else _NO_RULE for rule in (a, b))
    if rank_a == rank_b and a != b:
        return "mask"
    return a if rank_a >= rank_b else b


def rule_of(column: Column, redaction: Redaction | None) -> Rule | None:
    """The rule that holds for a column; null: none, but patterns may."""
    if redaction is None:
        return None
    rule = redaction.columns.get(column.key)
    for key in column.also:
        # What is to be kept of another column says nothing about this one.
        if (other := redaction.columns.get(key)) not in (None, "keep"):
            rule = stricter(rule, other)
    return rule


def shown(column: Column, redaction: Redaction | None) -> Column:
    """The column as files show it."""
    rule = rule_of(column, redaction)
    return column if rule in (None, "keep") else replace(column, type=ColumnType.text, plain=False)


def inner_rules(column: Column, redaction: Redaction) -> dict[str, tuple[str, Rule]]:
    """Key inside the column's JSON (or pieces) → the rule's column and the rule."""
    if column.type is not ColumnType.json and column.pieces is None:
        return {}
    found: dict[str, tuple[str, Rule]] = {}
    for key, rule in redaction.columns.items():
        if rule != "keep" and (inside := column.inside(key)) is not None:
            _, other = found.get(inside, (key, rule))
            found[inside] = (key, stricter(rule, other) or rule)
    return found


def column_counters(columns: Iterable[Column], redaction: Redaction) -> list[str]:
    """Keys of the rules that are counted in these columns, in order: those of the columns, then those of what is inside them."""
    columns = list(columns)
    ruled = [c.key for c in columns if rule_of(c, redaction) not in (None, "keep")]
    inner = [key for c in columns if rule_of(c, redaction) is None for key, _ in inner_rules(c, redaction).values()]
    return list(dict.fromkeys([*ruled, *inner]))


def pattern_names(redaction: Redaction) -> list[str]:
    """Names of what is looked for in texts, in the order in which it is: what organisations wrote themselves comes first."""
    return [*(p.name for p in redaction.patterns), *redaction.detect]


def counter_names(columns: Iterable[Column], redaction: Redaction) -> list[str]:
    """Everything that is counted, in order: `columns.<key>`, `patterns.<name>`."""
    return [*(f"columns.{key}" for key in column_counters(columns, redaction)), *(f"patterns.{name}" for name in pattern_names(redaction))]


def added(sofar: Mapping[str, int] | None, more: Mapping[str, int]) -> dict[str, int] | None:
    """Counts with those of one more chunk. Null, and it stays so, where a chunk came without: a formatter of before wrote it."""
    if sofar is None or not more:
        return None
    return {**sofar, **{name: sofar.get(name, 0) + count for name, count in more.items()}}


def told(columns: Sequence[Column], redaction: Redaction, counts: Mapping[str, int] | None) -> dict[str, object]:
    """What the manifest says: the profile, the rules and patterns that were applied, and how often (null: not known)."""
    rules: dict[str, Rule] = {}
    for column in columns:
        if (rule := rule_of(column, redaction)) not in (None, "keep"):
            rules[column.key] = rule
    rules = dict(redaction.columns) | rules

    # Columns that rows bring are known by their counts only.
    brought = [name.removeprefix("columns.") for name in counts or () if name.startswith("columns.")]
    keys = dict.fromkeys([*column_counters(columns, redaction), *brought])

    def count(name: str) -> int | None:
        return None if counts is None else counts.get(name, 0)

    return {
        "profile": redaction.profile,
        "columns": [{"column": key, "rule": rules[key], "values": count(f"columns.{key}")} for key in keys],
        "patterns": [{"name": name, "matches": count(f"patterns.{name}")} for name in pattern_names(redaction)],
    }
