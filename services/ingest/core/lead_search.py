"""Search: what a text is looked for as, and in which field of a lead it was found.

Words are found whole and, unless that is enough, by their beginning: all that begins like a common word takes longest to collect. Where that finds
little, each word also by what one typing error may have made of it: a letter too many, too few, another one, or two that changed places. So no index
of errors is needed: a word has some hundred such forms, and looking all of them up takes a millisecond.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Any

import orjson

from services.ingest.core.lead_lists import Page, page_of, status_of
from shared.errors import Detail, invalid_request

PARAMETERS = frozenset({"q", "page", "limit", "status"})
TEXT_MIN, TEXT_MAX, WORDS_MAX = 2, 200, 8
FUZZY_MIN = 4  # letters of a word that errors are forgiven in
_LATIN = "abcdefghijklmnopqrstuvwxyz0123456789"
_WORD = re.compile(r"[^\W_]+")
_ACCENTS = re.compile("[\u0300-\u036f]")


@dataclass(frozen=True)
class Search:
    text: str
    status: str | None
    page: Page


def search_of(query: Mapping[str, str]) -> Search:
    """Raises ApiError 400 naming every parameter that is wrong."""
    wrong: list[Detail] = []
    text = query.get("q")
    if text is None:
        wrong.append(Detail("q", "is required"))
    elif not TEXT_MIN <= len(text.strip()) <= len(text) <= TEXT_MAX or "\x00" in text:
        wrong.append(Detail("q", f"must have {TEXT_MIN} to {TEXT_MAX} characters"))
    page, status = page_of(query, wrong), status_of(query, wrong)
    if wrong:
        raise invalid_request(*wrong)
    return Search(text or "", status, page)


def by_beginning(words: Iterable[str]) -> str:
    """The query (PostgreSQL's tsquery, % for the organisation's mark) for leads that have all words, each by its beginning."""
    return " & ".join([f"'%{word}':*" for word in words])


def whole(words: Iterable[str]) -> str:
    return " & ".join([f"'%{word}'" for word in words])


def is_enough(text: str, found: int, enough: int) -> bool:
    """Whether the `found` leads that have all words whole are all that was meant: there are enough of them, or the text is an address that there is."""
    return found >= enough or ("@" in text and found > 0)


def of_status(status: str | None) -> str:
    """What follows a query that asks for one status."""
    return f" & '%S{status}'" if status is not None else ""


def wrong_forms(words: Iterable[str]) -> list[str]:
    """What one error may have made of any of the words."""
    return sorted({form for word in words if len(word) >= FUZZY_MIN for form in errors(word)})


def forgiving(words: Iterable[str], known: Set[str], trusted: Set[str] = frozenset()) -> str:
    """As by_beginning, with one error forgiven in each word that is long enough; `known` are the forms that there are. `trusted` words are meant as they
    are: a word in the index is skipped through for the leads that have the others, where one's beginnings would all be collected."""
    parts = []
    for word in words:
        if word in trusted:
            parts.append(f"'%{word}'")
            continue
        forms = sorted(errors(word) & known) if len(word) >= FUZZY_MIN else []
        parts.append(" | ".join([f"'%{word}':*", *[f"'%{form}'" for form in forms]]))
    return " & ".join([f"({part})" for part in parts])


def errors(word: str) -> set[str]:
    """What one error may have made this word of; of letters, those of the alphabet that it is written in, as far as the word tells."""
    letters = "".join(sorted(set(_LATIN if word.isascii() else _LATIN + word + _neighbours(word))))
    cuts = [(word[:at], word[at:]) for at in range(len(word) + 1)]
    made = {a + b[1:] for a, b in cuts if b} | {a + b[1] + b[0] + b[2:] for a, b in cuts if len(b) > 1}
    made |= {a + c + b[1:] for a, b in cuts if b for c in letters} | {a + c + b for a, b in cuts for c in letters}
    return made - {word}


def _neighbours(word: str) -> str:
    """The small letters of the blocks of 32 that the word's letters are in: alphabets other than Latin lie together."""
    firsts = {ord(c) // 32 * 32 for c in word if ord(c) > 127 and ord(c) < 0x2000}
    return "".join([chr(n) for first in sorted(firsts) for n in range(first, first + 32) if chr(n).isalpha() and chr(n).islower()])


def plain_words(text: str) -> list[str]:
    """As ingest.plain of PostgreSQL makes words."""
    return _WORD.findall(_ACCENTS.sub("", unicodedata.normalize("NFKD", text)).lower())


def match_field(words: list[str], lead: Mapping[str, Any]) -> str:
    """The field in which most of the words were found, whole words before beginnings before errors: name, email, company, customFields.<name>."""
    fields = {name: lead[name] or "" for name in ("name", "email", "company")}
    if lead["custom_properties"] not in ("null", "{}"):
        custom = orjson.loads(lead["custom_properties"])
        fields |= {
            f"customFields.{name}": value if isinstance(value, str) else str(value) for name, value in custom.items() if value is not None
        }
    forms = {word: errors(word) if len(word) >= FUZZY_MIN else set() for word in words}
    return max(fields, key=lambda name: _found(forms, plain_words(fields[name])))


def _found(forms: Mapping[str, set[str]], words: list[str]) -> int:
    found = 0
    for word, wrong in forms.items():
        if word in words:
            found += 100
        elif any(other.startswith(word) for other in words):
            found += 10
        elif not wrong.isdisjoint(words):
            found += 1
    return found
