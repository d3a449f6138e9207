"""export_request's composition root: the only place that makes clients."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import asyncpg
from aiokafka import AIOKafkaProducer
from fastapi import FastAPI

from services.export_request.about import about_router
from services.export_request.api import datasets_router, exports_router
from services.export_request.api_decisions import decisions_router
from services.export_request.api_diffs import diffs_router
from services.export_request.api_tenancy import keys_router, organisations_router, settings_router, usage_router
from services.export_request.api_walks import WalksApi, walks_router
from services.export_request.assembly import Assembly
from services.export_request.audit.api import audit_router
from services.export_request.audit.trail import Trail
from services.export_request.comparing import Diffs
from services.export_request.core.limits import Limits
from services.export_request.effects import Effects
from services.export_request.ends import Ends
from services.export_request.handlers import Handlers
from services.export_request.intake import Intake
from services.export_request.live import Live
from services.export_request.planning import Planner
from services.export_request.previewing import Previews
from services.export_request.releasing import Releaser
from services.export_request.schedules.api import schedules_router
from services.export_request.schedules.scheduler import Scheduler
from services.export_request.schedules.schedules import Schedules
from services.export_request.settings import Settings
from services.export_request.store import Exports
from services.export_request.sweeping import Sweeper
from services.export_request.tenancy import Tenancy
from services.export_request.tracking import Tracker
from services.export_request.walking import Walks
from services.export_request.watching import Watcher
from shared.clock import utc_now
from shared.codec import write_for
from shared.database import Time, create_pool, database_now, for_libpq, ping
from shared.formatting.engine import FormatEngine
from shared.http import Authenticator, create_api
from shared.inbox import Inbox
from shared.lag import Kafka
from shared.observability import configure
from shared.outbox import Outbox
from shared.runtime import Service, create_broker, create_producer, kafka_check
from shared.subscribing import subscribe, subscribe_batches
from shared.topics import AUDIT_ENTRIES, EXPORT_FILES, EXPORT_PARTS, EXPORT_REQUESTS, group_of

NAME = "export-request"
POOL_SIZE = 17  # one of them listens
KEYS_POOL_SIZE = 4


@dataclass(frozen=True)
class Parts:
    """The service's parts, wired; tests drive them without Kafka."""

    http: FastAPI
    outbox: Outbox
    planner: Planner
    releaser: Releaser
    sweeper: Sweeper
    handlers: Handlers
    trail: Trail
    diffs: Diffs
    scheduler: Scheduler
    previews: Previews
    ends: Ends
    live: Live


def assemble(
    settings: Settings, pool: asyncpg.Pool, producer: AIOKafkaProducer, clock: Callable[[], datetime] = utc_now,
    keys: asyncpg.Pool | None = None, time: Time = database_now,
) -> Parts:  # fmt: skip
    """`keys`: the connections that look API keys up; None: those of `pool`. `time`: what schedules go by."""
    inbox, outbox, effects, assembly = Inbox("exports"), Outbox(pool, producer, "exports"), Effects(settings.public_url), Assembly()
    releaser = Releaser(pool, outbox, effects, settings, clock)
    planner = Planner(pool, outbox, effects, assembly, releaser, settings, clock)
    limits = Limits(settings.organisation_requests_per_second, settings.organisation_exports_at_once, settings.organisation_rows_a_day)
    intake = Intake(pool, inbox, outbox, effects, planner, limits, clock, settings.secret_key, upgrading=bool(settings.messages_of))
    tracker = Tracker(pool, inbox, outbox, effects, assembly, releaser, clock)
    exports, tenancy, auth = (
        Exports(pool, outbox, effects, assembly, planner, releaser, clock, upgrading=bool(settings.messages_of)),
        Tenancy(pool, outbox, limits, upgrading=bool(settings.messages_of)),
        Authenticator(keys or pool, settings.organisation_requests_per_second),
    )
    scheduler = Scheduler(pool, intake, outbox, settings.secret_key, settings.schedule_spread_seconds, clock, time)
    secret = settings.secret_key.encode()
    trail = Trail(pool)
    diffs = Diffs(
        pool, outbox,
        lambda: FormatEngine(for_libpq(settings.export_request_database_url), settings.diff_memory_mb, settings.pseudonym_secret),
    )  # fmt: skip
    http = create_api("Waybill")
    previews = Previews(pool, intake, outbox, settings, limits, clock)
    ends = Ends(pool)
    live = Live(exports, ends)
    http.include_router(datasets_router(previews, exports, auth))  # first: /v1/exports/preview looks like an export's path
    http.include_router(exports_router(intake, exports, live, auth, secret, clock))
    http.include_router(decisions_router(exports, auth, clock))
    http.include_router(diffs_router(diffs, auth))
    http.include_router(schedules_router(Schedules(pool, outbox, scheduler, clock, upgrading=bool(settings.messages_of)), auth, secret))
    http.include_router(walks_router(WalksApi(Walks(pool, outbox), secret, settings.cursor_requests_per_second, clock), auth))
    http.include_router(settings_router(tenancy, auth))
    http.include_router(usage_router(tenancy, auth, clock))
    http.include_router(keys_router(tenancy, auth, secret, settings.rotation_overlap_seconds))
    http.include_router(organisations_router(tenancy, settings.operator_token, secret))
    http.include_router(about_router())
    http.include_router(audit_router(trail, outbox, auth, secret, settings.operator_token))
    sweeper = Sweeper(pool, inbox, outbox, effects, settings, clock)
    return Parts(http, outbox, planner, releaser, sweeper, Handlers(intake, tracker), trail, diffs, scheduler, previews, ends, live)


async def build() -> Service:
    settings = Settings()
    configure(NAME, settings.log_level, settings.otlp_endpoint)
    write_for(settings.messages_of)
    pool = create_pool(settings.export_request_database_url, NAME, POOL_SIZE)
    keys = create_pool(settings.export_request_database_url, f"{NAME}-keys", KEYS_POOL_SIZE)
    await pool
    await keys
    brokers = settings.brokers
    producer = create_producer(brokers, f"waybill-{NAME}")
    broker = create_broker(brokers, f"waybill-{NAME}")
    parts = assemble(settings, pool, producer, keys=keys)
    watcher = Watcher(pool, lambda: Kafka(brokers), utc_now)
    service = Service(NAME, parts.http, settings.export_request_http, broker, producer)
    handled = {
        EXPORT_REQUESTS: parts.handlers.export_requests,
        EXPORT_PARTS: parts.handlers.export_parts,
        EXPORT_FILES: parts.handlers.export_files,
    }
    for topic, handler in handled.items():
        letters = service.dead_letters(settings, public=topic == EXPORT_REQUESTS)
        subscribe(
            broker, topic, group_of(topic, "export_request"), handler, letters, service.fail, session_seconds=settings.kafka_session_seconds
        )
    letters, session = service.dead_letters(settings), settings.kafka_session_seconds
    group = group_of(AUDIT_ENTRIES, "export_request")
    subscribe_batches(broker, AUDIT_ENTRIES, group, parts.trail.take, letters, service.fail, session_seconds=session)
    service.loops = [parts.outbox.run, parts.planner.run_first, parts.planner.run_next, parts.releaser.run, parts.sweeper.run]
    service.loops += [parts.scheduler.run, parts.ends.run, parts.outbox.watch, watcher.run, watcher.run_on_kafka]
    service.checks = {"postgresql": lambda: ping(pool), "kafka": kafka_check(producer)}
    service.on_stop = [parts.diffs.close, parts.previews.close, pool.close, keys.close]
    return service
