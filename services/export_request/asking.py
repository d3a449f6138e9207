"""What a request comes to at this instant: its organisation's settings read, its body resolved, a delta's base found."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import asyncpg

from services.export_request.core import destinations, rerun, upgrades
from services.export_request.core.delta import Base, base_of
from services.export_request.core.destinations import Named
from services.export_request.core.planning import ChunkLimits
from services.export_request.core.request.identity import ENVELOPE, asks_for_document, since_of
from services.export_request.core.request.reading import Organisation
from services.export_request.core.request.resolving import resolve
from services.export_request.core.windows import Window
from services.export_request.effects import Row
from services.export_request.planning import Planner
from services.export_request.queries import load, rows
from shared.database import Connection, savepoint
from shared.datasets import registry as datasets
from shared.datasets.plan import Branding, CustomProperty, PlanSpec, Since
from shared.datasets.sql import session_sql
from shared.errors import Detail, not_found, unprocessable
from shared.http import Principal

SEARCH_MILLISECONDS = 500  # that a request waits to hear how much its search finds
PLAUSIBLE_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")


@dataclass(frozen=True)
class Request:
    """A body and who sent it. `request_id` is the idempotency key; None: no repeat is meant."""

    org_id: str
    body: Any
    request_id: str | None
    requested_by: str | None
    size: int = 0  # bytes, as it came
    rerun_of: str | None = None  # asks for this export once more, at its own instant; then there is no body
    by: Principal | None = None  # over HTTP, whose key it is
    run: "ScheduledRun | None" = None  # of a schedule; then nobody asks


@dataclass(frozen=True)
class ScheduledRun:
    """A window of a schedule, and where its files are to appear: `sftp_folder` empty, not on the SFTP server."""

    schedule_id: str
    window: Window
    timezone: str
    sftp_folder: str = ""
    instant: bool = False  # it has no range, whatever its dataset
    destinations: tuple[Named, ...] = ()  # as the schedule names them; one that is no more fails by itself, and holds nothing else up


@dataclass(frozen=True)
class New:
    """An export that may be accepted: what it is of, and everything that shapes its bytes. JSON is text, as it is stored."""

    request: str
    dataset: str
    formats: list[str]
    labels: str
    snapshot: str
    spec: str
    expires_in: timedelta
    limits: ChunkLimits
    purpose: str | None = None
    rerun_of: str | None = None
    reproduces_sha256: str | None = None
    password: str | None = field(default=None, repr=False)
    since: Since | None = None
    lacks: tuple[Detail, ...] = ()
    approval_above: int | None = None  # rows above which somebody else has to approve it
    destinations: tuple[Named, ...] = field(default=(), repr=False)  # a re-run's: none, as nobody expects mail of it

    @property
    def protected(self) -> bool:
        """Whether its files are encrypted; of a preview: will be."""
        return self.password is not None or any(d.field == "password" for d in self.lacks)


class Asking:
    """Within the caller's transaction, which is the organisation's. `upgrading`: processes of an older release may run, which would write a file without its password."""

    def __init__(self, planner: Planner, upgrading: bool) -> None:
        self._planner, self._upgrading, self._queries = planner, upgrading, load()

    async def new(self, connection: Connection, request: Request, preview: bool = False) -> New:
        """What the request asks for. A preview gets the same refusals, but for a password that lacks. Raises ApiError."""
        new = await (self._asked(connection, request, preview) if request.rerun_of is None else self._again(connection, request.rerun_of))
        _check_rights(request, new)
        return new

    async def _asked(self, connection: Connection, request: Request, preview: bool) -> New:
        """What the body asks for, at this instant. Raises ApiError."""
        body = _without_envelope(request.body)
        settings = await self._queries.organisation_at_instant(connection, org_id=request.org_id, branded=asks_for_document(body))
        base = await self._base(connection, since) if (since := since_of(body)) is not None else None
        resolved = resolve(body, organisation_of(settings), base, preview)
        await self._require_there(connection, resolved.destinations)
        shown = {name: value for name, value in body.items() if name not in ("password", "destinations")}
        spec = resolved.spec
        if spec.since is not None:
            spec = await self._measured(connection, request.org_id, spec, settings["snapshot"])
        if request.run is not None and datasets.get(spec.dataset).differs_scheduled:
            spec = spec.model_copy(update={"scheduled": True})
        if not preview:
            await self._check_search(connection, request.org_id, spec, settings["snapshot"])
        upgrades.refuse(self._upgrading, [("password", resolved.password is not None), ("destinations", bool(resolved.destinations))])
        return New(
            json.dumps(shown, ensure_ascii=False), spec.dataset, spec.formats, json.dumps(resolved.labels), settings["snapshot"],
            spec.model_dump_json(exclude_defaults=True), resolved.expires_in, self._planner.limits, resolved.purpose,
            password=resolved.password, since=spec.since, lacks=resolved.lacks,
            approval_above=settings["approval_rows_threshold"], destinations=request.run.destinations if request.run else resolved.destinations,
        )  # fmt: skip

    async def _require_there(self, connection: Connection, named: Sequence[Named]) -> None:
        """Raises ApiError that names the fields."""
        if ids := destinations.ids_of(named):
            known = {row["id"]: row["type"] for row in await rows(self._queries.destinations(connection, ids=ids))}
            destinations.require_there(named, known)

    async def _base(self, connection: Connection, export_id: str) -> Base:
        """Raises ApiError where it can't be measured from."""
        known = await self._queries.rerun_source(connection, id=export_id) if PLAUSIBLE_ID.fullmatch(export_id) else None
        return base_of(known)

    async def _measured(self, connection: Connection, org_id: str, spec: PlanSpec, snapshot: str) -> PlanSpec:
        """The plan, with whether what changed is found by the changes. Planned as chunks are, which holds for this question only."""
        assert spec.since is not None
        async with savepoint(connection, keep=False):
            await connection.execute(session_sql(org_id))
            found = await connection.fetchval(datasets.get(spec.dataset).worth_finding(spec, snapshot))
        return spec.model_copy(update={"since": spec.since.model_copy(update={"found": bool(found)})})

    async def _check_search(self, connection: Connection, org_id: str, spec: PlanSpec, snapshot: str) -> None:
        """Raises ApiError 422 where a search is seen to find more than may be exported from one. What takes too long to see is left to the plan."""
        dataset = datasets.get(spec.dataset)
        if dataset.found_rows_max is None or "q" not in spec.filter:
            return
        try:
            async with savepoint(connection, keep=False):
                await connection.execute(session_sql(org_id))
                await connection.execute("SELECT set_config('statement_timeout', $1, true)", str(SEARCH_MILLISECONDS))
                found = await connection.fetchrow(dataset.plan_query(spec, snapshot, None, dataset.found_rows_max + 1, None))
        except asyncpg.QueryCanceledError:
            return
        if found["rows"] > dataset.found_rows_max:
            raise unprocessable(
                Detail("filter.q", f"finds more than {dataset.found_rows_max} rows: narrow it, or ask by a range and filters without q")
            )

    async def _again(self, connection: Connection, export_id: str) -> New:
        """The same plan at the same instant, in chunks of the same size. Raises ApiError."""
        source = await self._queries.rerun_source(connection, id=export_id)
        if source is None:
            raise not_found("The export")
        rerun.check(source)
        return New(
            source["request"], source["dataset"], list(source["formats"]), source["labels"], source["snapshot"], source["spec"],
            rerun.expires_in(source), self._planner.limits_of(source), source["purpose"], source["id"], rerun.reproduces_sha256(source),
            since=PlanSpec.model_validate_json(source["spec"]).since, approval_above=source["approval_rows_threshold"],
        )  # fmt: skip


def _check_rights(request: Request, new: New) -> None:
    """Raises ApiError 403: what its dataset protects, and what goes to addresses of the caller's choice, may only be asked for by who may download it."""
    if request.by is not None and (datasets.get(new.dataset).protected or destinations.sends_to_anybody(new.destinations)):
        request.by.require("exports:download")


def organisation_of(row: Row) -> Organisation:
    properties = tuple(CustomProperty(**each) for each in json.loads(row["custom_properties"]))
    return Organisation(
        row["org_id"],
        row["name"],
        row["timezone"],
        properties,
        row["retention_days"],
        row["require_purpose"],
        row["qualification_threshold"],
        row["require_password"],
        json.loads(row["operating_hours"]) if row["operating_hours"] is not None else None,
        tuple(json.loads(row["redaction_profiles"])),
        _branding(row["branding"]),
    )


def _branding(setting: str | None) -> Branding | None:
    """Null where nothing was set, so that a plan says nothing of it."""
    branding = Branding.model_validate_json(setting) if setting is not None else Branding()
    return branding if branding != Branding() else None


def _without_envelope(body: Any) -> Any:
    return {k: v for k, v in body.items() if k not in ENVELOPE} if isinstance(body, dict) else body
