"""A walk of the cursor API: where it is, and how its cursor carries that from page to page."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

LIMIT_MAX = 1_000  # rows of a page
CURSOR_MAX = 16_000  # characters: a snapshot names the transactions that were under way
VALID = timedelta(days=1)  # http.md: from a walk's first page
START, END = datetime.fromisoformat("0001-01-01T00:00:00+00:00"), datetime.fromisoformat("9999-12-31T23:59:59.999999+00:00")


@dataclass(frozen=True)
class Walk:
    """One organisation's rows of one endpoint in [from_, to), as `snapshot` saw them, behind (after_at, after_id) in order of (created_at, id)."""

    snapshot: str
    from_: datetime | None
    to: datetime | None
    began_at: datetime
    after_at: datetime
    after_id: str

    @classmethod
    def begin(cls, snapshot: str, from_: datetime | None, to: datetime | None, now: datetime) -> "Walk":
        """Before the first row: no id is empty, so behind (from, "") is from `from` on."""
        return cls(snapshot, from_, to, now, from_ or START, "")

    def behind(self, at: datetime, id_: str) -> "Walk":
        return replace(self, after_at=at, after_id=id_)

    def has_expired(self, now: datetime) -> bool:
        return now >= self.began_at + VALID

    def place(self) -> list[Any]:
        """For a cursor."""
        return [
            self.snapshot, *(at.isoformat() if at else None for at in (self.from_, self.to)), self.began_at.isoformat(), self.after_at.isoformat(),
            self.after_id,
        ]  # fmt: skip

    @classmethod
    def at_place(cls, place: list[Any]) -> "Walk":
        snapshot, from_, to, began_at, after_at, after_id = place
        read = datetime.fromisoformat
        return cls(snapshot, read(from_) if from_ else None, read(to) if to else None, read(began_at), read(after_at), after_id)
