"""The notifications' parts, wired; tests drive them without Kafka."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import asyncpg
from fastapi import APIRouter

from services.delivery.core.addresses import AddressRule
from services.delivery.core.urls import UrlRules
from services.delivery.mail import Mailer
from services.delivery.notifications.alerter import Alerter
from services.delivery.notifications.api import notifications_router
from services.delivery.notifications.channels import Channels
from services.delivery.notifications.intake import NotificationIntake
from services.delivery.notifications.store import Feed
from services.delivery.notifications.telling import Telling
from services.delivery.settings import Settings
from services.delivery.webhooks.sender import Sender
from services.delivery.webhooks.store import WebhookStore
from shared.clock import utc_now
from shared.database import Time, database_now
from shared.http import Authenticator
from shared.outbox import Outbox


@dataclass(frozen=True)
class Notifications:
    """What the service mounts and runs; `told` is what the engine of deliveries calls, `feed` what else has something to tell."""

    router: APIRouter
    feed: Feed
    told: Telling
    intake: NotificationIntake
    alerter: Alerter
    sender: Sender

    @property
    def loops(self) -> list[Callable[[], Awaitable[None]]]:
        return [self.alerter.run, self.alerter.upkeep]


def assemble(
    settings: Settings, pool: asyncpg.Pool, outbox: Outbox, authenticator: Authenticator, mailer: Mailer, clock: Callable[[], datetime] = utc_now,
    time: Time = database_now,
) -> Notifications:  # fmt: skip
    """`clock` is this process's; the queue goes by `time`, PostgreSQL's."""
    addresses = AddressRule(loopback=settings.webhook_allow_loopback)
    sender = Sender(settings.webhook_timeout_seconds, addresses, clock)
    channels = Channels(sender, mailer, UrlRules(settings.webhook_allow_http, addresses))
    alerter = Alerter(
        pool, channels, timedelta(minutes=settings.alert_quiet_minutes), timedelta(days=settings.notification_keep_days), random.random,
        settings.webhook_time_scale, time,
    )  # fmt: skip
    feed = Feed(pool, alerter.wake)
    router = notifications_router(feed, channels, authenticator, settings.secret_key.encode(), clock)
    return Notifications(router, feed, Telling(feed, outbox), NotificationIntake(feed, WebhookStore(pool)), alerter, sender)
