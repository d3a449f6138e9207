"""What the metrics say of queues: every organisation's would be too many, so the longest few by name, and the longest of all."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

ORGANISATIONS_MAX = 10


@dataclass(frozen=True)
class Queues:
    """`longest`: organisation → seconds, at most `ORGANISATIONS_MAX` of them; ties go by name, so that they stay the same."""

    longest: Mapping[str, float]
    longest_seconds: float
    organisations: int


def queues(since: Mapping[str, datetime], now: datetime, organisations_max: int = ORGANISATIONS_MAX) -> Queues:
    """`since`: when each organisation's oldest waiting export was accepted."""
    ages = {org_id: max(0.0, (now - at).total_seconds()) for org_id, at in since.items()}
    longest = sorted(ages, key=lambda org_id: (-ages[org_id], org_id))[:organisations_max]
    return Queues({org_id: ages[org_id] for org_id in longest}, max(ages.values(), default=0.0), len(ages))
