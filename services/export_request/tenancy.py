"""Organisations, their settings and API keys: what is stored of them."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from services.export_request.core import profiles, settings, upgrades
from services.export_request.core.limits import CHECKS, Limits, limits_of, usage_view
from services.export_request.queries import load, rows
from shared import audit
from shared.clock import instant
from shared.database import across_tenants, tenant
from shared.errors import conflict, not_found
from shared.etags import etag_of, require_match
from shared.http import Principal, new_key
from shared.outbox import Outbox, Outgoing

ADMIN = ["admin"]
Row = Mapping[str, Any]


class Tenancy:
    """Every call is one transaction under the organisation's row-level security."""

    def __init__(self, pool: asyncpg.Pool, outbox: Outbox, limits: Limits, upgrading: bool = False) -> None:
        """`limits`: those of an organisation that has none of its own. `upgrading`: processes of an older release may run."""
        self._upgrading = upgrading
        self._pool, self._outbox, self._limits, self._queries = pool, outbox, limits, load()

    # ---- organisations

    async def create(self, org_id: str, name: str, timezone: str, address: str = "") -> dict[str, Any]:
        """A new organisation with its first key (admin), shown only now. Raises ApiError 409 where the id is taken."""
        async with tenant(self._pool, org_id) as connection:
            row = await self._queries.add_organisation(connection, org_id=org_id, name=name, timezone=timezone)
            if row is None:
                raise conflict("An organisation with this org_id exists.")
            made, key = await self._add_key(connection, org_id, "first key", ADMIN, None)
            await self._outbox.add(connection, _founded(org_id, name, made, address))
        self._outbox.wake()
        return {**organisation_view(row), "api_key": key}

    async def ensure(self, org_id: str, name: str) -> str:
        """The organisation, made where it is missing, and a new admin key."""
        async with tenant(self._pool, org_id) as connection:
            row = await self._queries.add_organisation(connection, org_id=org_id, name=name, timezone="UTC")
            made, key = await self._add_key(connection, org_id, "bootstrap", ADMIN, None)
            await self._outbox.add(connection, _founded(org_id, name, made)[0 if row else -1 :])
        return key

    async def organisations(self, after: str | None, count: int) -> list[Row]:
        async with across_tenants(self._pool) as connection:
            return await rows(self._queries.organisations(connection, after=after, count=count))

    async def change_organisation(self, org_id: str, changes: Mapping[str, Any], address: str) -> Row:
        """Its name and limits, by the operator. Raises ApiError 404."""
        fields = ("name", *CHECKS)
        async with tenant(self._pool, org_id) as connection:
            before = await self._queries.lock_organisation(connection, org_id=org_id)
            if before is None:
                raise not_found("The organisation")
            values = {name: before[name] for name in fields} | dict(changes)
            row: Row = await self._queries.set_limits(connection, org_id=org_id, **values)
            changed = {name: {"old": before[name], "new": row[name]} for name in fields if before[name] != row[name]}
            if changed:
                both = (None, org_id)
                await self._outbox.add(
                    connection, [audit.by_operator("organisation.changed", org_id, changed, address, each) for each in both]
                )
        self._outbox.wake()
        return row

    async def usage(self, org_id: str, now: datetime) -> dict[str, Any]:
        """What the organisation uses, and what it may."""
        async with tenant(self._pool, org_id, readonly=True) as connection:
            limits = limits_of(await self._queries.organisation(connection), self._limits)
            used = await self._queries.used(connection, org_id=org_id, today=now.date())
            rate = limits.requests_per_second
            available = await self._queries.available(connection, org_id=org_id, rate=float(rate)) if rate else None
        return usage_view(limits, used["running"], used["rows"], available, now)

    # ---- settings

    async def settings(self, org_id: str) -> dict[str, Any]:
        async with tenant(self._pool, org_id, readonly=True) as connection:
            return settings.view(await self._queries.organisation(connection))

    async def change_settings(self, by: Principal, changes: Mapping[str, Any], if_match: str | None = None) -> dict[str, Any]:
        """The settings as they are then. Raises ApiError 412 where `if_match` names another version of them."""
        async with tenant(self._pool, by.org_id) as connection:
            row = await self._queries.lock_organisation(connection, org_id=by.org_id)
            new = [("approval_rows_threshold", changes.get("approval_rows_threshold") is not None)]
            new.append(("redaction_profiles", profiles.looks_into_events(changes.get("redaction_profiles"))))
            upgrades.refuse(self._upgrading, new)
            before = settings.view(row)
            require_match(if_match, settings_etag(before))
            values = {name: row[name] for name in settings.SETTINGS} | settings.stored(changes)
            model = row["model_version"] + (values["scoring"] != row["scoring"])  # ingest sees it, and scores every lead again
            after = settings.view(await self._queries.save_settings(connection, org_id=by.org_id, model_version=model, **values))
            if changed := settings.changed(before, after):
                await self._outbox.add(connection, [audit.entry(by, "settings.changed", "settings", changed)])
        self._outbox.wake()
        return after

    # ---- keys

    async def add_key(self, by: Principal, name: str, scopes: list[str], expires_in_seconds: int | None) -> dict[str, Any]:
        expires_at = datetime.now(UTC) + timedelta(seconds=expires_in_seconds) if expires_in_seconds else None
        async with tenant(self._pool, by.org_id) as connection:
            row, key = await self._add_key(connection, by.org_id, name, scopes, expires_at)
            await self._outbox.add(connection, [audit.entry(by, "key.created", row["id"], _key_details(row))])
        self._outbox.wake()
        return {**key_view(row), "key": key}

    async def rotate_key(self, by: Principal, key_id: str, overlap_seconds: int) -> dict[str, Any]:
        """A new key of the same name and scopes; the old one works on for the overlap."""
        org_id = by.org_id
        async with tenant(self._pool, org_id) as connection:
            old = await self._queries.lock_key(connection, id=key_id, org_id=org_id)
            if old is None:
                raise not_found("The API key")
            row, key = await self._add_key(connection, org_id, old["name"], list(old["scopes"]), old["expires_at"])
            until = datetime.now(UTC) + timedelta(seconds=overlap_seconds)
            await self._queries.end_key(connection, id=key_id, org_id=org_id, expires_at=until)
            details = {"new_key": row["id"], "old_expires_at": instant(until), **_key_details(row)}
            await self._outbox.add(connection, [audit.entry(by, "key.rotated", key_id, details)])
        self._outbox.wake()
        return {**key_view(row), "key": key, "replaces": key_id, "old_expires_at": instant(until)}

    async def revoke_key(self, by: Principal, key_id: str) -> None:
        async with tenant(self._pool, by.org_id) as connection:
            if await self._queries.revoke_key(connection, id=key_id, org_id=by.org_id) is None:
                raise not_found("The API key")
            await self._outbox.add(connection, [audit.entry(by, "key.revoked", key_id)])
        self._outbox.wake()

    async def keys(self, org_id: str, after: tuple[datetime, str] | None, count: int) -> list[Row]:
        at, last = after or (None, None)
        async with tenant(self._pool, org_id, readonly=True) as connection:
            return await rows(self._queries.keys(connection, org_id=org_id, after_at=at, after_id=last, count=count))

    async def _add_key(self, connection: Any, org_id: str, name: str, scopes: list[str], expires_at: datetime | None) -> tuple[Row, str]:
        key_id, key, digest = new_key()
        row = await self._queries.add_key(
            connection, id=key_id, org_id=org_id, name=name, hash=digest, scopes=scopes, expires_at=expires_at
        )
        return row, key


