"""An answer of HTTP, as far as it is read."""

from collections.abc import Mapping
from dataclasses import dataclass

SAID_CHARACTERS_MAX = 200


@dataclass(frozen=True)
class Answer:
    """Of one request. `retry_after` in seconds."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    retry_after: float | None = None


def said(text: str) -> str:
    """What the other side said, for a message: on one line, nothing in it that could steer a terminal, and not all of it."""
    return "".join(c if c.isprintable() else " " for c in text[: 4 * SAID_CHARACTERS_MAX])[:SAID_CHARACTERS_MAX].strip().rstrip(".")
