"""The judge of deliveries: compares what is at a destination with what must be, and knows no service code."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tests.faults.troubles import Trouble

Piece = tuple[str, str]  # a file's name (of mail: recipient/name), and its sha256
TWICE_MAX = 2  # under one id, where the word that it arrived may have been lost
# Behind these who has a file may not have been able to say so.
UNCERTAIN = ("cut", "kill", "stop", "hang", "die", "away", "lose")


@dataclass(frozen=True)
class There:
    """`whole`: in order; a file that came again under its own id is in it once, and in `twice` (id → how often). `wrong`: what nobody there may believe.
    `inside`: addresses off this machine that delivery wanted a connection to."""

    whole: Sequence[Piece]
    twice: Mapping[str, int] = field(default_factory=dict)
    half: Sequence[str] = ()
    wrong: Sequence[str] = ()
    inside: Sequence[str] = ()


@dataclass(frozen=True)
class GivenUp:
    """A delivery that failed, while what made it fail is still there. `told`: whether a notification names it."""

    status: str
    code: str | None
    told: bool
    whole: Sequence[Piece]
    half: Sequence[str] = ()


def judge_there(trouble: Trouble, there: There, wanted: Sequence[Piece], before: Mapping[str, int]) -> Iterator[str]:
    """Once all is over. `before`: how often ids had come when the trouble began."""
    if list(there.whole) != sorted(wanted):
        yield f"{trouble}: there is {there.whole}, and not {sorted(wanted)}"
    most = TWICE_MAX if trouble.kind in UNCERTAIN else 1
    if often := {id_: times for id_, times in there.twice.items() if times > most and times != before.get(id_)}:
        yield f"{trouble}: came too often: {often}"
    yield from (f"{trouble}: {what}" for what in there.wrong)
    if there.inside:
        yield f"{trouble}: delivery wanted connections to {there.inside}"
    if there.half:
        yield f"{trouble}: {there.half} is left half there"


def judge_failed(trouble: Trouble, given_up: GivenUp, before: Sequence[Piece], due: Sequence[Piece]) -> Iterator[str]:
    """With the right word, and people know; nothing of it is there, but what others of its recipients have. Of a server that is away nothing can be seen."""
    if given_up.status != "failed" or given_up.code not in trouble.codes:
        yield f"{trouble}: {given_up.status} with {given_up.code}, and may fail with {sorted(trouble.codes) or 'nothing'}"
    if not given_up.told:
        yield f"{trouble}: nobody was told"
    if trouble.kind == "away":
        return
    refused = trouble.pick(len(due)) if due else 0
    wanted = sorted([*before, *due[:refused], *due[refused + 1 :]]) if trouble.kind == "refuse-one" else list(before)
    if list(given_up.whole) != wanted:
        yield f"{trouble}: of a delivery that failed there is {given_up.whole}, and not {wanted}"
    if given_up.half:
        yield f"{trouble}: {given_up.half} is left half there of a delivery that failed"
