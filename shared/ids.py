"""Prefixed ULIDs (`exp_01…`): sortable by time, unique without asking anyone."""

from ulid import ULID


def new_id(prefix: str) -> str:
    return f"{prefix}_{ULID()}"
