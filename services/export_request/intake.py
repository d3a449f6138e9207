"""Accepts a request, over HTTP or Kafka: validates, takes the snapshot, and stores export, key and event in one transaction."""

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from services.export_request.core import destinations, naming, rerun, upgrades
from services.export_request.core.delta import Base, base_of
from services.export_request.core.destinations import Named
from services.export_request.core.events import refused_event
from services.export_request.core.life import Told
from services.export_request.core.limits import Limits, limits_of, require_room
from services.export_request.core.planning import ChunkLimits
from services.export_request.core.request import ENVELOPE, Organisation, asks_for_document, body_sha256, check_key, resolve, since_of
from services.export_request.core.windows import Window
from services.export_request.effects import ACTOR, Effects, Row
from services.export_request.metrics import ACCEPTED, REFUSED
from services.export_request.planning import Planner
from services.export_request.queries import load, rows
from shared import audit
from shared.database import Connection, tenant
from shared.datasets import registry as datasets
from shared.datasets.plan import Branding, CustomProperty, PlanSpec, Since
from shared.datasets.sql import session_sql
from shared.errors import ApiError, Detail, PermanentError, conflict, gone, invalid_request, not_found, too_large, unprocessable
from shared.http import BODY_BYTES_MAX, Principal
from shared.ids import new_id
from shared.inbox import Inbox
from shared.metrics import STAGE_SECONDS
from shared.observability import current_traceparent
from shared.outbox import Outbox, Outgoing
from shared.sealing import FILE_PASSWORDS, Seal

REQUESTED_BY_MAX = 255
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


