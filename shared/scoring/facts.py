"""The facts that rules ask about, each of one lead. Null where nothing is known of it."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from pathlib import Path
from typing import Literal

EmailKind = Literal["business", "free", "none"]
Kind = Literal["text", "texts", "number", "yes or no", "object"]
EMPTY_OBJECTS = ("", "null", "{}")


@dataclass(frozen=True, kw_only=True)
class Plain:
    """What is known of a lead, as it travels too (LeadChanged). `custom_properties` is JSON text; the counts and what follows are over the conversations that name it."""

    email_kind: EmailKind | None = None
    phone: str | None = None
    company: str | None = None
    title: str | None = None
    source: str | None = None
    tags: list[str] | None = None
    status: str | None = None
    last_intent: str | None = None
    custom_properties: str | None = None
    conversation_count: int | None = None
    visitor_message_count: int | None = None
    agent_message_count: int | None = None
    meeting_booked: bool | None = None
    qualification_triggered: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Facts(Plain):
    """All of it. A message has the score as text, so that it stays exact."""

    qualification_score: Decimal | None = None


KINDS: Mapping[str, Kind] = {
    "tags": "texts", "custom_properties": "object", "meeting_booked": "yes or no", "qualification_triggered": "yes or no",
    "conversation_count": "number", "visitor_message_count": "number", "agent_message_count": "number", "qualification_score": "number",
}  # fmt: skip
FACTS = {f.name: KINDS.get(f.name, "text") for f in fields(Facts)}


@functools.cache
def _free_domains() -> frozenset[str]:
    return frozenset(Path(__file__).with_name("free-mail-domains.txt").read_text("utf-8").split())


def email_kind(email: str) -> EmailKind:
    """By the domain, which is what follows the last `@`, in lower case."""
    _, at, domain = email.rpartition("@")
    if not at:
        return "none"
    return "free" if domain.lower() in _free_domains() else "business"
