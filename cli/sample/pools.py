"""Texts and names by language, filled in and escaped for JSON once, so that a message costs a look-up."""

import itertools
import json
import random
import tomllib
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

VARIANTS = 240
PRODUCTS = (
    "Northwind 300",
    "Aurora Pro",
    "Tidepool X2",
    "Basecamp Kettle",
    "Lumen Desk Lamp",
    "Acme Cloud",
    "Fjord Jacket",
    "Kite Router AX6000",
)
STEMS = (
    "Northwind", "Aurora", "Blue Harbour", "Solstice", "Kestrel", "Meridian", "Cobalt", "Verdant", "Quarry", "Halcyon", "Tessera",
    "Orchard",     "Pinnacle", "Ravelin", "Sable", "Umbra", "Vantage", "Willow", "Xenon", "Zephyr",
)  # fmt: skip
# What people paste, type by mistake or write so that a careless export breaks.
ODD = (
    "👍🏽", "👨‍👩‍👧‍👦 🇧🇪", "=1+1", "+32 470 12 34 56", "-", "@support can anyone help?", "Rue de l'Église 5\nboîte 3\n1000 Bruxelles",
    'He said "no", twice.',
    "a,b;c\td", "<b>URGENT</b> & \"important\"", "  leading and trailing  ", "C:\\Users\\acme\\invoice.pdf",
    "ＨＥＬＬＯ", "İstanbul'da mısınız?",
    "e\u0301cole",
    "line one\r\nline two", "100%", "{}", "null", "0471", "1e5", "\u200fمرحبا\u200e", "https://acme.example/search?q=a%20b&x=1,2",
)  # fmt: skip


def escaped(text: str) -> str:
    """`text` as it stands between the quotes of a JSON string."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


def slug(text: str) -> str:
    """ASCII letters and digits of `text`, for addresses; empty for a script that has none."""
    plain = unicodedata.normalize("NFKD", text.lower().translate(str.maketrans("łøßıđæ", "losida")))
    return "".join(c for c in plain if c.isascii() and c.isalnum())


@dataclass(frozen=True)
class Region:
    """Where visitors live: their language, clock, and share of all visitors."""

    number: int
    country: str
    zone: str
    dialling: str
    domain: str
    share: float
    language: "Language"
    group: str


@dataclass(frozen=True)
class Language:
    """One language's pools, each text escaped."""

    name: str
    given: list[str]
    family: list[str]
    latin_given: list[str]
    latin_family: list[str]
    family_first: bool
    free_mail: list[str]
    companies: list[str]
    opening: list[list[str]]
    visitor: list[str]
    agent: list[str]
    ai: list[str]
    thanks: list[str]
    regions: list[Region] = field(default_factory=list)


def load() -> list[Language]:
    """All languages with their regions, the same in every run."""
    raw = tomllib.loads((Path(__file__).parent / "languages.toml").read_text("utf-8"))["language"]
    numbers = itertools.count()
    return [_language(each, numbers) for each in raw]


def _language(raw: dict[str, Any], numbers: "itertools.count[int]") -> Language:
    rng = random.Random(raw["name"])

    def filled(texts: list[str], count: int) -> list[str]:
        return [_fill(rng, texts[n % len(texts)], raw["amount"]) for n in range(count)]

    language = Language(
        name=raw["name"], given=raw["given"], family=raw["family"],
        latin_given=raw.get("latin_given") or [slug(n) for n in raw["given"]],
        latin_family=raw.get("latin_family") or [slug(n) for n in raw["family"]],
        family_first=raw.get("family_first", False), free_mail=raw["free_mail"], companies=raw["companies"],
        opening=[filled([text], 40) for text in raw["opening"]],
        visitor=filled(raw["visitor"], VARIANTS), agent=filled(raw["agent"], VARIANTS), ai=filled(raw["ai"], VARIANTS // 2),
        thanks=filled(raw["thanks"], 12),
    )  # fmt: skip
    for country, zone, dialling, domain, share in raw["regions"]:
        group = {"America": "AMER", "Asia": "APAC", "Australia": "APAC"}.get(zone.split("/")[0], "EMEA")
        language.regions.append(Region(next(numbers), country, zone, dialling, domain, share, language, group))
    return language


def _fill(rng: random.Random, text: str, amounts: list[str]) -> str:
    return escaped(
        text.replace("{order}", f"#{rng.randrange(10_000, 1_000_000)}")
        .replace("{amount}", rng.choice(amounts))
        .replace("{product}", rng.choice(PRODUCTS))
    )


def odd_texts() -> list[str]:
    """Escaped texts that a careless export breaks on, one of them some kilobytes long."""
    log = "\n".join(f"2026-02-0{n % 9 + 1} 12:00:{n % 60:02d} ERROR worker-{n}: connection reset, retrying in {n} s" for n in range(60))
    return [*(escaped(text) for text in ODD), escaped(log)]
