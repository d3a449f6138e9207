"""Prefixed ULIDs (`exp_01…`): sortable by time, unique without asking anyone."""

from ulid import ULID

PATTERN = "^[!-~]{1,100}$"  # of an id that somebody gives us: whether there is such a thing is another question


def new_id(prefix: str) -> str:
    return f"{prefix}_{ULID()}"
