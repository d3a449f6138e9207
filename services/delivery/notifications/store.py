"""The feed in PostgreSQL."""

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import aiosql
import asyncpg

from services.delivery.core.notifications.alerts import alert_views
from services.delivery.core.notifications.notices import Notice, view
from services.delivery.notifications.metrics import NOTIFICATIONS
from shared.database import Connection, tenant
from shared.ids import new_id

Row = Mapping[str, Any]


@functools.cache
def load() -> Any:
    """The named queries of queries.sql."""
    return aiosql.from_path(Path(__file__).with_name("queries.sql"), "asyncpg")


async def rows(found: Any) -> list[Any]:
    return [row async for row in found]


@dataclass(frozen=True)
class Wanted:
    """What a list shows: any of the kinds, from (created_after, created_before)."""

    kinds: tuple[str, ...] = ()
    created_after: datetime | None = None
    created_before: datetime | None = None


class Feed:
    """`wake` is told when alerts may be due."""

    def __init__(self, pool: asyncpg.Pool, wake: Callable[[], None] = lambda: None) -> None:
        self._pool, self._queries, self._wake = pool, load(), wake

    async def tell(self, connection: Connection, org_id: str, notice: Notice) -> bool:
        """In the caller's transaction, that in which it happened. False where it was told before."""
        made = await self._queries.add(
            connection, id=new_id("ntf"), org_id=org_id, key=notice.key, kind=notice.kind, message=notice.message,
            subject=json.dumps(dict(notice.subject), ensure_ascii=False), topic=notice.topic, alerted=not notice.alerts, now=notice.at,
        )  # fmt: skip
        if made is not None:
            NOTIFICATIONS.labels(notice.kind).inc()
            self._wake()
        return made is not None

    async def page(
        self, org_id: str, wanted: Wanted, before: tuple[datetime, str] | None, count: int
    ) -> tuple[list[Row], list[dict[str, Any]]]:
        """Newest first, behind `before`; rows, and how they are shown with what became of their alerts."""
        at, last = before or (None, None)
        async with tenant(self._pool, org_id, readonly=True) as connection:
            found: Sequence[Row] = await rows(self._queries.page(
                connection, org_id=org_id, kinds=list(wanted.kinds) or None, created_after=wanted.created_after, created_before=wanted.created_before,
                before_at=at, before_id=last, count=count,
            ))  # fmt: skip
            alerts: dict[str, list[Row]] = {row["id"]: [] for row in found}
            for each in await rows(self._queries.alerts_of(connection, notification_ids=list(alerts))):
                alerts[each["notification_id"]].append(each)
        return list(found), [view(row, json.loads(row["subject"]), alert_views(alerts[row["id"]])) for row in found]

    async def channels(self, org_id: str) -> Row:
        """The organisation's name and its setting."""
        async with tenant(self._pool, org_id, readonly=True) as connection:
            row: Row = await self._queries.channels(connection)
        return row
