"""Delivery's composition root: the only place that makes its clients."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import asyncpg
from fastapi import APIRouter, FastAPI

from services.delivery.api import Downloads, create_router
from services.delivery.api_checkpoints import checkpoints_router
from services.delivery.api_keys import keys_router
from services.delivery.assembler import Assembler, Lane
from services.delivery.checkpoints import Checkpoints
from services.delivery.destinations.app import assemble as assemble_destinations
from services.delivery.handlers import CommandHandler
from services.delivery.janitor import Janitor
from services.delivery.keyring import Keyring
from services.delivery.mail import Mailer
from services.delivery.notifications.app import assemble as assemble_notifications
from services.delivery.notifications.store import Feed
from services.delivery.passwords import Passwords
from services.delivery.publisher import Publisher
from services.delivery.reconciling.api import reconciliations_router
from services.delivery.reconciling.reconciler import Reconciler
from services.delivery.reconciling.store import Reconciliations
from services.delivery.settings import Settings
from services.delivery.sftp.app import assemble as assemble_sftp
from services.delivery.store import DeliveryStore
from services.delivery.threads import Threads
from services.delivery.webhooks.app import assemble as assemble_webhooks
from shared.clock import utc_now
from shared.codec import write_for
from shared.consumer import Incoming, persist
from shared.database import create_pool, ping
from shared.http import Authenticator, create_api
from shared.observability import configure
from shared.outbox import Outbox
from shared.runtime import Service, create_broker, create_producer, in_thread, kafka_check
from shared.sealing import FILE_PASSWORDS, Seal
from shared.storage import ObjectStore, open_store
from shared.subscribing import subscribe
from shared.topics import EXPORT_ASSEMBLIES, EXPORT_EVENTS, group_of

POOL_SIZE = 20
KEYS_POOL_SIZE = 4
SFTP_POOL_SIZE = 6
COMPARING_SECONDS = 3 * 3600.0  # for a statement of a reconciliation


def create_http(
    downloads: Downloads, keyring: Keyring, checkpoints: Checkpoints, parts: Sequence[APIRouter], auth: Authenticator, secret: bytes, operator_token: str
) -> FastAPI:  # fmt: skip
    """All of its HTTP, on parts that are there or (for the OpenAPI document) not."""
    api = create_api("Waybill delivery")
    api.include_router(create_router(downloads, auth))
    api.include_router(keys_router(keyring, operator_token))
    api.include_router(checkpoints_router(checkpoints, auth, secret, operator_token))
    for router in parts:
        api.include_router(router)
    return api


@dataclass(frozen=True)
class _Pools:
    """Of connections to PostgreSQL. Keys of requests, the SFTP server and comparisons that take hours have their own: none waits for another's."""

    work: asyncpg.Pool
    keys: asyncpg.Pool
    sftp: asyncpg.Pool
    comparing: asyncpg.Pool

    @classmethod
    async def open(cls, url: str) -> "_Pools":
        pools = cls(
            create_pool(url, "delivery", POOL_SIZE), create_pool(url, "delivery-keys", KEYS_POOL_SIZE), create_pool(url, "delivery-sftp", SFTP_POOL_SIZE),
            create_pool(url, "delivery-reconcile", 1, statement_seconds=COMPARING_SECONDS),
        )  # fmt: skip
        for each in (pools.work, pools.keys, pools.sftp, pools.comparing):
            await each
        return pools

    @property
    def closings(self) -> list[Callable[[], Awaitable[None]]]:
        return [self.sftp.close, self.comparing.close, self.work.close, self.keys.close]


@dataclass(frozen=True)
class _Files:
    """What makes files of parts, publishes and removes them."""

    handler: CommandHandler
    assemblers: tuple[Assembler, Assembler]
    janitor: Janitor
    keyring: Keyring
    store: DeliveryStore
    threads: tuple[Threads, ...]

    @property
    def loops(self) -> list[Callable[[], Awaitable[None]]]:
        return [*(each.run for each in self.assemblers), self.janitor.discard_loop, self.janitor.sweep_loop]


