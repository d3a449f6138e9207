"""A lead's row of facts into the message that tells of it."""

from collections.abc import Mapping
from typing import Any

from shared.messages import LeadChanged
from shared.scoring.facts import email_kind
from shared.scoring.rules import model_of_text


def lead_changed(row: Mapping[str, Any], model_version: int, rules: str | None) -> LeadChanged:
    """`row`: the facts by name, and `email`, of which only the kind travels. Facts that no rule asks about stay here."""
    asked = model_of_text(rules or "").facts
    facts: dict[str, Any] = {name: email_kind(row["email"]) if name == "email_kind" else row[name] for name in asked}
    return LeadChanged(row["org_id"], row["id"], row["facts_version"], model_version, rules, **facts)
