"""Entries of the audit trail: who did what to what, from where and why. They go through the outbox of whoever did it, with the effect itself."""

import json
from collections.abc import Mapping
from typing import Any

from shared.clock import instant, utc_now
from shared.http import Principal
from shared.messages import AuditEntry
from shared.outbox import Outgoing, internal
from shared.topics import AUDIT_ENTRIES

OPERATOR = "operator:token"
PURPOSE_MAX = 500  # characters in which a caller may say why
OPERATORS_KEY = "operator"  # of messages that belong to no organisation


def entry(principal: Principal, action: str, subject: str, details: Mapping[str, Any] | None = None, purpose: str = "") -> Outgoing:
    """`action` is `<subject's kind>.<past participle>` (`lead.created`, `export.requested`), `subject` an id. `details` never hold secrets or a person's data."""
    return note(principal.org_id, f"key:{principal.key_id}", action, subject, details, principal.address, purpose)


def by_operator(
    action: str, subject: str, details: Mapping[str, Any] | None = None, address: str = "", org_id: str | None = None
) -> Outgoing:
    """What the operator did with the operator's token; without `org_id` it stands above all organisations."""
    return note(org_id, OPERATOR, action, subject, details, address)


def note(
    org_id: str | None,
    actor: str,
    action: str,
    subject: str,
    details: Mapping[str, Any] | None = None,
    address: str = "",
    purpose: str = "",
) -> Outgoing:
    """As `entry`, for what no API key did."""
    text = json.dumps(details or {}, ensure_ascii=False, sort_keys=True)
    at = instant(utc_now()) or ""
    return internal(AUDIT_ENTRIES, org_id or OPERATORS_KEY, AuditEntry(at, actor, org_id, action, subject, text, address, purpose))
