"""What follows for people where files didn't arrive. The engine calls it in the transaction in which it happens (the organisation's own); what it
publishes goes through the outbox on that connection, which the engine wakes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from shared.database import Connection


@dataclass(frozen=True)
class Failed:
    """A delivery was given up. `code` is one of problems.Code, `message` for the destination's owner. Without a destination the files went to the request's
    own e-mail addresses."""

    at: datetime
    org_id: str
    delivery_id: str
    export_id: str
    schedule_id: str | None
    type: str
    destination_id: str | None
    destination_name: str | None
    attempts: int
    code: str
    message: str


@dataclass(frozen=True)
class Paused:
    """A destination was paused because deliveries keep failing; `code` and `message` are the last one's."""

    at: datetime
    org_id: str
    destination_id: str
    destination_name: str
    type: str
    failures: int
    failing_since: datetime
    code: str
    message: str


@dataclass(frozen=True)
class Resumed:
    """A destination that was paused because deliveries kept failing is used again: a test passed, or somebody resumed it."""

    at: datetime
    org_id: str
    destination_id: str
    destination_name: str
    type: str


class Told(Protocol):
    async def failed(self, connection: Connection, what: Failed) -> None: ...
    async def paused(self, connection: Connection, what: Paused) -> None: ...
    async def resumed(self, connection: Connection, what: Resumed) -> None: ...


class NobodyTold:
    """Where nobody is to hear of it."""

    async def failed(self, connection: Connection, what: Failed) -> None:
        pass

    async def paused(self, connection: Connection, what: Paused) -> None:
        pass

    async def resumed(self, connection: Connection, what: Resumed) -> None:
        pass


def resumed(row: Mapping[str, Any], now: datetime) -> Resumed:
    """Of a destination's row."""
    return Resumed(now, row["org_id"], row["id"], row["name"], row["type"])
