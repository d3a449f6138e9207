"""Which parts in the store belong to nobody any more."""

from collections.abc import Collection, Iterable, Mapping

ENDED = ("completed", "failed", "cancelled", "expired")
PARTS = "parts/"


def export_of(key: str) -> str | None:
    """The export whose part this is: `parts/<export_id>/…`."""
    export_id, separator, _ = key.removeprefix(PARTS).partition("/")
    return export_id if key.startswith(PARTS) and separator else None


def ownerless(export_ids: Iterable[str], statuses: Mapping[str, str]) -> frozenset[str]:
    """Exports that have ended, or that nobody knows: a worker that woke up late has left parts of them."""
    return frozenset(e for e in export_ids if statuses.get(e, "") in ("", *ENDED))


def due(now: Collection[str], before: Collection[str]) -> list[str]:
    """Only what was ownerless on two rounds in a row is removed: an export that has just ended is being tidied already."""
    return sorted(set(now) & set(before))
