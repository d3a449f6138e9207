"""Writes batches of records inside a transaction, type by type: what needs no look at what is held by one statement, the rest with care."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from operator import itemgetter
from uuid import UUID

from services.ingest.core.fold import Final, Held, fold, split
from services.ingest.core.records import Record
from services.ingest.statements import STATEMENTS, Statements, statement
from shared.database import Connection
from shared.ids import new_id

ERASED_TYPES = ("contact", "conversation", "event", "lead", "message", "visit")


class UnknownOrganisation(Exception):
    """Records of an organisation that does not exist; nothing of the batch was written."""

    def __init__(self, org_id: str) -> None:
        super().__init__(org_id)
        self.org_id = org_id


class MustBeAlone(Exception):
    """What the batch met must be known before writing: run it again with its types for itself."""


class Batch:
    """One transaction's writer. `alone`: take every type for itself; `several`: `write` may be called more than once."""

    def __init__(self, connection: Connection, known: set[str], alone: bool, several: bool) -> None:
        self.connection, self._known, self._alone, self._several = connection, known, alone, several
        self.erasures: list[tuple[str, str]] = []  # (organisation, the erasure's id) of this transaction

    async def enter_to_erase(self, org_id: str) -> None:
        """All types in which a person is found, each for itself: nothing of them is written beside the erasure. In the order of all writers."""
        for name in ERASED_TYPES:
            await self.connection.fetchrow(STATEMENTS[name].enter_alone, org_id)

    async def enter(self, org_id: str, name: str) -> None:
        """Whose rows the transaction sees from here on, and its share of a type's records; before any other lock, as `write` would take it first."""
        sql = STATEMENTS[name]
        await self.connection.fetchrow(sql.enter_alone if self._alone else sql.enter_shared, org_id)

    async def write(self, records: Sequence[Record], default_org_id: str) -> int:
        """Returns how many were accepted."""
        groups: dict[tuple[str, str], list[Record]] = defaultdict(list)
        for record in records:
            groups[default_org_id if record.org_id is None else record.org_id, record.type].append(record)
        accepted = 0
        for org_id in sorted({org_id for (org_id, _), some in groups.items() if any(record.op == "erase" for record in some)}):
            await self.check_organisation(org_id)
            await self.enter_to_erase(org_id)
        for org_id, name in sorted(groups):  # one order for all writers, so that none waits for another in a circle
            await self.check_organisation(org_id)
            accepted += await self._write_type(STATEMENTS[name], org_id, groups[org_id, name])
        return accepted

    async def claim(self, topic_id: UUID, ends: Mapping[int, int]) -> dict[int, int | None]:
        """Note each partition as written up to `ends`, with this transaction. Returns how far they had been before, null for never."""
        rows = await self.connection.fetch(statement("claim_positions"), topic_id, list(ends), list(ends.values()))
        return {partition: before for partition, before in rows}

    async def check_organisation(self, org_id: str) -> None:
        """Raises UnknownOrganisation."""
        if org_id in self._known:
            return
        await self.connection.execute(statement("name_organisation"), org_id)
        if not await self.connection.fetchval(statement("is_organisation"), org_id):
            raise UnknownOrganisation(org_id)
        self._known.add(org_id)

    async def _write_type(self, sql: Statements, org_id: str, records: list[Record]) -> int:
        plain, others = split(records)
        alone = self._alone or bool(others)
        await self.connection.fetchrow(sql.enter_alone if alone else sql.enter_shared, org_id)
        if plain and (buried := await self._buried(sql, org_id, plain)):
            if not alone:
                raise MustBeAlone
            others += [record for record in plain if record.id in buried]
            plain = [record for record in plain if record.id not in buried]
        rows = [(org_id, r.id, r.version, *r.row) for r in plain if r.row is not None]
        if not others:
            return len(plain) - await self._put(sql, org_id, rows)
        folded = fold(others, await self._held(sql, org_id, {record.id for record in others}))
        rows += [(org_id, f.id, f.moved_version, *f.row) for f in folded.finals if f.row is not None]
        stale = await self._put(sql, org_id, rows)
        await self._end(sql, org_id, folded.finals)
        return len(plain) - stale + sum(folded.accepted)

    async def _buried(self, sql: Statements, org_id: str, records: Sequence[Record]) -> set[str]:
        """The ids that have a tombstone; most organisations have none at all."""
        if not await self.connection.fetchval(sql.has_tombstones, org_id):
            return set()
        return {row[0] for row in await self.connection.fetch(sql.buried, org_id, [record.id for record in records])}

    async def _held(self, sql: Statements, org_id: str, ids: set[str]) -> dict[str, Held]:
        rows = await self.connection.fetch(sql.held, org_id, list(ids))
        return {
            id_: Held("current" if erased is None else "erased" if erased else "gone", version) for id_, version, erased in rows
        }  # fmt: skip

    async def _put(self, sql: Statements, org_id: str, rows: list[tuple[object, ...]]) -> int:
        """Write current rows, each of another id. Returns how many were stale."""
        if not rows:
            return 0
        rows.sort(key=itemgetter(1))  # one order for all writers
        await self.connection.copy_records_to_table(sql.staging, schema_name="pg_temp", columns=sql.copied, records=rows)
        moved: int = await self.connection.fetchval(sql.put_versions, org_id)
        if sql.kind.name == "lead":
            await self.connection.execute(statement("note_leads"), org_id)
        if self._several:
            await self.connection.execute(f"TRUNCATE pg_temp.{sql.staging}")
        return sum([row[2] is not None for row in rows]) - moved

    async def _end(self, sql: Statements, org_id: str, finals: Sequence[Final]) -> None:
        """Deletions, tombstones, and everything of a person who is erased."""
        execute = self.connection.execute
        if ended := [f.id for f in finals if f.life == "gone" and f.before.life == "current"]:
            await execute(sql.end_versions, org_id, ended)
            if sql.kind.name == "lead":
                await execute(statement("forget_leads"), org_id, ended)
                await execute(statement("end_scores"), org_id, ended)
                await execute(statement("forget_facts"), org_id, ended)
        if buried := [f for f in finals if f.life == "erased" or (f.life == "gone" and f.version is not None)]:
            columns = [f.id for f in buried], [f.version for f in buried], [f.life == "erased" for f in buried]
            await execute(sql.add_tombstones, org_id, *columns)
        if erased := [f.id for f in finals if f.life == "erased" and f.before.life != "erased"]:
            await self._erase(sql.kind.name, org_id, erased)
        if risen := [f.id for f in finals if f.row is not None and f.before.life == "gone"]:
            await execute(sql.remove_tombstones, org_id, risen)

    async def _erase(self, kind: str, org_id: str, ids: list[str]) -> None:
        """Everything of people, in every version: their rows, and what was said in their conversations. Noted under an id that says nothing of them."""
        leads = ids if kind == "lead" else []
        contacts = ids if kind == "contact" else await self._ids("contacts_of_leads", org_id, leads)
        conversations = await self._ids("conversations_of", org_id, leads, contacts)
        visitors = await self._ids("visitors_of", org_id, conversations)
        if leads and contacts:
            await self.connection.execute(
                STATEMENTS["contact"].add_tombstones, org_id, contacts, [None] * len(contacts), [True] * len(contacts)
            )
        oldest = [
            await self.connection.fetchval(sql, org_id, of)
            for sql, of in (
                (STATEMENTS["lead"].erase_versions, leads), (STATEMENTS["contact"].erase_versions, contacts), (statement("erase_visits"), visitors),
                (statement("erase_conversations"), conversations), (statement("erase_messages"), conversations), (statement("erase_events"), conversations),
            )
            if of
        ]  # fmt: skip
        for name in ("erase_scores", "forget_facts", "forget_leads", "erase_answers"):
            await self.connection.execute(statement(name), org_id, leads)
        if conversations:
            await self.connection.execute(statement("touch_conversations"), org_id, conversations)
        erasure_id = new_id("era")
        first = min((int(xid) for xid in oldest if xid is not None), default=None)
        await self.connection.execute(statement("note_erasure"), org_id, erasure_id, kind, None if first is None else str(first))
        self.erasures.append((org_id, erasure_id))

    async def _ids(self, name: str, *values: object) -> list[str]:
        return [row[0] for row in await self.connection.fetch(statement(name), *values)]
