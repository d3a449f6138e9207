"""The cursor API's pages: PostgreSQL finds a page's rows along an index and writes them as one JSON text, so that no row passes through Python."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from services.export_request.ahead import Ahead, Asked, Page
from services.export_request.core.walk import END, Walk
from services.export_request.queries import load
from shared import audit
from shared.clock import instant, utc_now
from shared.database import in_time, sorted_errors, tenant
from shared.errors import gone
from shared.http import Principal
from shared.outbox import Outbox
from shared.ratelimit import Policy, Taken

PAGE_BYTES_MAX = 8 << 20  # of a page's large texts, about; one row always fits
LIMIT_SECONDS = 1.5  # to count a request: a caller hears within two seconds that PostgreSQL is away


@dataclass(frozen=True)
class Endpoint:
    """What one endpoint shows: rows of a table (`r`), each as the object that `document` selects, of about `bytes` bytes."""

    name: str
    table: str
    document: str
    bytes: str


def _time(column: str) -> str:
    return f"""to_char(r.{column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS {column}"""


def _object(condition: str, **fields: str) -> str:
    """A nested object, null where `condition` is false. json_build_object would look every field's type up for every row."""
    shown = ", ".join(f"r.{column} AS {name}" for name, column in fields.items())
    return f"CASE WHEN {condition} THEN (SELECT o FROM (SELECT {shown}) o) END"


_SUPPORT_BOT = {"id": "support_bot_id", "revision_id": "support_bot_revision_id", "section_path": "support_bot_section_path"}
_CSAT = {"score": "csat_score", "completed_status": "csat_completed_status", "question": "csat_question", "answer": "csat_answer"}
_SENDER = {"kind": "sender_kind", "id": "sender_id", "name": "sender_name"}

CONVERSATIONS = Endpoint(
    "conversations", "conversations",
    f"""r.id, r.channel_id, r.contact_id, r.lead_id, r.visitor_id, r.description, r.status, r.language, r.url, {_time("created_at")}, {_time("ended_at")},
        {_time("updated_at")}, r.assignee_id, coalesce(r.follower_ids, '{{}}') AS follower_ids, r.campaign_id,
        {_object("r.support_bot_id IS NOT NULL", **_SUPPORT_BOT)} AS support_bot, r.qualification_triggered, r.meeting_booked, r.engagement_score,
        {_object("num_nonnulls(r.csat_score, r.csat_completed_status, r.csat_question, r.csat_answer) > 0", **_CSAT)} AS csat,
        r.metadata::json AS metadata, r.parameters::json AS parameters""",
    "octet_length(r.metadata) + octet_length(r.parameters) + octet_length(coalesce(r.description, ''))",
)  # fmt: skip
MESSAGES = Endpoint(
    "messages", "messages",
    f"""r.id, r.conversation_id, {_time("created_at")}, {_object("r.sender_kind IS NOT NULL", **_SENDER)} AS sender, r.content, r.message_type, r.origin,
        r.outbound_message_type, r.post_url, {_time("updated_at")}, {_time("deleted_at")}""",
    "octet_length(coalesce(r.content, ''))",
)  # fmt: skip
ENDPOINTS = (CONVERSATIONS, MESSAGES)


# Whether an erasure or pruning took something away that the snapshot ($1) saw, and whether it is of another database's history.
_GONE = """EXISTS (SELECT FROM ingest.erasures e WHERE NOT pg_visible_in_snapshot(e.erased_in, $1::text::pg_snapshot)
                       AND e.oldest < pg_snapshot_xmax($1::text::pg_snapshot)) AS erased,
               EXISTS (SELECT FROM ingest.prunings p WHERE p.before > pg_snapshot_xmin($1::text::pg_snapshot)) AS pruned,
               pg_snapshot_xmax($1::text::pg_snapshot) > pg_snapshot_xmax(pg_current_snapshot()) AS from_elsewhere"""


def _page_query(endpoint: Endpoint) -> str:
    """One row (data, found, shown, last_at, last_id, erased, pruned, from_elsewhere) of ($1 snapshot, $2 after_at, $3 after_id, $4 to, $5 rows, $6 bytes).

    Along the index of the current rows, merged with the versions that were replaced or deleted since the snapshot: those lie between the cursor and
    the last current row of the page, so however much ended before, a page looks at its own stretch only. One row more than the page is looked
    for, which says whether there is more. Whether an erasure took something away that the snapshot saw is asked with the rows, not before them.
    """
    behind = "r.org_id = current_setting('app.org_id', true) AND (r.created_at, r.id) > ($2::timestamptz, $3::text)"
    seen = "pg_visible_in_snapshot(r.added, $1::text::pg_snapshot)"
    in_order = "ORDER BY r.created_at, r.id LIMIT $5::integer + 1"
    return f"""
        WITH held AS MATERIALIZED (
            SELECT r.* FROM ingest.{endpoint.table}_current r WHERE {behind} AND r.created_at < $4::timestamptz AND {seen} {in_order}
        ), edge AS MATERIALIZED (
            SELECT CASE WHEN count(*) > $5::integer THEN max(created_at) ELSE $4::timestamptz END AS at FROM held
        ), ended AS MATERIALIZED (
            SELECT r.* FROM ingest.{endpoint.table}_ended r WHERE {behind} AND r.created_at <= (SELECT at FROM edge) AND r.created_at < $4::timestamptz
                AND {seen} AND NOT pg_visible_in_snapshot(r.ended, $1::text::pg_snapshot) {in_order}
        ), page AS (
            SELECT r.*, row_number() OVER place AS place, sum({endpoint.bytes}) OVER place - ({endpoint.bytes}) AS bytes_before
            FROM (SELECT * FROM held UNION ALL SELECT * FROM ended) r WINDOW place AS (ORDER BY r.created_at, r.id ROWS UNBOUNDED PRECEDING)
        ), told AS (
            SELECT r.created_at, r.id, CASE WHEN place <= $5::integer AND (bytes_before <= $6::bigint OR place = 1) THEN row_to_json(d)::text END AS document
            FROM page r CROSS JOIN LATERAL (SELECT {endpoint.document}) d ORDER BY r.created_at, r.id OFFSET 0
        )
        SELECT convert_to(coalesce(string_agg(document, ','), ''), 'UTF8') AS data, count(document) AS shown, count(*) AS found,
               max(created_at) FILTER (WHERE document IS NOT NULL) AS last_at, (array_agg(id) FILTER (WHERE document IS NOT NULL))[count(document)] AS last_id,
               {_GONE}
        FROM told"""


_QUERIES = {endpoint.name: _page_query(endpoint) for endpoint in ENDPOINTS}


class Walks:
    """Begins walks and gives their pages."""

    def __init__(self, pool: asyncpg.Pool, outbox: Outbox) -> None:
        self._pool, self._outbox, self._queries = pool, outbox, load()
        self._ahead = Ahead(self._read)

    async def timezone(self, org_id: str) -> str:
        async with tenant(self._pool, org_id, readonly=True) as connection:
            return str((await self._queries.organisation(connection))["timezone"])

    async def take(self, principal: Principal, endpoint: Endpoint, policy: Policy) -> Taken:
        """Count a request. Raises TransientError where PostgreSQL is away."""
        with sorted_errors():
            row = await in_time(
                self._pool.fetchrow(
                    "SELECT * FROM tenancy.take_request($1, $2, $3, $4)", principal.key_id, f"export/{endpoint.name}", policy.quota,
                    float(policy.window_seconds),
                ), LIMIT_SECONDS,
            )  # fmt: skip
        return Taken(row["allowed"], row["remaining"], row["reset_seconds"])

    async def first(self, principal: Principal, endpoint: Endpoint, from_: datetime | None, to: datetime | None, limit: int) -> Page:
        """Take the snapshot, note in the audit trail who walks what, and give the first page."""
        async with tenant(self._pool, principal.org_id) as connection:
            snapshot = await connection.fetchval("SELECT pg_current_snapshot()::text")
            details = {"from": instant(from_), "to": instant(to)}
            await self._outbox.add(connection, [audit.entry(principal, "walk.begun", endpoint.name, details)])
            asked = Asked(principal.org_id, endpoint.name, Walk.begin(snapshot, from_, to, utc_now()), limit)
            page = await self._page(connection, asked)
        self._outbox.wake()
        self._ahead.follow(asked, page)
        return page

    async def next(self, principal: Principal, endpoint: Endpoint, walk: Walk, limit: int) -> Page:
        """Raises ApiError 410 where the walk's instant can't be seen any more, also where that came about after the page was made."""
        asked = Asked(principal.org_id, endpoint.name, walk, limit)
        page = await self._ahead.take(asked)
        was_ready = page is not None
        if page is None:
            page = await self._read(asked)
        self._ahead.follow(asked, page)
        if was_ready:
            async with tenant(self._pool, asked.org_id, readonly=True) as connection:
                _require_seen(await connection.fetchrow(f"SELECT {_GONE}", walk.snapshot))
        return page

    async def _read(self, asked: Asked) -> Page:
        async with tenant(self._pool, asked.org_id, readonly=True) as connection:
            return await self._page(connection, asked)

    async def _page(self, connection: Any, asked: Asked) -> Page:
        walk = asked.walk
        row = await connection.fetchrow(
            _QUERIES[asked.endpoint], walk.snapshot, walk.after_at, walk.after_id, walk.to or END, asked.limit, PAGE_BYTES_MAX
        )
        _require_seen(row)
        more = row["found"] > row["shown"]
        return Page(row["data"], walk.behind(row["last_at"], row["last_id"]) if more else None)


def _require_seen(row: Mapping[str, Any]) -> None:
    if row["erased"]:
        raise gone("A person was erased since this walk began: what it saw is not there any more. Begin a new one.")
    if row["pruned"]:
        raise gone("What was replaced or deleted since this walk began has been pruned. Begin a new one.")
    if row["from_elsewhere"]:
        raise gone("The database was restored since this walk began. Begin a new one.")
