"""The SFTP server's parts, wired; tests drive them without Kafka."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import asyncpg
from fastapi import APIRouter

from services.delivery.core.sftp.lockout import Policy
from services.delivery.settings import Settings
from services.delivery.sftp.api import sftp_router
from services.delivery.sftp.host_keys import HostKeys
from services.delivery.sftp.login import Doorkeeper
from services.delivery.sftp.noting import Notes
from services.delivery.sftp.server import Limits, SftpServer
from services.delivery.sftp.store import SftpStore
from services.delivery.sftp.users import Users
from services.delivery.threads import Threads
from shared.clock import utc_now
from shared.http import Authenticator
from shared.outbox import Outbox
from shared.sealing import SFTP_HOST_KEYS, Seal
from shared.storage import ObjectStore

HASHES_AT_ONCE = 2  # each takes 16 MiB and a processor


@dataclass(frozen=True)
class Sftp:
    """What the service mounts and runs. Without an address there is no server: users can be made all the same."""

    router: APIRouter
    server: SftpServer | None
    reads: Threads
    hashes: Threads


def assemble(
    settings: Settings,
    pool: asyncpg.Pool,
    objects: ObjectStore,
    outbox: Outbox,
    auth: Authenticator,
    clock: Callable[[], datetime] = utc_now,
) -> Sftp:
    """`pool` is the server's own: what clients ask for doesn't keep files and webhooks from the database."""
    store, reads, hashes = SftpStore(pool), Threads(settings.delivery_sftp_reads, "sftp-read"), Threads(HASHES_AT_ONCE, "sftp-hash")
    announced = timedelta(days=settings.delivery_sftp_host_key_days)
    host_keys = HostKeys(store, Seal(settings.secret_keys, SFTP_HOST_KEYS), hashes, outbox, announced, clock)
    policy = Policy(settings.delivery_sftp_failures, settings.delivery_sftp_failures * 10, settings.delivery_sftp_lock_seconds)
    router = sftp_router(Users(store, hashes, outbox, clock), host_keys, auth, settings.secret_key.encode(), settings.operator_token)
    limits = Limits(
        settings.delivery_sftp_connections, settings.delivery_sftp_connections_per_organisation, settings.delivery_sftp_login_seconds,
        settings.delivery_sftp_idle_seconds,
    )  # fmt: skip

    async def upkeep() -> None:
        await store.prune_failures(policy, clock())

    server = None
    if settings.sftp:
        door = Doorkeeper(store, policy, hashes, outbox, clock)
        server = SftpServer(settings.sftp, store, objects, reads, Notes(outbox), door, host_keys, limits, upkeep, clock)
    return Sftp(router, server, reads, hashes)
