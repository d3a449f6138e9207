"""The destinations' parts, wired; tests drive them without Kafka."""

import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import asyncpg
from fastapi import APIRouter

from services.delivery.api_mail import mail_router
from services.delivery.core.destinations.kinds import Rules
from services.delivery.destinations.api import deliveries_router, destinations_router
from services.delivery.destinations.bouncing import Bounces
from services.delivery.destinations.carrier import Carrier
from services.delivery.destinations.carriers import all_carriers
from services.delivery.destinations.deliveries import Deliveries
from services.delivery.destinations.dispatcher import Dispatcher
from services.delivery.destinations.freight import Freight
from services.delivery.destinations.intake import DestinationIntake
from services.delivery.destinations.leftovers import Leftovers
from services.delivery.destinations.owned import Destinations
from services.delivery.destinations.queue import Limits, Queue
from services.delivery.destinations.store import DestinationStore
from services.delivery.destinations.telling import NobodyTold, Told
from services.delivery.destinations.trying import Probes
from services.delivery.destinations.upkeep import Upkeep
from services.delivery.settings import Settings
from services.delivery.threads import Threads
from shared.clock import utc_now
from shared.database import Time, database_now
from shared.http import Authenticator
from shared.outbox import Outbox
from shared.sealing import DESTINATION_SECRETS, Seal
from shared.storage import ObjectStore


@dataclass(frozen=True)
class DestinationParts:
    """What the service mounts and runs."""

    routers: tuple[APIRouter, ...]
    intake: DestinationIntake
    dispatcher: Dispatcher
    upkeep: Upkeep
    leftovers: Leftovers
    queue: Queue
    store: DestinationStore
    carriers: Mapping[str, Carrier]
    bounces: Bounces
    reads: Threads

    @property
    def loops(self) -> list[Callable[[], Awaitable[None]]]:
        return [self.dispatcher.run, self.upkeep.run, self.leftovers.run]

    async def close(self) -> None:
        await self.leftovers.close()
        for carrier in self.carriers.values():
            await carrier.close()
        await self.reads.close()


def assemble(
    settings: Settings, pool: asyncpg.Pool, objects: ObjectStore, outbox: Outbox, auth: Authenticator, told: Told | None = None,
    carriers: Mapping[str, Carrier] | None = None, clock: Callable[[], datetime] = utc_now, time: Time = database_now,
) -> DestinationParts:  # fmt: skip
    """`told`: what follows where files didn't arrive. `carriers`: others than the types' own. `clock` is this process's; the queue goes by `time`, PostgreSQL's."""
    told = told or NobodyTold()
    carriers = all_carriers(settings) if carriers is None else carriers
    store, seal = DestinationStore(pool, time), Seal(settings.secret_keys, DESTINATION_SECRETS)
    limits = Limits(
        settings.destination_deliveries, settings.destination_deliveries_per_organisation, settings.destination_deliveries_per_destination
    )
    queue = Queue(pool, store, told, limits, settings.destination_time_scale, random.random)
    reads = Threads(settings.destination_deliveries, "bring", bulk=True)
    freight = Freight(
        pool, objects, reads, seal, settings.secret_key, settings.public_url, timedelta(days=settings.destination_link_days), clock
    )
    leftovers = Leftovers(queue, seal, carriers)
    dispatcher = Dispatcher(pool, queue, freight, carriers, limits, settings.destination_lease_seconds, leftovers, outbox, clock)
    mail = settings.mail_server is not None
    rules = partial(Rules, allow_http=settings.destination_allow_http, addresses=settings.destination_addresses, mail=mail)
    destinations = Destinations(store, seal, rules, told, outbox, leftovers, dispatcher.wake)
    tests = Probes(store, seal, carriers, settings.destination_test_seconds, told, outbox, dispatcher.wake)
    deliveries, secret = Deliveries(store, outbox, dispatcher.wake, clock), settings.secret_key.encode()
    bounces = Bounces(pool, store, told, outbox, settings.secret_keys)
    routers = (
        destinations_router(destinations, tests, auth, secret),
        deliveries_router(deliveries, store, auth, secret),
        mail_router(bounces, settings.operator_token),
    )
    intake = DestinationIntake(store, told, outbox, settings.public_url, dispatcher.wake)
    upkeep = Upkeep(queue, seal, timedelta(days=settings.destination_keep_days))
    return DestinationParts(routers, intake, dispatcher, upkeep, leftovers, queue, store, carriers, bounces, reads)
