"""What an organisation does with its webhook endpoints. Another organisation's are not there."""

import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from services.delivery.core.urls import UrlRules, place_of
from services.delivery.core.webhooks import bodies, signing
from services.delivery.core.webhooks.events import TEST_EVENT, Event, payload
from services.delivery.core.webhooks.health import Reason
from services.delivery.core.webhooks.life import AskedAgain, Delivery, Retries, Status, step
from services.delivery.core.webhooks.view import delivery_view, endpoint_view
from services.delivery.webhooks.dispatcher import count, send, told
from services.delivery.webhooks.queue import Claim, Queue
from services.delivery.webhooks.sender import Sender
from services.delivery.webhooks.store import Row, WebhookStore
from shared import audit
from shared.clock import instant
from shared.database import Connection
from shared.errors import ApiError, conflict, not_found
from shared.http import Principal
from shared.ids import new_id
from shared.outbox import Outbox
from shared.paging import Place
from shared.sealing import CannotOpen, Seal

ENDPOINTS_MAX = 50
TESTS_AT_ONCE = 4  # of one organisation
WHAT = "The webhook endpoint"


@dataclass(frozen=True)
class Parts:
    """What endpoints are made and tested with."""

    store: WebhookStore
    queue: Queue
    seal: Seal
    sender: Sender
    rules: UrlRules
    rotation_seconds: int
    lease_seconds: float
    wake: Callable[[], None]
    wake_in: Callable[[float], None]
    outbox: Outbox
    clock: Callable[[], datetime]