def _files(settings: Settings, pool: asyncpg.Pool, objects: ObjectStore, outbox: Outbox) -> _Files:
    store = DeliveryStore(pool)
    at_once, tidying = Threads(2, "publish"), Threads(1, "tidy", bulk=True)
    janitor = Janitor(store, objects, tidying, settings.delivery_sweep_seconds, timedelta(hours=settings.delivery_upload_hours_max))
    keyring = Keyring(pool, settings.signing_secret or settings.secret_key, outbox)
    publisher = Publisher(store, objects, outbox, at_once, keyring, janitor.discard_asked)
    passwords = Passwords(store, Seal(settings.secret_keys, FILE_PASSWORDS))
    lanes = Lane("bulk", False, settings.delivery_assemblers, settings.delivery_files_open), Lane("express", True, 1, 16)
    bulk, express = (Assembler(store, objects, publisher, passwords, lane, settings.delivery_lease_seconds) for lane in lanes)
    handler = CommandHandler(store, objects, publisher, passwords, at_once, {False: bulk, True: express}, janitor.discard_asked)
    return _Files(handler, (bulk, express), janitor, keyring, store, (at_once, tidying))


@dataclass(frozen=True)
class _Comparing:
    found: Reconciliations
    reconciler: Reconciler
    threads: Threads


def _comparing(settings: Settings, pools: _Pools, objects: ObjectStore, outbox: Outbox, feed: Feed) -> _Comparing:
    """Store and tables, whether they agree."""
    found, threads = Reconciliations(pools.work, outbox, utc_now), Threads(1, "reconcile", bulk=True)
    reconciler = Reconciler(
        pools.comparing, found, objects, feed, threads, timedelta(hours=settings.reconcile_grace_hours), timedelta(seconds=settings.reconcile_seconds),
        timedelta(hours=settings.delivery_upload_hours_max), utc_now,
    )  # fmt: skip
    return _Comparing(found, reconciler, threads)


async def build() -> Service:
    settings = Settings()
    configure("delivery", settings.log_level, settings.otlp_endpoint)
    write_for(settings.messages_of)
    pools, objects = await _Pools.open(settings.delivery_database_url), open_store(settings)
    producer, broker = create_producer(settings.brokers, "waybill-delivery"), create_broker(settings.brokers, "waybill-delivery")
    outbox, auth = Outbox(pools.work, producer, "delivery"), Authenticator(pools.keys, settings.organisation_requests_per_second)
    files = _files(settings, pools.work, objects, outbox)
    notifications = assemble_notifications(settings, pools.work, outbox, auth, Mailer(settings.mail_server))
    webhooks = assemble_webhooks(settings, pools.work, outbox, auth, notifications.feed)
    destinations = assemble_destinations(settings, pools.work, objects, outbox, auth, notifications.told)
    sftp = assemble_sftp(settings, pools.sftp, objects, outbox, auth)
    comparing = _comparing(settings, pools, objects, outbox, notifications.feed)
    serving, checkpoints = Threads(settings.delivery_downloads, "download"), Checkpoints(pools.work, files.keyring, utc_now)
    downloads = Downloads(files.store, objects, serving, settings.secret_key, settings.public_url, outbox)
    comparisons = reconciliations_router(comparing.found, settings.operator_token)
    routers = [webhooks.router, sftp.router, notifications.router, *destinations.routers, comparisons]
    api = create_http(downloads, files.keyring, checkpoints, routers, auth, settings.secret_key.encode(), settings.operator_token)

    service = Service("delivery", api, settings.delivery_http, broker, producer)
    told = partial(_told, (webhooks.intake.handle, destinations.intake.handle, notifications.intake.handle))
    for topic, handle in ((EXPORT_ASSEMBLIES, files.handler.handle), (EXPORT_EVENTS, told)):
        letters = service.dead_letters(settings)
        subscribe(broker, topic, group_of(topic, "delivery"), handle, letters, service.fail, session_seconds=settings.kafka_session_seconds)
    service.loops = [outbox.run, outbox.watch, *files.loops, checkpoints.run, comparing.reconciler.run]
    service.loops += [*webhooks.loops, *destinations.loops, *notifications.loops]
    service.checks = {
        "postgresql": lambda: ping(pools.work), "kafka": kafka_check(producer), "store": in_thread(objects.check), "signing": files.keyring.check,
    }  # fmt: skip
    service.on_start = [partial(persist, files.keyring.ensure)]
    service.on_stop = [webhooks.sender.close, destinations.close, notifications.sender.close]
    service.on_stop += [each.close for each in (comparing.threads, serving, *files.threads, sftp.reads, sftp.hashes)]
    service.on_stop += pools.closings
    if sftp.server is not None:
        service.loops.append(sftp.server.run)
        service.checks["sftp"] = sftp.server.check
        service.on_stopping = [sftp.server.leave]
        service.on_stop.insert(0, sftp.server.close)
    return service


async def _told(handlers: Sequence[Callable[[Incoming], Awaitable[None]]], message: Incoming) -> None:
    """What an event leads to. Each is once whatever the others do: a message that comes again finds what was done."""
    for handle in handlers:
        await handle(message)
