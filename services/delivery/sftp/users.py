"""What an organisation does with its SFTP users. Another organisation's are not there."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from services.delivery.core.sftp import bodies, keys, passwords
from services.delivery.core.sftp.view import user_view
from services.delivery.sftp.store import Row, SftpStore
from services.delivery.threads import Threads
from shared import audit
from shared.database import Connection
from shared.errors import conflict, not_found
from shared.http import Principal
from shared.ids import new_id
from shared.outbox import Outbox
from shared.paging import Place

USERS_MAX = 200
WHAT = "The SFTP user"


class Users:
    """Every change is one transaction, its entry in the audit trail included. Hashes are made on threads."""

    def __init__(self, store: SftpStore, threads: Threads, outbox: Outbox, clock: Callable[[], datetime]) -> None:
        self._store, self._threads, self._outbox, self._clock = store, threads, outbox, clock

    async def create(self, by: Principal, body: Any) -> dict[str, Any]:
        """The user with the password, shown only now. Raises ApiError 400, 409 where the name is taken or there are too many."""
        wanted, user_id = bodies.user_body(body), new_id("sfu")
        password, hashed = await self._new_password()
        async with self._store.transaction(by.org_id) as connection:
            if await self._store.count_users(connection, by.org_id) >= USERS_MAX:
                raise conflict(f"An organisation has at most {USERS_MAX} SFTP users: delete one that is not needed.")
            row = await self._store.add_user(connection, by.org_id, user_id, wanted, hashed, self._clock())
            if row is None:
                raise conflict(f"The username '{wanted['username']}' is taken: choose another one.")
            await self._note(connection, by, "created", user_id, username=row["username"], **_told(row))
        self._outbox.wake()
        return {**user_view(row), "password": password}

    async def page(self, org_id: str, behind: Place | None, count: int) -> tuple[list[Row], list[dict[str, Any]]]:
        rows = await self._store.users(org_id, behind, count)
        return rows, [user_view(row) for row in rows]

    async def show(self, org_id: str, user_id: str) -> dict[str, Any]:
        row = await self._store.user(org_id, user_id)
        if row is None:
            raise not_found(WHAT)
        return user_view(row)

    async def change(self, by: Principal, user_id: str, body: Any) -> dict[str, Any]:
        """Sessions of the user end within seconds, those included that the new keys and networks would let in."""
        changes = bodies.user_changes(body)
        async with self._store.transaction(by.org_id) as connection:
            before = await self._store.lock_user(connection, user_id)
            if before is None:
                raise not_found(WHAT)
            if all(list(before[name]) == value for name, value in changes.items()):
                return user_view(before)
            row = await self._store.save_user(connection, before, changes, self._clock())
            await self._note(connection, by, "changed", user_id, **{name: value for name, value in _told(row).items() if name in changes})
        self._outbox.wake()
        return user_view(row)

    async def reset_password(self, by: Principal, user_id: str) -> dict[str, Any]:
        """A new password, shown only now; the old one is worth nothing from here on."""
        password, hashed = await self._new_password()
        async with self._store.transaction(by.org_id) as connection:
            row = await self._store.reset_password(connection, user_id, hashed, self._clock())
            if row is None:
                raise not_found(WHAT)
            await self._note(connection, by, "password_reset", user_id)
        self._outbox.wake()
        return {**user_view(row), "password": password}

    async def delete(self, by: Principal, user_id: str) -> None:
        async with self._store.transaction(by.org_id) as connection:
            row = await self._store.delete_user(connection, user_id)
            if row is None:
                raise not_found(WHAT)
            await self._note(connection, by, "deleted", user_id, username=row["username"])
        self._outbox.wake()

    async def _new_password(self) -> tuple[str, bytes]:
        password = passwords.new_password()
        return password, await self._threads.run(passwords.hashed, password, passwords.new_salt())

    async def _note(self, connection: Connection, by: Principal, action: str, user_id: str, **details: Any) -> None:
        await self._outbox.add(connection, [audit.entry(by, f"sftp_user.{action}", user_id, details)])


def _told(row: Row) -> dict[str, Any]:
    """Keys by fingerprint, as the trail may hold them."""
    prints = [keys.parse(line).fingerprint for line in row["public_keys"]]
    return {"public_keys": prints, "allowed_networks": list(row["allowed_networks"])}
