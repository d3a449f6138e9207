"""Writes batches of records inside a transaction, type by type: what needs no look at what is held by one statement, the rest with care."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from operator import itemgetter
from uuid import UUID

from services.ingest.core.contents import CONTENTS
from services.ingest.core.fold import Final, Held, fold, split
from services.ingest.core.records import Record
from services.ingest.core.rows import RECORD_TYPES
from services.ingest.statements import STATEMENTS, Statements, statement
from shared.database import Connection
from shared.ids import new_id

_LEAD_OF_CONTACT = RECORD_TYPES["contact"].columns.index("lead_id")
ERASED_TYPES = ("contact", "conversation", "event", "lead", "message", "visit")


class UnknownOrganisation(Exception):
    """Records of an organisation that does not exist; nothing of the batch was written."""

    def __init__(self, org_id: str) -> None:
        super().__init__(org_id)
        self.org_id = org_id


class MustBeAlone(Exception):
    """What the batch met must be known before writing: run it again with its types for itself."""


class MustErase(MustBeAlone):
    """A conversation came of a person who was erased: run the batch again with all types in which a person is found."""


class Batch:
    """One transaction's writer. `alone`: take every type for itself; `erasing`: and all in which a person is found; `several`: `write` may be called more than once."""

    def __init__(self, connection: Connection, known: set[str], alone: bool, erasing: bool, several: bool) -> None:
        self.connection, self._known, self._alone, self._erasing, self._several = connection, known, alone, erasing, several
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
        for org_id in sorted(
            {org_id for (org_id, _), some in groups.items() if self._erasing or any(record.op == "erase" for record in some)}
        ):
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
        tombstones, erasures = await self.connection.fetchrow(sql.are_there, org_id)
        if erasures and sql.kind.name == "contact":
            plain, others = split(await self._of_nobody_erased(org_id, records))
        if tombstones and (buried := await self._buried(sql, org_id, plain)):
            if not alone:
                raise MustBeAlone
            others += [record for record in plain if record.id in buried]
            plain = [record for record in plain if record.id not in buried]
        rows = [(org_id, r.id, r.version, *r.row) for r in plain if r.row is not None]
        if not others:
            return len(plain) - await self._put(sql, org_id, rows, erasures)
        folded = fold(others, await self._held(sql, org_id, {record.id for record in others}))
        rows += [(org_id, f.id, f.moved_version, *f.row) for f in folded.finals if f.row is not None]
        stale = await self._put(sql, org_id, rows, erasures)
        await self._end(sql, org_id, folded.finals)
        return len(plain) - stale + sum(folded.accepted)

    async def _of_nobody_erased(self, org_id: str, contacts: list[Record]) -> list[Record]:
        """Contacts but for those that name an erased lead: they are the same person, so they are stale."""
        named = [r.row[_LEAD_OF_CONTACT] for r in contacts if r.row is not None]
        erased = set(await self._ids("erased_leads", org_id, named))
        return [r for r in contacts if r.row is None or r.row[_LEAD_OF_CONTACT] not in erased]

    async def _buried(self, sql: Statements, org_id: str, records: Sequence[Record]) -> set[str]:
        """The ids that have a tombstone."""
        return {row[0] for row in await self.connection.fetch(sql.buried, org_id, [record.id for record in records])}

    async def _held(self, sql: Statements, org_id: str, ids: set[str]) -> dict[str, Held]:
        rows = await self.connection.fetch(sql.held, org_id, list(ids))
        return {
            id_: Held("current" if erased is None else "erased" if erased else "gone", version) for id_, version, erased in rows
        }  # fmt: skip

    async def _put(self, sql: Statements, org_id: str, rows: list[tuple[object, ...]], erasures: bool) -> int:
        """Write current rows, each of another id; where there were erasures, without content that is an erased person's. Returns how many were stale."""
        if not rows:
            return 0
        rows.sort(key=itemgetter(1))  # one order for all writers
        await self.connection.copy_records_to_table(sql.staging, schema_name="pg_temp", columns=sql.copied, records=rows)
        if erasures and sql.kind.name in CONTENTS:
            if sql.kind.name == "conversation":
                await self._erase_late(org_id)
            await self.connection.execute(sql.empty_staged, org_id)
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
        if leads and contacts:
            await self.connection.execute(
                STATEMENTS["contact"].add_tombstones, org_id, contacts, [None] * len(contacts), [True] * len(contacts)
            )
        await self.connection.execute(statement("forget_changes"), org_id, leads, conversations)
        oldest = [
            await self.connection.fetchval(STATEMENTS[of].erase_versions, org_id, some) for of, some in (("lead", leads), ("contact", contacts)) if some
        ]  # fmt: skip
        for name in ("erase_scores", "forget_facts", "forget_leads", "erase_answers"):
            await self.connection.execute(statement(name), org_id, leads)
        await self._note(kind, org_id, [*oldest, *await self._empty(org_id, conversations)])

    async def _erase_late(self, org_id: str) -> None:
        """Staged conversations of a person who was erased before: what is there of them, and what was said, which may have come before them."""
        late = await self.connection.fetch(statement("late_conversations"), org_id)
        if not late:
            return
        if not self._erasing:
            raise MustErase
        conversations = [row["id"] for row in late]
        await self.connection.execute(statement("forget_changes"), org_id, [], conversations)
        oldest = await self._empty(org_id, conversations, [row["visitor_id"] for row in late])
        if any(oldest):  # else nothing was there, and no export has seen anything
            await self._note("conversation", org_id, oldest)

    async def _empty(self, org_id: str, conversations: list[str], visitors: Sequence[str | None] = ()) -> list[str | None]:
        """What was said in conversations, for good, and visits of these visitors and theirs. Returns of each the transaction that added the first of it."""
        if not conversations:
            return []
        visitors = [*filter(None, visitors), *await self._ids("visitors_of", org_id, conversations)]
        await self.connection.execute(statement("block_conversations"), org_id, conversations)
        oldest = [await self.connection.fetchval(statement("erase_visits"), org_id, visitors)]
        oldest += [await self.connection.fetchval(STATEMENTS[name].erase_content, org_id, conversations) for name in CONTENTS]
        await self.connection.execute(statement("touch_conversations"), org_id, conversations)
        return oldest

    async def _note(self, kind: str, org_id: str, oldest: Sequence[str | None]) -> None:
        erasure_id = new_id("era")
        first = min((int(xid) for xid in oldest if xid is not None), default=None)
        await self.connection.execute(statement("note_erasure"), org_id, erasure_id, kind, None if first is None else str(first))
        self.erasures.append((org_id, erasure_id))

    async def _ids(self, name: str, *values: object) -> list[str]:
        return [row[0] for row in await self.connection.fetch(statement(name), *values)]
