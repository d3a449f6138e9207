"""Whether a published file may be had now."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto


class Access(Enum):
    """What a caller is told."""

    SERVED = auto()
    MISSING = auto()  # 404: never there, not yet there, or deleted
    EXPIRED = auto()  # 410


@dataclass(frozen=True)
class Standing:
    """What is known of an export: its state, and whether delivery has published it and still keeps its files."""

    status: str
    deleted: bool
    expires_at: datetime
    published: bool
    discarded: bool
    held: bool = False


def decide(standing: Standing | None, now: datetime) -> Access:
    """Files are there from the moment the export is completed until it expires, and as long as it is held; nothing else is ever served."""
    if standing is None or standing.deleted:
        return Access.MISSING
    if standing.status == "expired" or (standing.status == "completed" and standing.expires_at <= now and not standing.held):
        return Access.EXPIRED
    if standing.status != "completed" or not standing.published or standing.discarded:
        return Access.MISSING
    return Access.SERVED
