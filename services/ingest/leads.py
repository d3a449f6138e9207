"""Leads over HTTP: written through the same versioned rows as records, read one by one and in pages."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiosql
import asyncpg

from services.ingest.batch import Batch
from services.ingest.core.free import canonical
from services.ingest.core.lead_lists import Filter, Wanted, pagination
from services.ingest.core.lead_search import (
    WORDS_MAX,
    Search,
    by_beginning,
    forgiving,
    is_enough,
    match_field,
    of_status,
    whole,
    wrong_forms,
)
from services.ingest.core.leads import COLUMNS, changed_lead, hit_view, lead_changes, lead_view, new_lead, to_json, whole_view
from services.ingest.core.records import Record
from services.ingest.core.rows import Row
from services.ingest.statements import STATEMENTS, statement
from services.ingest.store import Store
from services.ingest.totals import Totals
from shared.audit import entry
from shared.clock import instant
from shared.database import Connection, tenant
from shared.errors import conflict, gone, not_found
from shared.etags import require_match
from shared.http import Principal
from shared.ids import new_id
from shared.outbox import Outbox

_queries = aiosql.from_path(Path(__file__).with_name("leads.sql"), "asyncpg", mandatory_parameters=False)
_LEAD = ", ".join(["l.id", *(f"l.{column}" for column in COLUMNS)])
_CONDITIONS = {"status": "l.status = {}", "source": "l.source = {}", "after": "l.created_at > {}", "before": "l.created_at < {}"}
_KEYS = {"createdAt": "l.created_at", "updatedAt": "coalesce(l.updated_at, l.created_at)", "score": "coalesce(s.score, 0)"}
_SCORED = "LEFT JOIN ingest.lead_scores_current s ON s.org_id = l.org_id AND s.id = l.id"
SORTED_MAX = 5_000  # leads that are sorted for a page, rather than found along an index that is in order
COUNTED_AT_ONCE_MAX = 10_000
TOPICS_KEEP = timedelta(days=7)  # a record, or what follows from one (schemas/topics: retention_hours)
FOUND_MAX = 1_000  # leads that a search looks at
FOUND_ENOUGH = 100  # where so many leads have all words as they are, others that begin so aren't looked for: a page shows as many at most
FOUND_LITTLE = 10  # where a search finds fewer, typing errors are forgiven


def _sql(name: str, **parts: str) -> str:
    text: str = getattr(_queries, name).sql.rstrip().rstrip(";")
    return text.format(lead=_LEAD, **parts) if "{" in text else text


_ONE, _LOCK = _sql("lead"), _sql("lock_lead")


@dataclass(frozen=True)
class Answer:
    """A lead as JSON, and its entity tag, which names the version: a score changes without one."""

    lead_id: str
    body: str
    etag: str


class Leads:
    """`clock` gives the time of a write. `store` is the data's only writer, `pool` is for reading."""

    def __init__(self, store: Store, pool: asyncpg.Pool, outbox: Outbox, clock: Callable[[], datetime]) -> None:
        self._store, self._pool, self._outbox, self._clock = store, pool, outbox, clock
        self._totals = Totals(self._count)

    # ---- writing

    async def create(self, principal: Principal, body: Any, key: str | None) -> Answer:
        """A new lead, or the answer that `key` stands for. Raises ApiError: 400; 409 for a taken address, or a key used with another body."""
        row = new_lead(body, self._clock())
        digest = hashlib.sha256(canonical(body).encode()).digest()

        async def work(batch: Batch) -> Answer:
            connection, org_id = batch.connection, principal.org_id
            await batch.enter(org_id, "lead")
            if key is not None and not await connection.fetchval(_sql("claim_key"), org_id, key, digest):
                return _repeated(await connection.fetchrow(_sql("known_key"), org_id, key), digest)
            await self._take_email(connection, org_id, row[0], "")
            lead_id = new_id("lead")
            answer = await self._put(batch, org_id, lead_id, row)
            if key is not None:
                await connection.execute(_sql("keep_answer"), org_id, key, lead_id, answer.body, answer.etag)
                await connection.execute(_sql("prune_keys"), org_id)
            await self._outbox.add(connection, [entry(principal, "lead.created", lead_id)])
            return answer

        answer = await self._store.run(work)
        self._outbox.wake()
        return answer

    async def change(self, principal: Principal, lead_id: str, body: Any, if_match: str | None) -> Answer:
        """Change the fields that `body` names. Raises ApiError: 400, 404; 409 for a taken address; 412 where `if_match` names another version."""
        changes, now = lead_changes(body), self._clock()

        async def work(batch: Batch) -> Answer:
            connection, org_id = batch.connection, principal.org_id
            await batch.enter(org_id, "lead")
            held = await connection.fetchrow(_LOCK, org_id, lead_id)
            if held is None:
                raise not_found("The lead")
            require_match(if_match, _etag(held["version_id"]))
            if "email" in changes and changes["email"] != held["email"]:
                await self._take_email(connection, org_id, changes["email"], lead_id)
            answer = await self._put(batch, org_id, lead_id, changed_lead(held, changes, now))
            await self._outbox.add(connection, [entry(principal, "lead.changed", lead_id, {"fields": sorted(changes)})])
            return answer

        answer = await self._store.run(work)
        self._outbox.wake()
        return answer

    async def erase(self, principal: Principal, kind: str, person_id: str) -> str:
        """Erase a lead or a contact with all that was said; the erasure's id. Raises ApiError 404 for one that isn't known, or was erased."""

        async def work(batch: Batch) -> str:
            await batch.enter_to_erase(principal.org_id)
            if not await batch.connection.fetchval(STATEMENTS[kind].is_known, principal.org_id, person_id):
                raise not_found(f"The {kind}")
            await batch.write([Record(kind, person_id, "erase", None, principal.org_id, None)], principal.org_id)
            return batch.erasures[-1][1]

        erasure_id = await self._store.run(work, principal=principal)
        self._outbox.wake()
        return erasure_id

    async def erasure(self, org_id: str, erasure_id: str) -> str:
        """What became of an erasure, as JSON. Raises ApiError 404."""
        async with tenant(self._pool, org_id, readonly=True) as connection:
            row = await connection.fetchrow(statement("erasure"), org_id, erasure_id)
        if row is None:
            raise not_found("The erasure")
        shown = {
            "id": row["id"], "kind": row["kind"], "status": "completed", "erased_at": instant(row["erased_at"]),
            "in_topics_until": instant(row["erased_at"] + TOPICS_KEEP),
        }  # fmt: skip
        return to_json({**shown, "exports": json.loads(row["exports"])})

    async def _take_email(self, connection: Connection, org_id: str, email: str, except_id: str) -> None:
        """Raises ApiError 409 where a lead has the address; else nobody else gets it until the transaction ends."""
        await connection.execute(_sql("lock_email"), org_id, email)
        if (taken := await connection.fetchval(_sql("lead_with_email"), org_id, email, except_id)) is not None:
            raise conflict(f"A lead with email '{email}' already exists.", existingLeadId=taken)

    async def _put(self, batch: Batch, org_id: str, lead_id: str, row: Row) -> Answer:
        """Write a version as a record without version would, and read what became of it."""
        await batch.write([Record("lead", lead_id, "upsert", None, org_id, row)], org_id)
        written = await batch.connection.fetchrow(_ONE, org_id, lead_id)
        return Answer(lead_id, to_json(lead_view(written)), _etag(written["version_id"]))

    # ---- reading

    async def one(self, org_id: str, lead_id: str) -> Answer:
        async with tenant(self._pool, org_id, readonly=True) as connection:
            row = await connection.fetchrow(_ONE, org_id, lead_id)
        if row is None:
            raise not_found("The lead")
        return Answer(lead_id, to_json(whole_view(row)), _etag(row["version_id"]))

    async def page(self, org_id: str, wanted: Wanted) -> str:
        """The page as JSON. Up to 10,000 leads are counted with it; of more the total may be some seconds old."""
        page = wanted.page
        async with tenant(self._pool, org_id, readonly=True) as connection:
            await connection.execute(_sql("enter_list"), org_id)
            total = await self._count_some(connection, org_id, wanted.filter)
            counted = total <= COUNTED_AT_ONCE_MAX
            rows = [] if counted and page.offset >= total else await self._rows(connection, org_id, wanted, total)
        if not counted:
            total = await self._totals.of(org_id, wanted.filter)
        shown = rows[: page.limit]
        body = {"data": [lead_view(row) for row in shown], "pagination": pagination(page, len(shown), len(rows) > page.limit, total)}
        return to_json(body)

    async def search(self, org_id: str, wanted: Search) -> str:
        """The page of what was found as JSON, the best first."""
        async with tenant(self._pool, org_id, readonly=True) as connection:
            words = (await connection.fetchval(_sql("enter_search"), wanted.text)).split(" ")[:WORDS_MAX]
            rows = await self._search(connection, org_id, words, wanted) if words != [""] else []
        hits = [row for row in rows if row["id"] is not None]
        total = rows[0]["total"] if rows else 0
        more = wanted.page.offset + len(hits) < total and bool(hits)
        data = [hit_view(row, match_field(words, row)) for row in hits]
        return to_json({"data": data, "pagination": pagination(wanted.page, len(hits), more, total)})

    async def _search(self, connection: Connection, org_id: str, words: Sequence[str], wanted: Search) -> Sequence[Any]:
        """Whole words come first and cost least, so nothing else is looked for where they are enough."""
        rows = await self._find(connection, org_id, whole(words), words, wanted)
        if is_enough(wanted.text, rows[0]["total"], FOUND_ENOUGH):
            return rows
        rows = await self._find(connection, org_id, by_beginning(words), words, wanted)
        if rows[0]["total"] >= FOUND_LITTLE:
            return rows
        known = {row[0] for row in await connection.fetch(_sql("known_words"), [*words, *wrong_forms(words)])}
        if not known.isdisjoint(words):
            rows = await self._find(connection, org_id, forgiving(words, known, trusted=known), words, wanted)
            if rows[0]["total"] >= FOUND_LITTLE:
                return rows
        return await self._find(connection, org_id, forgiving(words, known), words, wanted)

    async def _find(self, connection: Connection, org_id: str, query: str, words: Sequence[str], wanted: Search) -> Sequence[Any]:
        page = wanted.page
        rows: Sequence[Any] = await connection.fetch(
            _sql("search"), org_id, query + of_status(wanted.status), whole(words), FOUND_MAX, page.limit, min(page.offset, FOUND_MAX)
        )
        return rows

    async def _rows(self, connection: Connection, org_id: str, wanted: Wanted, total: int) -> Sequence[Any]:
        """One row more than the page holds, where there is one."""
        order = "DESC" if wanted.descending else "ASC"
        conditions, values = _conditions(wanted.filter, 4)
        by_score = wanted.sort == "score"
        parts = {"key": _KEYS[wanted.sort], "order": order, "conditions": conditions}
        if total <= SORTED_MAX:
            sql = _sql("page_of_few", joined=_SCORED if by_score else "", **parts)
        elif not by_score:
            sql = _sql("page_of_many", **parts)
        else:
            both = [f"({_sql(name, **parts)})" for name in ("scored", "unscored")]
            first, second = both if wanted.descending else reversed(both)
            sql = _sql("page_of_many_by_score", first=first, second=second, order=order)
        rows: Sequence[Any] = await connection.fetch(sql, org_id, wanted.page.limit + 1, wanted.page.offset, *values)
        return rows

    async def _count_some(self, connection: Connection, org_id: str, filter_: Filter) -> int:
        conditions, values = _conditions(filter_, 3)
        sql = _sql("count_some", conditions=conditions)
        return int(await connection.fetchval(sql, org_id, COUNTED_AT_ONCE_MAX + 1, *values))

    async def _count(self, org_id: str, filter_: Filter) -> int:
        conditions, values = _conditions(filter_, 2)
        async with tenant(self._pool, org_id, readonly=True) as connection:
            await connection.execute(_sql("enter_list"), org_id)
            return int(await connection.fetchval(_sql("count_all", conditions=conditions), org_id, *values))


def _conditions(filter_: Filter, first: int) -> tuple[str, list[Any]]:
    """The filter as SQL whose parameters begin at `first`, and their values."""
    given = {name: value for name in _CONDITIONS if (value := getattr(filter_, name)) is not None}
    parts = ["AND " + _CONDITIONS[name].format(f"${first + place}") for place, name in enumerate(given)]
    return " ".join(parts), list(given.values())


def _repeated(known: Any, digest: bytes) -> Answer:
    if known["body_sha256"] is None or known["lead_id"] is None:
        raise gone("The lead of this idempotency key was erased.")
    if known["body_sha256"] != digest:
        raise conflict("The idempotency key was used with another body.", existingLeadId=known["lead_id"])
    return Answer(known["lead_id"], known["answer"], known["etag"])


def _etag(version_id: str) -> str:
    return f'"{version_id}"'
