"""Leads under concurrent writers as a state machine on a real PostgreSQL: up to four writes at once, over the API and as records.

Whatever they were answered, there must be an order of them in which a model in memory (leads_model.py) answers the same, one after the other, and
leaves what can be read afterwards.
"""

import asyncio
from contextlib import AsyncExitStack
from itertools import permutations
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.conftest import Database
from tests.contract.ingest.leads_model import Answered, Change, Create, Delete, Erase, Model, Operation, Upsert, view, with_etags
from tests.contract.ingest.test_leads_api import call
from tests.integration.ingest.room import EMPTIED, Room, connections_to, room_of

EMAILS = ("ada@x.example", "ADA@x.example", "Ada@X.example", "bob@x.example", "BOB@x.example", "müller@x.example", "MÜLLER@x.example")
NAMES, STATUSES = ("Ada", "Bob"), ("new", "qualified", "lost")
RECORDS = ("r1", "r2")  # ids that records choose
AT = "2026-01-01T00:00:00Z"
AT_ONCE_MAX = 4
VERSIONS = st.none() | st.integers(1, 4)
CHANGES = st.fixed_dictionaries(
    {}, optional={"email": st.sampled_from(EMAILS), "name": st.sampled_from(NAMES), "status": st.sampled_from(STATUSES)}
).filter(bool)
# An operation before it is known which leads there are: a place among them, and of an entity tag its age.
DRAWN = st.one_of(
    st.tuples(st.just("create"), st.sampled_from(EMAILS), st.sampled_from(NAMES)),
    st.tuples(st.just("change"), st.integers(0, 9), CHANGES, st.sampled_from([None, 0, 0, 1])),
    st.tuples(st.just("erase"), st.integers(0, 9)),
    st.tuples(st.just("upsert"), st.integers(0, 9), st.tuples(st.sampled_from(EMAILS), st.sampled_from(NAMES), st.sampled_from(STATUSES)), VERSIONS),
    st.tuples(st.just("delete"), st.integers(0, 9), VERSIONS),
)  # fmt: skip


class Rooms:
    """Ingest on its database, for one example after the other."""

    def __init__(self, database: Database) -> None:
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        connections = self.run(self.stack.enter_async_context(connections_to(database)))
        self.room: Room = self.run(self.stack.enter_async_context(room_of(connections)))

    def run(self, work: Any) -> Any:
        async def whole() -> Any:
            return await work

        return self.runner.run(whole())

    def close(self) -> None:
        self.run(self.stack.aclose())
        self.runner.close()


class LeadsMachine(RuleBasedStateMachine):
    """`models`: all that fit what was answered so far. `etags`: of each lead the tags that it ever had, the newest first."""

    rooms: Rooms

    @initialize()
    def nothing(self) -> None:
        self.room = self.rooms.room
        self.rooms.run(self.room.admin.execute(EMPTIED))
        self.models = [Model()]
        self.etags: dict[str, list[str]] = {}

    @rule(drawn=st.lists(DRAWN, min_size=1, max_size=AT_ONCE_MAX))
    def at_once(self, drawn: list[tuple[Any, ...]]) -> None:
        operations = [self._of(*each) for each in drawn]
        answers: list[Answered] = self.rooms.run(_all([self._do(operation) for operation in operations]))
        done = list(zip(operations, answers, strict=True))
        fitting = [model for before in self.models for order in permutations(done) if (model := _in_order(before, order)) is not None]
        assert fitting, f"no order of these gives these answers: {done}, from {self.models}"
        found: dict[str, tuple[Any, str]] = self.rooms.run(self._found())
        left = [model for model in fitting if view(model) == {id_: life for id_, (life, _) in found.items()}]
        assert left, f"{found} is left of {done}, and any of {fitting} would do"
        tagged = [model for each in left if (model := with_etags(each, {id_: etag for id_, (_, etag) in found.items()})) is not None]
        assert tagged, f"{found}: the entity tags are others than were answered, {left}"
        self.models = [model for place, model in enumerate(tagged) if model not in tagged[:place]]
        for id_, (_, etag) in found.items():
            if etag not in (tags := self.etags.setdefault(id_, [])):
                tags.insert(0, etag)

    def _of(self, kind: str, *drawn: Any) -> Operation:
        if kind == "create":
            return Create(*drawn)
        ids = [*RECORDS, *sorted(self.models[0].seen - set(RECORDS))]
        lead_id, rest = ids[drawn[0] % len(ids)], drawn[1:]
        if kind == "change":
            tags, age = self.etags.get(lead_id, []), rest[1]
            return Change(lead_id, rest[0], tags[age] if age is not None and age < len(tags) else None)
        return {"erase": Erase, "upsert": Upsert, "delete": Delete}[kind](lead_id, *rest)  # type: ignore[no-any-return, operator]

    async def _do(self, operation: Operation) -> Answered:
        match operation:
            case Create(email, name):
                answer = await call(self.room, "POST", "/v1/leads", {"email": email, "name": name})
            case Change(lead_id, changes, if_match):
                answer = await call(self.room, "PATCH", f"/v1/leads/{lead_id}", changes, **({"if_match": if_match} if if_match else {}))
            case Erase(lead_id):
                answer = await call(self.room, "DELETE", f"/v1/leads/{lead_id}")
            case Upsert(lead_id, (email, name, status), version):
                data = {"email": email, "name": name, "status": status, "created_at": AT}
                return await self._record({"type": "lead", "id": lead_id, "version": version, "data": data})
            case Delete(lead_id, version):
                return await self._record({"type": "lead", "id": lead_id, "op": "delete", "version": version})
        said = answer.json()
        lead_id = said.get("error", {}).get("existingLeadId") or said.get("id", "")
        return Answered(answer.status_code, lead_id, answer.headers.get("etag", ""))

    async def _record(self, record: dict[str, Any]) -> Answered:
        accepted, _ = await self.room.write({name: value for name, value in record.items() if value is not None})
        return Answered(200 if accepted else 0)

    async def _found(self) -> dict[str, tuple[Any, str]]:
        """What the list shows, and each lead by itself."""
        listed = (await call(self.room, "GET", "/v1/leads?limit=100")).json()
        found = {}
        for each in listed["data"]:
            answer = await call(self.room, "GET", f"/v1/leads/{each['id']}")
            lead = answer.json()
            assert {name: lead[name] for name in ("email", "name", "status")} == {name: each[name] for name in ("email", "name", "status")}
            found[each["id"]] = (lead["email"], lead["name"], lead["status"]), answer.headers["etag"]
        assert listed["pagination"]["total"] == len(found)
        return found


async def _all(work: list[Any]) -> list[Any]:
    return list(await asyncio.gather(*work))


def _in_order(model: Model | None, done: tuple[tuple[Operation, Answered], ...]) -> Model | None:
    for operation, answer in done:
        if model is None:
            return None
        model = operation.fits(model, answer)
    return model


def test_there_is_an_order_in_which_writers_come(database: Database) -> None:
    rooms = Rooms(database)
    LeadsMachine.rooms = rooms
    try:
        run_state_machine_as_test(
            LeadsMachine,
            settings=settings(
                max_examples=30, stateful_step_count=12, deadline=None, derandomize=True, phases=[Phase.generate, Phase.shrink], suppress_health_check=list(HealthCheck),
            ),
        )  # fmt: skip
    finally:
        rooms.close()
