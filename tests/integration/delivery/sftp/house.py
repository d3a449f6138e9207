"""An SFTP server on real parts, without Kafka, and the clients that people use."""

import asyncio
import contextlib
import os
import secrets
import shutil
import stat
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncssh

from services.delivery.core.sftp.lockout import Policy
from services.delivery.sftp.host_keys import HostKeys
from services.delivery.sftp.login import Doorkeeper
from services.delivery.sftp.noting import Notes
from services.delivery.sftp.server import Limits, SftpServer
from services.delivery.sftp.store import SftpStore, place
from services.delivery.sftp.users import Users
from services.delivery.threads import Threads
from shared.clock import utc_now
from shared.codec import decode
from shared.database import tenant
from shared.http import Principal
from shared.messages import AuditEntry
from shared.sealing import SFTP_HOST_KEYS, Seal
from shared.storage import ObjectStore
from tests.integration.delivery.room import SECRET_KEY, Export, NoRelay, Room, message

HOST = "127.0.0.1"
LIMITS = Limits(connections=400, of_organisation=300, login_seconds=30, idle_seconds=300)


@dataclass(frozen=True)
class Account:
    """A user whose password and key are known."""

    id: str
    org_id: str
    username: str
    password: str
    key: Path


@dataclass
class House:
    room: Room
    server: SftpServer
    users: Users
    host_keys: HostKeys
    store: SftpStore
    scratch: Path
    accounts: list[Account] = field(default_factory=list)
    org_id: str = field(default_factory=lambda: f"org_{secrets.token_hex(4)}")

    @property
    def port(self) -> int:
        return self.server.port

    async def account(self, with_key: bool = True, org_id: str = "", **body: Any) -> Account:
        org_id = org_id or self.org_id
        key = self.scratch / f"key_{len(self.accounts)}"
        private = asyncssh.generate_private_key("ssh-ed25519")
        key.write_bytes(private.export_private_key())
        key.chmod(stat.S_IRUSR)
        lines = [private.export_public_key().decode().strip()] if with_key else []
        name = f"user-{secrets.token_hex(4)}"
        made = await self.users.create(principal(org_id), {"username": name, "public_keys": lines, **body})
        account = Account(made["id"], org_id, made["username"], made["password"], key)
        self.accounts.append(account)
        return account

    async def file(self, content: bytes, folder: str = "message", name: str = "", org_id: str = "", **kept: Any) -> Export:
        """A published export with one file of this content, which has a place in the folder."""
        org_id = org_id or self.org_id
        export = Export(self.room, org_id=org_id, head=b"", tail=b"", empty=b"", express=True)
        await export.keep(**kept)
        async with self.room.process() as process:
            await process.handler.handle(message(export.command(export.put_parts([content]), last=True)))
        async with tenant(self.room.pool, org_id) as connection:
            await place(connection, org_id, export.id, "csv", 1, folder, name or f"{export.id}.csv")
        return export

    async def entries(self, action: str) -> list[AuditEntry]:
        """What the audit trail is told, the oldest first."""
        rows = await self.room.pool.fetch("SELECT value FROM delivery.outbox WHERE topic = 'audit-entries' ORDER BY seq")
        found = [decode(row["value"]) for row in rows]
        return [each for each in found if isinstance(each, AuditEntry) and each.action == action and each.org_id in (self.org_id, None)]

    # ---- clients

    @asynccontextmanager
    async def asyncssh(self, account: Account, **options: Any) -> AsyncIterator[asyncssh.SSHClientConnection]:
        """For what other clients wouldn't do."""
        given = {"client_keys": [str(account.key)], "known_hosts": None, "username": account.username, "config": None, **options}
        async with asyncssh.connect(HOST, self.port, **given) as connection:
            yield connection

    async def sftp(self, account: Account, *commands: str, options: Sequence[str] = (), password: str | None = None) -> tuple[int, str]:
        """OpenSSH's sftp with a batch of commands: its exit code and all that it says. With the account's key, or the password."""
        environment = dict(os.environ)
        if password is None:
            way = ["-i", str(account.key), "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes"]
        else:
            ask = self.scratch / "askpass"
            ask.write_text('#!/bin/sh\nprintf "%s\\n" "$TESTS_PASSWORD"\n')
            ask.chmod(0o700)
            environment |= {"SSH_ASKPASS": str(ask), "SSH_ASKPASS_REQUIRE": "force", "TESTS_PASSWORD": password}
            way = [
                "-o",
                "BatchMode=no",
                "-o",
                "PubkeyAuthentication=no",
                "-o",
                "PreferredAuthentications=password",
                "-o",
                "NumberOfPasswordPrompts=1",
            ]
        batch = self.scratch / "batch"
        batch.write_text("\n".join(commands) + "\n")
        known = self.scratch / "known_hosts"
        return await run(
            ["sftp", "-F", "none", *way, "-o", "StrictHostKeyChecking=accept-new", "-o", f"UserKnownHostsFile={known}", *options, "-b", str(batch),
             "-P", str(self.port), f"{account.username}@{HOST}"],
            environment, self.scratch,
        )  # fmt: skip

    def rclone(self, account: Account) -> str:
        """A remote as rclone takes it on the command line."""
        return f":sftp,host={HOST},port={self.port},user={account.username},key_file={account.key},shell_type=none:"


async def run(
    command: list[str], environment: dict[str, str] | None = None, folder: Path | None = None, seconds: float = 60
) -> tuple[int, str]:
    assert shutil.which(command[0]), f"{command[0]} is missing; `make test` installs it"
    process = await asyncio.create_subprocess_exec(
        *command,
        env=environment,
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(seconds):
            said, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        raise
    return process.returncode or 0, said.decode(errors="replace")


def principal(org_id: str) -> Principal:
    return Principal(org_id, "key_test", frozenset({"sftp:write"}), HOST)


@asynccontextmanager
async def open_house(
    room: Room, scratch: Path, limits: Limits = LIMITS, policy: Policy | None = None, objects: ObjectStore | None = None, announced: timedelta = timedelta(days=14)
) -> AsyncIterator[House]:  # fmt: skip
    store, outbox = SftpStore(room.pool), NoRelay(room.pool)
    policy = policy or Policy()
    reads, hashes = Threads(16, "sftp-read"), Threads(2, "sftp-hash")
    host_keys = HostKeys(store, Seal([SECRET_KEY], SFTP_HOST_KEYS), hashes, outbox, announced, utc_now)

    async def upkeep() -> None:
        await store.prune_failures(policy, utc_now())

    door = Doorkeeper(store, policy, hashes, outbox, utc_now)
    server = SftpServer(f"{HOST}:0", store, objects or room.objects, reads, Notes(outbox), door, host_keys, limits, upkeep, utc_now)
    await server.start()
    try:
        yield House(room, server, Users(store, hashes, outbox, utc_now), host_keys, store, scratch)
    finally:
        await server.leave()
        await server.close()
        with contextlib.suppress(RuntimeError):
            await reads.close()
            await hashes.close()