class Endpoints:
    """Every call is one transaction, but for a test, which sends in between two."""

    def __init__(self, parts: Parts) -> None:
        self._parts, self._store, self._seal, self._clock, self._outbox = parts, parts.store, parts.seal, parts.clock, parts.outbox
        self._tests: Counter[str] = Counter()

    async def _note(self, connection: Connection, by: Principal, action: str, endpoint_id: str, **details: Any) -> None:
        """In the audit trail, with what is done."""
        await self._outbox.add(connection, [audit.entry(by, f"webhook_endpoint.{action}", endpoint_id, details)])

    async def create(self, by: Principal, body: Any) -> dict[str, Any]:
        """The endpoint with its secret, shown only now. Raises ApiError 400, 409 where there are too many."""
        wanted = bodies.endpoint_body(body, self._parts.rules)
        endpoint_id, secret = new_id("whe"), secrets.token_bytes(signing.SECRET_BYTES)
        org_id = by.org_id
        async with self._store.transaction(org_id) as connection:
            now = await self._store.now(connection)
            if await self._store.count_endpoints(connection, org_id) >= ENDPOINTS_MAX:
                raise conflict(f"An organisation has at most {ENDPOINTS_MAX} webhook endpoints: delete one that is not needed.")
            sealed = self._seal.seal(secret, endpoint_id)
            row = await self._store.add_endpoint(connection, org_id, endpoint_id, wanted, sealed, now)
            await self._note(connection, by, "created", endpoint_id, url=place_of(row["url"]), events=list(row["events"]))
        self._outbox.wake()
        return {**endpoint_view(row, now), "secret": signing.secret_text(secret)}

    async def page(self, org_id: str, behind: Place | None, count: int) -> tuple[list[Row], list[dict[str, Any]]]:
        rows, now = await self._store.endpoints(org_id, behind, count), self._clock()
        return rows, [endpoint_view(row, now) for row in rows]

    async def show(self, org_id: str, endpoint_id: str) -> dict[str, Any]:
        return endpoint_view(await self._get(org_id, endpoint_id), self._clock())

    async def change(self, by: Principal, endpoint_id: str, body: Any) -> dict[str, Any]:
        changes = bodies.endpoint_changes(body, self._parts.rules)
        async with self._store.transaction(by.org_id) as connection:
            before, now = await self._lock(connection, endpoint_id), await self._store.now(connection)
            row = await self._store.save_endpoint(connection, before, _effects(before, changes, now), now)
            changed = {
                name: {"old": _told(name, before[name]), "new": _told(name, row[name])} for name in changes if before[name] != row[name]
            }
            if changed:
                await self._note(connection, by, "changed", endpoint_id, **changed)
        self._outbox.wake()
        self._parts.wake()
        return endpoint_view(row, now)

    async def delete(self, by: Principal, endpoint_id: str) -> None:
        async with self._store.transaction(by.org_id) as connection:
            if not await self._store.delete_endpoint(connection, endpoint_id):
                raise not_found(WHAT)
            await self._note(connection, by, "deleted", endpoint_id)
        self._outbox.wake()

    async def rotate(self, by: Principal, endpoint_id: str, body: Any) -> dict[str, Any]:
        """A new secret, shown only now; the old one signs beside it for a while. One older than that ends at once."""
        overlap, secret = bodies.rotation_body(body, self._parts.rotation_seconds), secrets.token_bytes(signing.SECRET_BYTES)
        async with self._store.transaction(by.org_id) as connection:
            row, now = await self._lock(connection, endpoint_id), await self._store.now(connection)
            previous, until = (row["secret"], now + timedelta(seconds=overlap)) if overlap else (None, None)
            changes = {"secret": self._seal.seal(secret, endpoint_id), "previous_secret": previous, "previous_until": until}
            row = await self._store.save_endpoint(connection, row, changes, now)
            await self._note(connection, by, "secret_rotated", endpoint_id, overlap_seconds=overlap)
        self._outbox.wake()
        return {**endpoint_view(row, now), "secret": signing.secret_text(secret)}

    async def recover(self, by: Principal, endpoint_id: str, body: Any) -> dict[str, Any]:
        since, org_id = bodies.recovery_body(body), by.org_id
        async with self._store.transaction(org_id) as connection:
            _require_enabled(await self._lock(connection, endpoint_id))
            recovered = await self._store.recover(connection, org_id, endpoint_id, since, await self._store.now(connection))
            await self._note(connection, by, "recovered", endpoint_id, since=instant(since), recovered=recovered)
        self._outbox.wake()
        self._parts.wake()
        return {"since": instant(since), "recovered": recovered}

    async def redeliver(self, by: Principal, endpoint_id: str, delivery_id: str) -> dict[str, Any]:
        org_id = by.org_id
        async with self._store.transaction(org_id) as connection:
            _require_enabled(await self._lock(connection, endpoint_id))
            row = await self._store.lock_delivery(connection, endpoint_id, delivery_id)
            if row is None:
                raise not_found("The delivery")
            now = await self._store.now(connection)
            before = Delivery(Status(row["status"]), row["tries"], row["attempts"])
            await self._store.send_again(connection, row, step(before, AskedAgain(), now, 0, Retries()), now)
            await self._note(connection, by, "redelivered", endpoint_id, delivery_id=delivery_id)
        self._outbox.wake()
        self._parts.wake()
        return await self._delivery(org_id, endpoint_id, delivery_id)

    # ---- testing

    async def test(self, by: Principal, endpoint_id: str) -> dict[str, Any]:
        """Send a test message now, also to a disabled endpoint; answers what came of it."""
        org_id = by.org_id
        row = await self._get(org_id, endpoint_id)
        if self._tests[org_id] >= TESTS_AT_ONCE:
            raise ApiError(429, "rate_limited", f"At most {TESTS_AT_ONCE} tests run at once.", headers={"Retry-After": "1"})
        self._tests[org_id] += 1
        try:
            return await self._test(by, row)
        finally:
            self._tests[org_id] -= 1

    async def _test(self, by: Principal, row: Row) -> dict[str, Any]:
        now, org_id, endpoint_id = self._clock(), by.org_id, row["id"]
        data = {"endpoint_id": endpoint_id, "message": "This is a test: no export has ended."}
        event = Event(new_id("evt"), TEST_EVENT, now, "", payload(TEST_EVENT, str(instant(now)), data))
        async with self._store.transaction(org_id) as connection:
            row, made = await self._lock(connection, endpoint_id), await self._store.now(connection)
            until = made + timedelta(seconds=self._parts.lease_seconds)
            delivery_id = await self._store.add_test(connection, org_id, endpoint_id, event, until, made)
            await self._note(connection, by, "tested", endpoint_id, delivery_id=delivery_id)
        self._outbox.wake()
        claim = Claim(
            delivery_id, org_id, endpoint_id, event.id, TEST_EVENT, row["url"], event.payload, "", row["secret"],
            row["previous_secret"] if row["previous_until"] is not None and row["previous_until"] > made else None,
        )  # fmt: skip
        try:
            result = await send(claim, self._seal, self._parts.sender, now, self._clock)
        except CannotOpen:
            raise conflict("The endpoint's secret can't be read any more: rotate it.") from None
        told(await self._parts.queue.record([result]), self._parts.wake_in)
        count(result)
        return {"delivered": result.sent.attempt.succeeded, "delivery": await self._delivery(org_id, endpoint_id, delivery_id)}

    # ---- finding

    async def _get(self, org_id: str, endpoint_id: str) -> Row:
        row = await self._store.endpoint(org_id, endpoint_id)
        if row is None:
            raise not_found(WHAT)
        return row

    async def _lock(self, connection: Connection, endpoint_id: str) -> Row:
        row = await self._store.lock_endpoint(connection, endpoint_id)
        if row is None:
            raise not_found(WHAT)
        return row

    async def _delivery(self, org_id: str, endpoint_id: str, delivery_id: str) -> dict[str, Any]:
        row = await self._store.delivery(org_id, endpoint_id, delivery_id)
        if row is None:
            raise not_found("The delivery")
        return delivery_view(row)


def _told(name: str, value: Any) -> Any:
    """A field as the audit trail may hold it."""
    return place_of(value) if name == "url" else list(value) if name == "events" else value


def _require_enabled(row: Row) -> None:
    if not row["enabled"]:
        raise conflict("The endpoint is disabled: enable it first (PATCH with enabled true).")


def _effects(row: Row, changes: dict[str, Any], now: datetime) -> dict[str, Any]:
    """What a PATCH changes besides the fields it names: enabling, and another URL, begin with a clean record."""
    effects = dict(changes)
    if changes.get("enabled") is False and row["enabled"]:
        effects |= {"disabled_reason": str(Reason.requested), "disabled_at": now}
    if changes.get("enabled") is True:
        effects |= {"disabled_reason": None, "disabled_at": None}
    if changes.get("enabled") is True or ("url" in changes and changes["url"] != row["url"]):
        effects |= {"failing_since": None, "failures": 0, "held_until": None}
    return effects
