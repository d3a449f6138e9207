"""Accepts a request, over HTTP or Kafka: validates, takes the snapshot, and stores export, key and event in one transaction."""

import hashlib
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import asyncpg

from services.export_request.asking import Asking, New, Request
from services.export_request.core import destinations, naming
from services.export_request.core.events import refused_event
from services.export_request.core.life import Told
from services.export_request.core.limits import Limits, limits_of, require_room
from services.export_request.core.request.identity import body_sha256, check_key
from services.export_request.effects import ACTOR, Effects, Row
from services.export_request.metrics import ACCEPTED, REFUSED
from services.export_request.planning import Planner
from services.export_request.queries import load
from shared import audit
from shared.database import Connection, tenant
from shared.datasets import registry as datasets
from shared.errors import ApiError, Detail, PermanentError, conflict, gone, invalid_request, too_large
from shared.http import BODY_BYTES_MAX, Principal
from shared.ids import new_id
from shared.inbox import Inbox
from shared.metrics import STAGE_SECONDS
from shared.observability import current_traceparent
from shared.outbox import Outbox, Outgoing
from shared.sealing import FILE_PASSWORDS, Seal

REQUESTED_BY_MAX = 255


class Intake:
    """The way in. `planner` starts on what was accepted at once."""

    def __init__(
        self, pool: asyncpg.Pool, inbox: Inbox, outbox: Outbox, effects: Effects, planner: Planner, limits: Limits,
        clock: Callable[[], datetime], secret_key: str, upgrading: bool = False,
    ) -> None:  # fmt: skip
        """`limits`: those of an organisation that has none of its own. `secret_key` seals passwords.
        `upgrading`: processes of an older release may run, which would write a file without its password."""
        self._limits, self._secret, self._seal = limits, secret_key.encode(), Seal([secret_key], FILE_PASSWORDS)
        self._pool, self._inbox, self._outbox, self._effects, self._planner = pool, inbox, outbox, effects, planner
        self._clock, self._queries, self._asking = clock, load(), Asking(planner, upgrading)

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
        new = await self._asking.new(connection, request)
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

    async def previewed(self, connection: Connection, request: Request) -> New:
        """What an export with this body would be; the same refusals, but for a password that lacks. Raises ApiError."""
        return await self._asking.new(connection, request, preview=True)

    async def _add(self, connection: Connection, export_id: str, request: Request, new: New, named: dict[str, Any]) -> Row:
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


def _naming(export_id: str, request: Request, new: New) -> dict[str, Any]:
    """What the files of a schedule's run are called, and where they appear; those of other exports are called by dataset and export."""
    if (run := request.run) is None:
        return {"schedule_id": None, "file_stem": None, "sftp_folder": ""}
    stem = naming.stem(request.org_id, datasets.get(new.dataset), run.window, run.timezone, export_id, run.instant)
    return {"schedule_id": run.schedule_id, "file_stem": stem, "sftp_folder": run.sftp_folder}


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
