"""user-presence: one row a presence interval that overlaps the range, whole."""

from collections.abc import Mapping
from typing import ClassVar

from shared.datasets import care, rules
from shared.datasets.care import column
from shared.datasets.changes import Changes
from shared.datasets.entities import Entities
from shared.datasets.plan import ColumnType, Dimension, PlanSpec
from shared.datasets.sql import instant

COLUMNS = [
    column("User ID", "The agent's id", "agent.id"),
    column("User Name", "The agent's name", "agent.name", personal=True),
    column("User Email Address", "The agent's e-mail address", "agent.email", personal=True),
    column("Type", "Available or Away", plain=True),
    column("Away State", "What the agent was away for"),
    column("From", "When it began", "fact.since", ColumnType.timestamp),
    column("To", "When it ended, empty while it lasts", "fact.until", ColumnType.timestamp),
    column("Duration (s)", "How long it lasted", kind=ColumnType.int64),
]


class UserPresence(Entities):
    name = "user-presence"
    path = "user-presence"
    description = "When agents were available or away."
    fixed_columns = COLUMNS
    table, alias, time = "presences", "p", '"from"'
    fields: ClassVar[Mapping[str, str]] = {
        "agent_id": "p.agent_id", "type": "p.type", "away_state": "p.away_state", "since": 'p."from"', "until": 'p."to"',
        "duration_s": rules.seconds('p."to" - p."from"'),
    }  # fmt: skip

    entity = "presences"

    def touched(self, changes: Changes) -> Mapping[str, str]:
        return {"presences": changes.ids("presences")}

    def in_range(self, spec: PlanSpec) -> list[str]:
        parts = [f'p."from" < {instant(spec.to.isoformat())}'] if spec.to else []
        return parts + ([f'(p."to" is null or p."to" > {instant(spec.from_.isoformat())})'] if spec.from_ else [])

    def conditions(self, spec: PlanSpec, snapshot: str) -> list[str]:
        return []

    def dimensions(self, spec: PlanSpec, snapshot: str) -> tuple[Dimension, ...]:
        return (care.agent("agent", "agent_id", snapshot),)


DATASET = UserPresence()
