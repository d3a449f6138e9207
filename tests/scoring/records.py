"""Random records of leads and their conversations. Each version of an id comes once with its own number, so whatever the order, and however often each comes, one
state is left in the end. Nobody is erased: that empties conversations as they are then, so what is left would hang on the order.
"""

import random
from typing import Any

Record = dict[str, Any]
EMAILS = ("a@gmail.com", "B@Acme.example", "nobody", "c@GMX.at", "d@shop.example")
TITLES = (None, "", "CEO", "Vice-President, Sales", "head of care", "Headteacher", "co_founder", "Directör")
INTENTS = (None, "pricing", "demo_request", "browsing", "Pricing")
STATUSES = (None, "new", "qualified", "lost", "lost", "converted")
KINDS = ("visitor", "visitor", "visitor", "agent", "ai", None)
SCORES = (None, 0, 12.5, 40, 72.98, 73, 99.5, -20, 250)
START = 1_767_225_600


def made(seed: int, leads: int = 12, prefix: str = "") -> list[Record]:
    """All records, in random order; some come twice."""
    dice = random.Random(seed)
    found: list[Record] = []
    for number in range(leads):
        found += _lead(dice, f"{prefix}lead_{number}")
    for number in range(leads * 2):
        found += _conversation(dice, f"{prefix}conv_{number}", prefix, leads)
    for number in range(leads * 12):
        found += _message(dice, f"{prefix}msg_{number}", prefix, leads * 2)
    for number in range(leads * 3):
        found += _event(dice, f"{prefix}event_{number}", prefix, leads * 2)
    found += dice.choices(found, k=len(found) // 4)
    dice.shuffle(found)
    return found


def _versions(dice: random.Random, type_: str, id_: str, data: Any, deleted: float = 0.1) -> list[Record]:
    """Up to three versions; some of them delete."""
    found = []
    for version in sorted(dice.sample(range(1, 100), dice.choice((1, 1, 2, 3)))):
        gone = dice.random() < deleted
        found.append({"type": type_, "id": id_, "version": version, **({"op": "delete"} if gone else {"data": data()})})
    return found


def _lead(dice: random.Random, id_: str) -> list[Record]:
    def data() -> dict[str, Any]:
        return _given({
            "email": dice.choice(EMAILS), "created_at": _time(0), "title": dice.choice(TITLES), "phone": dice.choice((None, "", "+32470123456")),
            "company": dice.choice((None, "Acme", "")), "status": dice.choice(STATUSES), "last_intent": dice.choice(INTENTS),
            "tags": dice.choice((None, [], ["vip"], ["a", "vip"])), "custom_properties": dice.choice((None, {}, {"a": 1})),
        })  # fmt: skip

    return _versions(dice, "lead", id_, data)


def _conversation(dice: random.Random, id_: str, prefix: str, leads: int) -> list[Record]:
    def data() -> dict[str, Any]:
        lead = dice.choice((None, *[f"{prefix}lead_{n}" for n in range(leads)], f"{prefix}lead_that_is_not"))
        flag = (None, None, False, True)
        return _given({
            "created_at": _time(0), "lead_id": lead, "meeting_booked": dice.choice(flag), "qualification_triggered": dice.choice(flag),
            "description": dice.choice(("x", "y")),
        })  # fmt: skip

    return _versions(dice, "conversation", id_, data)


def _message(dice: random.Random, id_: str, prefix: str, conversations: int) -> list[Record]:
    def data() -> dict[str, Any]:
        kind = dice.choice(KINDS)
        return _given({
            "conversation_id": f"{prefix}conv_{dice.randrange(conversations + 1)}", "created_at": _time(dice.randrange(100)),
            "sender": {"kind": kind} if kind else None, "content": "x", "deleted_at": dice.choice((None, None, _time(200))),
        })  # fmt: skip

    return _versions(dice, "message", id_, data, deleted=0.05)


def _event(dice: random.Random, id_: str, prefix: str, conversations: int) -> list[Record]:
    def data() -> dict[str, Any]:
        kind = dice.choice(("qualification_check", "qualification_check", "other"))
        told = {"score": dice.choice(SCORES), "result": "x"} if dice.random() < 0.8 else {"result": "x"}
        return {
            "conversation_id": f"{prefix}conv_{dice.randrange(conversations)}",
            "at": _time(dice.randrange(5)),
            "kind": kind,
            "data": told,
        }

    return _versions(dice, "event", id_, data)


def _time(seconds: int) -> str:
    return f"2026-01-01T00:{seconds // 60:02}:{seconds % 60:02}Z"


def _given(data: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if value is not None}
