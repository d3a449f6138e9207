"""Delivery's composition root: the only place that makes its clients."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial

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
from shared.storage import open_store
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


async def build() -> Service:
    settings = Settings()
    configure("delivery", settings.log_level, settings.otlp_endpoint)
    write_for(settings.messages_of)
    pool = create_pool(settings.delivery_database_url, "delivery", POOL_SIZE)
    keys = create_pool(settings.delivery_database_url, "delivery-keys", KEYS_POOL_SIZE)
    sftp_pool = create_pool(settings.delivery_database_url, "delivery-sftp", SFTP_POOL_SIZE)
    comparing_pool = create_pool(settings.delivery_database_url, "delivery-reconcile", 1, statement_seconds=COMPARING_SECONDS)
    for each in (pool, keys, sftp_pool, comparing_pool):
        await each
    objects = open_store(settings)
    brokers = settings.brokers
    producer = create_producer(brokers, "waybill-delivery")
    broker = create_broker(brokers, "waybill-delivery")
    outbox = Outbox(pool, producer, "delivery")
    store = DeliveryStore(pool)
    at_once, serving, tidying = Threads(2, "publish"), Threads(settings.delivery_downloads, "download"), Threads(1, "tidy", bulk=True)
    janitor = Janitor(store, objects, tidying, settings.delivery_sweep_seconds, timedelta(hours=settings.delivery_upload_hours_max))
    keyring = Keyring(pool, settings.signing_secret or settings.secret_key, outbox)
    publisher = Publisher(store, objects, outbox, at_once, keyring, janitor.discard_asked)
    lease = settings.delivery_lease_seconds
    passwords = Passwords(store, Seal(settings.secret_keys, FILE_PASSWORDS))
    bulk = Assembler(
        store, objects, publisher, passwords, Lane("bulk", False, settings.delivery_assemblers, settings.delivery_files_open), lease
    )
    express = Assembler(store, objects, publisher, passwords, Lane("express", True, 1, 16), lease)
    handler = CommandHandler(store, objects, publisher, passwords, at_once, {False: bulk, True: express}, janitor.discard_asked)
    auth = Authenticator(keys, settings.organisation_requests_per_second)
    mailer = Mailer(settings.mail_server)
    notifications = assemble_notifications(settings, pool, outbox, auth, mailer)
    webhooks = assemble_webhooks(settings, pool, outbox, auth, notifications.feed)
    destinations = assemble_destinations(settings, pool, objects, outbox, auth, notifications.told)
    sftp = assemble_sftp(settings, sftp_pool, objects, outbox, auth)
    downloads = Downloads(store, objects, serving, settings.secret_key, settings.public_url, outbox)
    checkpoints = Checkpoints(pool, keyring, utc_now)
    reconciliations, walking = Reconciliations(pool, outbox, utc_now), Threads(1, "reconcile", bulk=True)
    reconciler = Reconciler(
        comparing_pool, reconciliations, objects, notifications.feed, walking, timedelta(hours=settings.reconcile_grace_hours),
        timedelta(seconds=settings.reconcile_seconds), timedelta(hours=settings.delivery_upload_hours_max), utc_now,
    )  # fmt: skip
    routers = [
        webhooks.router,
        sftp.router,
        notifications.router,
        *destinations.routers,
        reconciliations_router(reconciliations, settings.operator_token),
    ]
    api = create_http(downloads, keyring, checkpoints, routers, auth, settings.secret_key.encode(), settings.operator_token)
    service = Service("delivery", api, settings.delivery_http, broker, producer)
    told = partial(_told, (webhooks.intake.handle, destinations.intake.handle, notifications.intake.handle))
    for topic, handle in ((EXPORT_ASSEMBLIES, handler.handle), (EXPORT_EVENTS, told)):
        letters = service.dead_letters(settings)
        subscribe(broker, topic, group_of(topic, "delivery"), handle, letters, service.fail, session_seconds=settings.kafka_session_seconds)
    service.loops = [
        outbox.run,
        outbox.watch,
        bulk.run,
        express.run,
        janitor.discard_loop,
        janitor.sweep_loop,
        checkpoints.run,
        reconciler.run,
        *webhooks.loops,
        *destinations.loops,
        *notifications.loops,
    ]
    service.checks = {
        "postgresql": lambda: ping(pool),
        "kafka": kafka_check(producer),
        "store": in_thread(objects.check),
        "signing": keyring.check,
    }
    service.on_start = [partial(persist, keyring.ensure)]
    service.on_stop = [
        webhooks.sender.close,
        destinations.close,
        notifications.sender.close,
        walking.close,
        at_once.close,
        serving.close,
        tidying.close,
        sftp.reads.close,
        sftp.hashes.close,
    ]
    service.on_stop += [sftp_pool.close, comparing_pool.close, pool.close, keys.close]
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