class Intake:
    """The way in. `planner` starts on what was accepted at once."""

    def __init__(
        self, pool: asyncpg.Pool, inbox: Inbox, outbox: Outbox, effects: Effects, planner: Planner, limits: Limits,
        clock: Callable[[], datetime], secret_key: str, upgrading: bool = False,
    ) -> None:  # fmt: skip
        """`limits`: those of an organisation that has none of its own. `secret_key` seals passwords.
        `upgrading`: processes of an older release may run, which would write a file without its password."""
        self._upgrading = upgrading
        self._limits, self._secret, self._seal = limits, secret_key.encode(), Seal([secret_key], FILE_PASSWORDS)
        self._pool, self._inbox, self._outbox, self._effects, self._planner = pool, inbox, outbox, effects, planner
        self._clock, self._queries = clock, load()

    async def over_http(self, request: Request) -> Row:
        """The export, new or the one that the key already stands for. Raises ApiError."""
        try:
            if request.request_id is not None:
                check_key(request.request_id, "Idempotency-Key")
            with STAGE_SECONDS.labels("accept").time():
                async with tenant(self._pool, request.org_id) as connection:
                    row, new = await self._accept(connection, request)
        except ApiError as error:
            REFUSED.labels(error.code, "http").inc()
            raise
        if new:
            self.started(row, "http")
        return row

    async def rerun(self, by: Principal, export_id: str, key: str | None) -> Row:
        """The export that runs `export_id` again. Raises ApiError: 404; 409 where it hasn't ended; 410 where its instant can't be seen any more."""
        return await self.over_http(Request(by.org_id, None, key, f"key:{by.key_id}", rerun_of=export_id, by=by))

    async def over_kafka(self, message_id: str, request: Request) -> None:
        """Accepts or refuses; both are told by an event. Raises PermanentError where the organisation isn't known."""
        row: Row | None = None
        async with tenant(self._pool, request.org_id) as connection:
            if await self._queries.organisation(connection) is None:
                raise PermanentError("unknown_organisation", "No organisation has this org_id.", "org_id")
            if not await self._inbox.claim(connection, message_id):
                return
            try:
                _check_envelope(request)
                row, new = await self._accept(connection, request)
            except ApiError as error:
                REFUSED.labels(error.code, "kafka").inc()
                event = refused_event(
                    request.org_id, request.request_id, request.requested_by, error, new_id("evt"), self._clock(), current_traceparent()
                )
                await self._outbox.add(connection, [event])
        self._outbox.wake()
        if row is not None and new:
            self.started(row, "kafka")

    async def in_transaction(self, connection: Connection, request: Request) -> Row:
        """Accepts within the caller's transaction, which is the organisation's. Call `started` after its commit. Raises ApiError."""
        row, _ = await self._accept(connection, request)
        return row

    def started(self, row: Row, way: str) -> None:
        """What was accepted is planned at once."""
        ACCEPTED.labels(row["dataset"], way).inc()
        self._outbox.wake()
        self._planner.begin(row)

    async def _accept(self, connection: Connection, request: Request) -> tuple[Row, bool]:
        """The export and whether it is new."""
        identity = (
            body_sha256(request.body, self._secret)
            if request.rerun_of is None
            else hashlib.sha256(f"rerun {request.rerun_of}".encode()).digest()
        )
        if request.request_id is not None and (known := await self._known(connection, request, identity)):
            return known, False
        await self._require_room(connection, request.org_id)
        new = await (self._asked(connection, request) if request.rerun_of is None else self._again(connection, request.rerun_of))
        _check_rights(request, new)
        export_id = new_id("exp")
        if request.request_id is not None:
            mine = await self._queries.remember_key(
                connection, org_id=request.org_id, key=request.request_id, body_sha256=identity, export_id=export_id
            )
            if mine is None:  # another request with this key was faster, and has committed
                known = await self._known(connection, request, identity)
                assert known is not None
                return known, False
        row = await self._add(connection, export_id, request, new, _naming(export_id, request, new))
        if new.password is not None:
            sealed = self._seal.seal(new.password.encode(), export_id)
            await self._queries.add_password(connection, export_id=export_id, org_id=request.org_id, sealed=sealed)
        await self._outbox.add(connection, [self._effects.event(Told.accepted, row, row["created_at"]), _noted(request, row)])
        return row, True

    async def _require_room(self, connection: Connection, org_id: str) -> None:
        """Enters, which keeps instants from being pruned. Raises ApiError 429. What is allowed is exact: the organisation's requests take turns until they commit."""
        limits = limits_of(await self._queries.enter(connection, org_id=org_id), self._limits)
        if limits.exports_at_once is None and limits.rows_a_day is None:
            return
        await self._queries.lock_usage(connection, org_id=org_id)
        now = self._clock()
        used = await self._queries.used(connection, org_id=org_id, today=now.date())
        require_room(limits, used["running"], used["rows"], now)

    async def _known(self, connection: Connection, request: Request, identity: bytes) -> Row | None:
        """The export that the key stands for. Raises ApiError: 409 for another body, 410 where the export was deleted."""
        found = await self._queries.known_key(connection, org_id=request.org_id, key=request.request_id)
        if found is None:
            return None
        if found["body_sha256"] != identity:
            raise conflict("The idempotency key was used with another body.", export_id=found["export_id"])
        if not found["there"]:
            raise gone("The export of this idempotency key was deleted.")
        row: Row = await self._queries.export(connection, id=found["export_id"])
        return row

    async def previewed(self, connection: Connection, request: Request) -> "New":
        """What an export with this body would be; the same refusals, but for a password that lacks. Raises ApiError."""
        new = await self._asked(connection, request, preview=True)
        _check_rights(request, new)
        return new

    async def _asked(self, connection: Connection, request: Request, preview: bool = False) -> "New":
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
        question = connection.transaction()
        await question.start()
        try:
            await connection.execute(session_sql(org_id))
            found = await connection.fetchval(datasets.get(spec.dataset).worth_finding(spec, snapshot))
        finally:
            await question.rollback()
        return spec.model_copy(update={"since": spec.since.model_copy(update={"found": bool(found)})})

    async def _check_search(self, connection: Connection, org_id: str, spec: PlanSpec, snapshot: str) -> None:
        """Raises ApiError 422 where a search is seen to find more than may be exported from one. What takes too long to see is left to the plan."""
        dataset = datasets.get(spec.dataset)
        if dataset.found_rows_max is None or "q" not in spec.filter:
            return
        question = connection.transaction()
        await question.start()
        try:
            await connection.execute(session_sql(org_id))
            await connection.execute("SELECT set_config('statement_timeout', $1, true)", str(SEARCH_MILLISECONDS))
            found = await connection.fetchrow(dataset.plan_query(spec, snapshot, None, dataset.found_rows_max + 1, None))
        except asyncpg.QueryCanceledError:
            return
        finally:
            await question.rollback()
        if found["rows"] > dataset.found_rows_max:
            raise unprocessable(
                Detail("filter.q", f"finds more than {dataset.found_rows_max} rows: narrow it, or ask by a range and filters without q")
            )

    async def _again(self, connection: Connection, export_id: str) -> "New":
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

    async def _add(self, connection: Connection, export_id: str, request: Request, new: "New", named: dict[str, Any]) -> Row:
        now = self._clock()
        row: Row = await self._queries.add_export(
            connection, id=export_id, org_id=request.org_id, request_id=request.request_id, request=new.request,
            requested_by=request.requested_by, dataset=new.dataset, formats=new.formats, labels=new.labels, snapshot=new.snapshot, spec=new.spec,
            traceparent=current_traceparent(), lease_until=self._planner.lease(now), now=now, expires_at=now + new.expires_in,
            chunk_rows_max=new.limits.rows, chunk_bytes_max=new.limits.bytes, rerun_of=new.rerun_of, reproduces_sha256=new.reproduces_sha256, purpose=new.purpose,
            protected=new.protected, since=new.since.export_id if new.since else None,
            since_snapshot=new.since.snapshot if new.since else None, approval_above=new.approval_above,
            destinations=destinations.stored(new.destinations), **named,
        )  # fmt: skip
        return row


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


