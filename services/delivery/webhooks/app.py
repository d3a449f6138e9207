"""The webhooks' parts, wired; tests drive them without Kafka."""

import random
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import asyncpg
from fastapi import APIRouter

from services.delivery.core.addresses import AddressRule
from services.delivery.core.urls import UrlRules
from services.delivery.core.webhooks.traffic import Limits
from services.delivery.notifications.store import Feed
from services.delivery.settings import Settings
from services.delivery.webhooks.api import webhooks_router
from services.delivery.webhooks.dispatcher import Dispatcher
from services.delivery.webhooks.endpoints import Endpoints, Parts
from services.delivery.webhooks.intake import WebhookIntake
from services.delivery.webhooks.queue import Queue
from services.delivery.webhooks.sender import Sender
from services.delivery.webhooks.store import WebhookStore
from services.delivery.webhooks.upkeep import Upkeep
from shared.clock import utc_now
from shared.database import Time, database_now
from shared.http import Authenticator
from shared.outbox import Outbox
from shared.sealing import WEBHOOK_SECRETS, Seal


@dataclass(frozen=True)
class Webhooks:
    """What the service mounts and runs."""

    router: APIRouter
    intake: WebhookIntake
    dispatcher: Dispatcher
    upkeep: Upkeep
    sender: Sender
    queue: Queue
    endpoints: Endpoints

    @property
    def loops(self) -> list[Callable[[], Awaitable[None]]]:
        return [self.dispatcher.run, self.upkeep.run]


def assemble(
    settings: Settings,
    pool: asyncpg.Pool,
    outbox: Outbox,
    authenticator: Authenticator,
    feed: Feed,
    clock: Callable[[], datetime] = utc_now,
    time: Time = database_now,
) -> Webhooks:
    """`clock` is this process's; the queue goes by `time`, PostgreSQL's."""
    store, seal = WebhookStore(pool, time), Seal(settings.secret_keys, WEBHOOK_SECRETS)
    queue = Queue(pool, f"webhooks-{secrets.token_hex(6)}", settings.webhook_time_scale, random.random, feed, time)
    addresses = AddressRule(loopback=settings.webhook_allow_loopback)
    sender = Sender(settings.webhook_timeout_seconds, addresses, clock)
    limits = Limits(settings.webhook_requests, settings.webhook_requests_per_organisation, settings.webhook_requests_per_endpoint)
    dispatcher = Dispatcher(queue, sender, seal, limits, settings.webhook_lease_seconds, clock)
    rules = UrlRules(settings.webhook_allow_http, addresses)
    parts = Parts(
        store,
        queue,
        seal,
        sender,
        rules,
        settings.webhook_rotation_seconds,
        settings.webhook_lease_seconds,
        dispatcher.wake,
        dispatcher.wake_in,
        outbox,
        clock,
    )
    endpoints = Endpoints(parts)
    router = webhooks_router(endpoints, store, authenticator, settings.secret_key.encode())
    intake = WebhookIntake(store, settings.public_url, dispatcher.wake)
    upkeep = Upkeep(queue, seal, timedelta(days=settings.webhook_keep_days))
    return Webhooks(router, intake, dispatcher, upkeep, sender, queue, endpoints)
