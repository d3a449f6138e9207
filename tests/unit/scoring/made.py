"""Facts and rules for tests, and a second, naive reading of what the contract says a score is. It shares no code with shared/scoring."""

import unicodedata
from dataclasses import asdict
from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import Any

from hypothesis import strategies as st

from shared.scoring.facts import Facts

NUMBERS = ("conversation_count", "visitor_message_count", "agent_message_count", "qualification_score")
TEXTS = ("email_kind", "phone", "company", "title", "source", "status", "last_intent")
WORDS = ("ceo", "CEO", "Head", "of", "sales", "straße", "STRASSE", "vp2", "é", "none", "7")
SEPARATORS = (" ", "-", "_", ", ", "/", ".")

text = st.lists(st.sampled_from(WORDS), max_size=4).flatmap(
    lambda words: st.lists(st.sampled_from(SEPARATORS), min_size=len(words), max_size=len(words)).map(
        lambda marks: "".join(w + m for w, m in zip(words, marks, strict=True)).strip()
    )
)
counts = st.none() | st.integers(0, 30)
marks = st.none() | st.booleans()
scores = (
    st.none() | st.decimals(-50, 250, places=2) | st.sampled_from([Decimal("0.005"), Decimal("99.4999999999999999"), Decimal("1e+300")])
)
_words = st.none() | text
facts = st.builds(
    Facts, email_kind=st.none() | st.sampled_from(["business", "free", "none"]), phone=_words, company=_words, title=_words, source=_words,
    tags=st.none() | st.lists(text, max_size=3), status=_words, last_intent=_words, custom_properties=st.sampled_from([None, "null", "{}", '{"a":1}']),
    conversation_count=counts, visitor_message_count=counts, agent_message_count=counts, qualification_score=scores, meeting_booked=marks,
    qualification_triggered=marks,
)  # fmt: skip


@st.composite
def a_rule(draw: st.DrawFn) -> dict[str, Any]:
    """A rule as it is written, with what it says in `meant`: (operator, fact, values, any case), (shape, n, fact)."""
    fact = draw(st.sampled_from([*TEXTS, *NUMBERS, "tags", "meeting_booked", "custom_properties"]))
    meant: tuple[Any, ...] | None = None
    when = None
    match draw(st.sampled_from(["always", "holds", "given", "==", "in", "word"])):
        case "holds":
            when, meant = fact, ("holds", fact, [], False)
        case "given":
            when, meant = f"{fact} is given", ("given", fact, [], False)
        case "==" | "in" as operator if fact != "custom_properties":
            entries = (
                st.sampled_from(["true", "false"])
                if fact == "meeting_booked"
                else st.integers(0, 12).map(str)
                if fact in NUMBERS
                else st.sampled_from(WORDS)
            )
            values = [draw(entries)] if operator == "==" else draw(st.lists(entries, min_size=1, max_size=3))
            any_case = draw(st.booleans())
            literal = values[0] if operator == "==" else f"[{', '.join(values)}]"
            when, meant = f"{fact} {operator} {literal}{' (any case)' if any_case else ''}", ("is", fact, values, any_case)
        case "word" if fact in TEXTS or fact == "tags":
            values, any_case = draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=3)), draw(st.booleans())
            when, meant = f"{fact} has a word of [{','.join(values)}]{' (any case)' if any_case else ''}", ("word", fact, values, any_case)
    n = draw(st.integers(-60, 60) | st.decimals(-2, 2, places=3))
    counted = draw(st.sampled_from(NUMBERS))
    shape = draw(st.sampled_from(["number", "times", "min"]))
    points: Any = {"number": float(n) if isinstance(n, Decimal) else n, "times": f"{n} * {counted}", "min": f"min({counted}, {n})"}[shape]
    rule = {"rule": f"r{draw(st.integers(0, 10**6))}", "points": points, "meant": (meant, (shape, Decimal(str(n)), counted))}
    return rule if when is None else {**rule, "when": when}


rules = st.lists(a_rule(), max_size=6, unique_by=lambda rule: rule["rule"])


def naive_score(meant: list[dict[str, Any]], facts: Facts) -> tuple[int, list[tuple[str, Decimal]]]:
    """The contract's words, one by one."""
    known = asdict(facts)
    reasons, total = [], Decimal(0)
    with localcontext() as context:
        context.prec = 1000
        for rule in meant:
            when, (shape, n, counted) = rule["meant"]
            value = known[counted] if shape != "number" else 0
            if value is None or not _naively(when, known):
                continue
            points = n if shape == "number" else n * Decimal(value) if shape == "times" else min(Decimal(value), n)
            if points != 0:
                reasons.append((rule["rule"], points))
                total += points
        clamped = min(max(total, Decimal(0)), Decimal(100))
        return int(clamped.quantize(Decimal(1), rounding=ROUND_HALF_UP)), reasons


def _naively(when: tuple[Any, ...] | None, known: dict[str, Any]) -> bool:
    if when is None:
        return True
    operator, fact, values, any_case = when
    value = known[fact]
    if value is None:
        return False
    empty = value == "" or value == [] or (fact == "custom_properties" and value in ("null", "{}"))
    if operator == "given":
        return not empty
    if operator == "holds":
        return not empty and value is not False and value != 0

    def same(a: str, b: str) -> bool:
        return a.casefold() == b.casefold() if any_case else a == b

    entries = value if isinstance(value, list) else [value]
    if operator == "is":
        if isinstance(value, bool):
            return str(value).lower() in values
        if not isinstance(value, str | list):
            return any(Decimal(value) == Decimal(v) for v in values)
        return any(same(entry, v) for entry in entries for v in values)
    return any(same(word, v) for entry in entries for word in naive_words(entry) for v in values)


def naive_words(text: str) -> list[str]:
    """Maximal runs of letters and digits, by their Unicode category."""
    marked = "".join(c if unicodedata.category(c)[0] in "LN" else " " for c in text)
    return marked.split()