def _naming(export_id: str, request: Request, new: New) -> dict[str, Any]:
    """What the files of a schedule's run are called, and where they appear; those of other exports are called by dataset and export."""
    if (run := request.run) is None:
        return {"schedule_id": None, "file_stem": None, "sftp_folder": ""}
    stem = naming.stem(request.org_id, datasets.get(new.dataset), run.window, run.timezone, export_id, run.instant)
    return {"schedule_id": run.schedule_id, "file_stem": stem, "sftp_folder": run.sftp_folder}


def _check_rights(request: Request, new: "New") -> None:
    """Raises ApiError 403: what its dataset protects, and what goes to addresses of the caller's choice, may only be asked for by who may download it."""
    if request.by is not None and (datasets.get(new.dataset).protected or destinations.sends_to_anybody(new.destinations)):
        request.by.require("exports:download")


def _noted(request: Request, row: Row) -> Outgoing:
    """For the audit trail. Who asked over HTTP is a key; over Kafka it is whoever the publisher says."""
    details: dict[str, Any] = {"dataset": row["dataset"], "formats": list(row["formats"])}
    if where := json.loads(row["destinations"]):
        details["destinations"] = destinations.told(where)
    action = "export.requested"
    if request.rerun_of is not None:
        action, details = "export.rerun", details | {"rerun_of": request.rerun_of}
    if request.run is not None:
        return audit.note(
            request.org_id, ACTOR, action, row["id"], details | {"schedule": request.run.schedule_id}, purpose=row["purpose"] or ""
        )
    if request.by is not None:
        return audit.entry(request.by, action, row["id"], details, row["purpose"] or "")
    return audit.note(request.org_id, f"kafka:{request.requested_by or ''}", action, row["id"], details, purpose=row["purpose"] or "")


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


def _check_envelope(request: Request) -> None:
    """What a Kafka message has besides the body. Raises ApiError."""
    if request.size > BODY_BYTES_MAX:
        raise too_large(f"The body is larger than {BODY_BYTES_MAX} bytes.")
    if isinstance(request.body, dict) and "password" in request.body:
        raise ApiError(
            400, "password_over_kafka", "A password must not go over Kafka: ask for this export over HTTP.",
            [Detail("password", "is not taken over Kafka")],
        )  # fmt: skip
    if not isinstance(request.request_id, str):
        raise invalid_request(Detail("request_id", "is required: text, the idempotency key"))
    check_key(request.request_id, "request_id")
    by = request.requested_by
    if by is not None and (not isinstance(by, str) or len(by) > REQUESTED_BY_MAX or not by.isprintable()):
        raise invalid_request(Detail("requested_by", f"must be text of at most {REQUESTED_BY_MAX} printable characters"))
