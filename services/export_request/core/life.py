"""The life of an export: what may happen in which state, what follows, and what is told.

An end is final, but for `completed`, which expires.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import assert_never


class Status(StrEnum):
    accepted = "accepted"
    awaiting_approval = "awaiting_approval"
    planning = "planning"
    formatting = "formatting"
    assembling = "assembling"
    publishing = "publishing"
    completed = "completed"
    failed = "failed"
    cancelled = "cancelled"
    expired = "expired"


RUNNING = frozenset({Status.accepted, Status.awaiting_approval, Status.planning, Status.formatting, Status.assembling, Status.publishing})
ENDED = frozenset(Status) - RUNNING


class Told(StrEnum):
    """What the topic export-events says of a step (`waybill.export.<told>`)."""

    accepted = "accepted"
    awaiting_approval = "awaiting_approval"
    started = "started"
    progress = "progress"
    completed = "completed"
    failed = "failed"
    cancelled = "cancelled"
    expired = "expired"
    recalled = "recalled"  # beside `failed` or `expired`: a person was erased whom it could hold


class Discard(StrEnum):
    """What the store may drop after a step."""

    nothing = "nothing"
    parts = "parts"
    everything = "everything"


@dataclass(frozen=True)
class Life:
    """An export as far as its state goes. Rows and chunks count what the plan and the parts have said so far.

    `approval_above`: with more rows than that somebody has to approve it, so nothing is formatted before all are counted; None: nobody has to, or somebody has.
    """

    status: Status = Status.accepted
    planned: bool = False
    rows_planned: int = 0
    chunks_planned: int = 0
    rows_written: int = 0
    chunks_done: int = 0
    rows_excluded: int = 0
    error_code: str | None = None
    error_message: str | None = None
    approval_above: int | None = None

    @property
    def ended(self) -> bool:
        return self.status in ENDED

    @property
    def formatted(self) -> bool:
        """Every chunk that there will be is done."""
        return self.planned and self.chunks_done == self.chunks_planned


@dataclass(frozen=True)
class PlanGrew:
    """Chunks were added to the plan; `complete`: there will be no more."""

    rows: int
    chunks: int
    complete: bool


@dataclass(frozen=True)
class Released:
    """A chunk went to the formatters."""


@dataclass(frozen=True)
class ChunkDone:
    """A chunk's parts are in the store; rows as counted by the plan, as written by each format, and left out of all."""

    rows_planned: int
    rows_written: tuple[int, ...]
    rows_excluded: int = 0


@dataclass(frozen=True)
class Assembled:
    """Every part is in its file: the files are being completed in the store, and the manifest is written."""


@dataclass(frozen=True)
class Published:
    """Every file is whole; rows of each format over all its files."""

    rows: tuple[int, ...]


@dataclass(frozen=True)
class Failed:
    code: str
    message: str


@dataclass(frozen=True)
class Approved:
    """Somebody else than who asked says yes."""


@dataclass(frozen=True)
class Rejected:
    """Somebody else says no, perhaps why."""

    reason: str = ""


@dataclass(frozen=True)
class Lapsed:
    """Nobody has said anything for too long."""

    days: float


@dataclass(frozen=True)
class Cancelled:
    pass


@dataclass(frozen=True)
class Expired:
    pass


Happening = PlanGrew | Released | ChunkDone | Assembled | Published | Failed | Approved | Rejected | Lapsed | Cancelled | Expired


@dataclass(frozen=True)
class Step:
    """What follows from a happening."""

    life: Life
    told: tuple[Told, ...] = ()
    discard: Discard = Discard.nothing


def step(life: Life, happening: Happening) -> Step | None:
    """What `happening` makes of `life`; None where it changes nothing (an export that has ended)."""
    if life.ended:
        if life.status is Status.completed and isinstance(happening, Expired):
            return Step(replace(life, status=Status.expired), (Told.expired,), Discard.everything)
        return None
    match happening:
        case PlanGrew():
            return _plan_grew(life, happening)
        case Approved() | Rejected() | Lapsed():
            return _decided(life, happening) if life.status is Status.awaiting_approval else None
        case Released():
            if life.status in (Status.accepted, Status.awaiting_approval):
                return None
            return Step(replace(life, status=Status.formatting), () if _started(life) else (Told.started,))
        case ChunkDone():
            return _chunk_done(life, happening)
        case Assembled():
            return Step(replace(life, status=Status.publishing), (Told.progress,)) if life.status is Status.assembling else None
        case Published():
            return _published(life, happening)
        case Failed(code, message):
            return _failed(life, code, message)
        case Cancelled():
            return Step(replace(life, status=Status.cancelled), (Told.cancelled,), Discard.everything)
        case Expired():
            return None
        case _:
            assert_never(happening)


def _started(life: Life) -> bool:
    return life.status not in (Status.accepted, Status.awaiting_approval, Status.planning)


def _decided(life: Life, decision: Approved | Rejected | Lapsed) -> Step:
    match decision:
        case Approved():
            return Step(replace(life, status=Status.planning, approval_above=None))
        case Rejected(reason):
            return _failed(life, "rejected", f"The export was rejected: {reason}" if reason else "The export was rejected.")
        case Lapsed(days):
            return _failed(life, "approval_lapsed", f"Nobody approved the export within {days:g} days.")


def _plan_grew(life: Life, grown: PlanGrew) -> Step:
    planned = replace(
        life, planned=grown.complete, rows_planned=life.rows_planned + grown.rows, chunks_planned=life.chunks_planned + grown.chunks,
    )  # fmt: skip
    if planned.approval_above is not None and planned.rows_planned > planned.approval_above:
        told = () if life.status is Status.awaiting_approval else (Told.awaiting_approval,)
        return Step(replace(planned, status=Status.awaiting_approval), told)
    if planned.approval_above is not None and not planned.planned:
        return Step(planned)  # it may still have too many
    if planned.formatted:
        return Step(replace(planned, status=Status.assembling), () if _started(life) else (Told.started,))
    return Step(planned if _started(life) else replace(planned, status=Status.planning))


def _chunk_done(life: Life, done: ChunkDone) -> Step:
    planned, excluded = done.rows_planned, done.rows_excluded
    wrong = [rows for rows in done.rows_written if rows + excluded != planned]
    if wrong:
        left_out = f", {excluded} left out" if excluded else ""
        return _failed(life, "rows_mismatch", f"A chunk was planned with {planned} rows and written with {wrong[0]}{left_out}.")
    after = replace(
        life, rows_written=life.rows_written + planned - excluded, rows_excluded=life.rows_excluded + excluded,
        chunks_done=life.chunks_done + 1,
    )  # fmt: skip
    return Step(replace(after, status=Status.assembling if after.formatted else Status.formatting), (Told.progress,))


def _published(life: Life, published: Published) -> Step:
    """Complete or not complete: rows planned = rows written + rows excluded, in every format."""
    if not life.formatted:
        return _failed(life, "rows_mismatch", "The files were published before every chunk was written.")
    for rows in published.rows:
        if rows + life.rows_excluded != life.rows_planned:
            return _failed(
                life, "rows_mismatch", f"{life.rows_planned} rows were planned, {rows} were published and {life.rows_excluded} excluded."
            )
    return Step(replace(life, status=Status.completed), (Told.completed,), Discard.parts)


def _failed(life: Life, code: str, message: str) -> Step:
    return Step(replace(life, status=Status.failed, error_code=code, error_message=message), (Told.failed,), Discard.everything)
