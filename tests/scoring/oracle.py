"""What the scores must be in the end, from the records alone. It shares nothing with the services: no SQL, no rules' grammar, no facts."""

import re
from collections.abc import Callable, Iterable
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from tests.scoring.records import Record

FREE = {"gmail.com", "gmx.at"}  # of those that the records use
SENIOR = ["chief", "ceo", "cto", "cfo", "coo", "cmo", "founder", "owner", "president", "vp", "vice", "director", "head"]
Scored = tuple[int, list[dict[str, Any]]]
Rules = Callable[[dict[str, Any], list[dict[str, Any]], list[str], Decimal | None], list[tuple[str, Decimal]]]


def scores(records: Iterable[Record], rules: Rules) -> dict[str, Scored]:
    """(score, reasons) of each lead that is there in the end."""
    there = final(records)
    return {id_: score(id_, there, rules) for type_, id_ in there if type_ == "lead"}


def score(lead_id: str, there: dict[tuple[str, str], dict[str, Any]], rules: Rules) -> Scored:
    """(score, reasons) of one lead; `there`: what is left, as `final` gives it."""
    return _scored(rules(*known(lead_id, there)))


def final(records: Iterable[Record]) -> dict[tuple[str, str], dict[str, Any]]:
    """What is left: the data of the highest version of each id, unless that deletes it, or it was erased."""
    newest: dict[tuple[str, str], Record] = {}
    erased = set()
    for record in records:
        key = record["type"], record["id"]
        if record.get("op") == "erase":
            erased.add(key)
        elif key not in newest or record["version"] > newest[key]["version"]:
            newest[key] = record
    return {key: record["data"] for key, record in newest.items() if "data" in record and key not in erased}


def known(lead_id: str, there: dict[tuple[str, str], dict[str, Any]]) -> Any:
    """The lead, its conversations, who sent each of their messages, and the last qualification."""
    talks = {id_: data for (type_, id_), data in there.items() if type_ == "conversation" and data.get("lead_id") == lead_id}
    senders = [
        (d.get("sender") or {}).get("kind") for (type_, _), d in there.items() if type_ == "message" and d["conversation_id"] in talks
    ]  # fmt: skip
    checks = [
        (data["at"], id_, data["data"]["score"]) for (type_, id_), data in there.items()
        if type_ == "event" and data["kind"] == "qualification_check" and data["conversation_id"] in talks and data["data"].get("score") is not None
    ]  # fmt: skip
    return there["lead", lead_id], list(talks.values()), senders, Decimal(str(max(checks)[2])) if checks else None


def default_rules(
    lead: dict[str, Any], talks: list[dict[str, Any]], senders: list[str], qualification: Decimal | None
) -> list[tuple[str, Decimal]]:
    words = re.findall("[a-z0-9ö]+", (lead.get("title") or "").lower())
    _local, at, domain = lead["email"].rpartition("@")
    points = {
        "qualification": (qualification or 0) * Decimal("0.5"),
        "meeting_booked": 20 * any(t.get("meeting_booked") for t in talks),
        "business_email": 8 * (at == "@" and domain.lower() not in FREE),
        "phone_given": 4 * bool(lead.get("phone")),
        "company_given": 4 * bool(lead.get("company")),
        "senior_title": 10 * any(word in SENIOR for word in words),
        "engagement": min(senders.count("visitor"), 10),
        "buying_intent": 10 * (lead.get("last_intent") in ("demo_request", "pricing", "purchase", "contact_sales")),
        "lost": -40 * (lead.get("status") == "lost"),
    }
    return [(name, Decimal(value)) for name, value in points.items() if value]


# As a setting, and what it means.
OTHER_SETTING = {
    "rules": [
        {"rule": "agents", "points": "1.5 * agent_message_count"},
        {"rule": "vip", "when": "tags in [vip, VIP]", "points": 30},
        {"rule": "many", "when": "conversation_count in [2, 3, 4, 5, 6]", "points": "2 * conversation_count"},
        {"rule": "properties", "when": "custom_properties is given", "points": 0.25},
        {"rule": "pricing", "when": "last_intent == pricing (any case)", "points": 7},
        {"rule": "triggered", "when": "qualification_triggered", "points": "min(qualification_score, 50)"},
    ]
}


def other_rules(
    lead: dict[str, Any], talks: list[dict[str, Any]], senders: list[str], qualification: Decimal | None
) -> list[tuple[str, Decimal]]:
    points = {
        "agents": Decimal("1.5") * senders.count("agent"),
        "vip": 30 * ("vip" in lead.get("tags", [])),
        "many": 2 * len(talks) * (2 <= len(talks) <= 6),
        "properties": Decimal("0.25") * bool(lead.get("custom_properties")),
        "pricing": 7 * ((lead.get("last_intent") or "").lower() == "pricing"),
        "triggered": min(qualification or Decimal(0), Decimal(50)) if any(t.get("qualification_triggered") for t in talks) else 0,
    }
    return [(name, Decimal(value)) for name, value in points.items() if value]


def _scored(reasons: list[tuple[str, Decimal]]) -> Scored:
    total = min(max(sum((points for _, points in reasons), Decimal(0)), Decimal(0)), Decimal(100))
    return int(total.quantize(Decimal(1), rounding=ROUND_HALF_UP)), [{"rule": name, "points": float(points)} for name, points in reasons]