def _founded(org_id: str, name: str, key: Row, address: str = "") -> list[Outgoing]:
    """In the operator's chain, and as the first entries of the organisation's own; its key last."""
    return [
        audit.by_operator("organisation.created", org_id, {"name": name}, address),
        audit.by_operator("organisation.created", org_id, {"name": name}, address, org_id),
        audit.by_operator("key.created", key["id"], _key_details(key), address, org_id),
    ]


def _key_details(row: Row) -> dict[str, Any]:
    return {"name": row["name"], "scopes": list(row["scopes"]), "expires_at": instant(row["expires_at"])}


def organisation_view(row: Row) -> dict[str, Any]:
    limits = {name: row[name] for name in CHECKS}
    return {
        "org_id": row["org_id"],
        "name": row["name"],
        "timezone": row["timezone"],
        "limits": limits,
        "created_at": instant(row["created_at"]),
    }


def settings_etag(view: Mapping[str, Any]) -> str:
    return etag_of(json.dumps(view, sort_keys=True).encode())


def key_view(row: Row) -> dict[str, Any]:
    at = {name: instant(row[name]) for name in ("created_at", "expires_at", "revoked_at", "last_used_at")}
    return {"id": row["id"], "prefix": f"sk_live_{row['id']}_", "name": row["name"], "scopes": list(row["scopes"]), **at}
