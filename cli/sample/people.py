"""Who writes: a person follows from the seed and a number alone, so that none has to be remembered."""

import random
from dataclasses import dataclass

from cli.sample.pools import STEMS, Region, escaped, slug

TITLES = (
    "Head of Customer Care", "CTO", "Office Manager", "VP Sales", "Founder & CEO", "Buyer", "IT Director",
    "Marketing Lead", "Owner", "Operations Manager",
    "Student", "Chief of Staff", "Product Owner", "Team Lead Support",
)  # fmt: skip
INDUSTRIES = ("Retail", "Logistics", "Health care", "Software", "Travel", "Energy", "Education", "Food & drink")
PLANS = ("free", "team", "business", "enterprise")
ATTRIBUTES = (
    ("attr_tier", "Customer tier", "Dropdown"), ("attr_no", "Customer number", "Freeform"),
    ("attr_store", "Preferred store", "Dropdown"), ("attr_note", "Remark", "Freeform"),
)  # fmt: skip


@dataclass(frozen=True)
class Person:
    """All texts are escaped for JSON. `lead`: known to sales too. `draw` is the person's own source of chance."""

    code: str
    name: str
    email: str
    phone: str
    company: str
    title: str
    handle: str
    lead: bool
    business: bool
    channel_share: float
    draw: random.Random


def person(seed: int, region: Region, number: int) -> Person:
    """The `number`th person of `region`."""
    draw = random.Random((seed << 64) ^ (region.number << 48) ^ number)
    language = region.language
    g, f = draw.randrange(len(language.given)), draw.randrange(len(language.family))
    given, family = language.given[g], language.family[f]
    gap = "" if language.family_first and not family[0].isascii() and ord(family[0]) > 0x2E80 else " "
    name = f"{family}{gap}{given}" if language.family_first else f"{given} {family}"
    lead = draw.random() < 0.4
    business = draw.random() < (0.62 if lead else 0.12)
    stem = STEMS[draw.randrange(len(STEMS))]
    company = draw.choice(language.companies).format(stem=stem, family=family) if business or draw.random() < 0.1 else ""
    domain = (
        f"{slug(stem)}{slug(language.latin_family[f]) if draw.random() < 0.7 else ''}.{region.domain}"
        if business
        else draw.choice(language.free_mail)
    )
    box = draw.choice(("{g}.{f}", "{g}{f}{n}", "{i}.{f}", "{f}_{g}", "{g}+{n}")).format(
        g=language.latin_given[g], f=language.latin_family[f], i=language.latin_given[g][:1], n=number % 997
    )
    phone = f"{region.dialling}{draw.randrange(10**8, 10**9)}" if draw.random() < 0.7 else ""
    return Person(
        code=f"{region.number:02x}{number:06x}", name=escaped(name), email=f"{box}@{domain}", phone=phone, company=escaped(company),
        title=escaped(draw.choice(TITLES)) if business else "", handle=f"{slug(language.latin_given[g])}{number}",
        lead=lead, business=business,
        channel_share=draw.random(), draw=draw,
    )  # fmt: skip
