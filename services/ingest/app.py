"""Ingest's composition root: the only place that makes clients."""

import gc

from fastapi import FastAPI

from services.ingest.api import router
from services.ingest.api_leads import leads_router
from services.ingest.handlers import LANES, Lane, Topic, subscribe_records
from services.ingest.leads import Leads
from services.ingest.paths import EncodedPaths
from services.ingest.pruning.pruner import Pruner
from services.ingest.scores.api import scores_router
from services.ingest.scores.keeping import Scores
from services.ingest.scores.publishing import Publisher
from services.ingest.scores.rescoring import Rescorer
from services.ingest.settings import Settings
from services.ingest.store import Store, prepare
from services.ingest.topic_id import topic_id
from shared.clock import utc_now
from shared.codec import write_for
from shared.database import create_pool, ping
from shared.http import Authenticator, create_api
from shared.observability import configure
from shared.outbox import Outbox
from shared.runtime import Service, create_broker, create_producer, kafka_check
from shared.subscribing import subscribe_batches
from shared.topics import LEAD_SCORES, RECORDS, group_of

SCORES_AT_ONCE = 1000


def create_http(store: Store, leads: Leads, scores: Scores, auth: Authenticator) -> FastAPI:
    """All of its HTTP, on parts that are there or (for the OpenAPI document) not."""
    http = create_api("Waybill ingest")
    http.add_middleware(EncodedPaths)
    http.include_router(router(store, auth))
    http.include_router(leads_router(leads, auth))
    http.include_router(scores_router(scores, auth))
    return http


async def build() -> Service:
    settings = Settings()
    configure("ingest", settings.log_level, settings.otlp_endpoint)
    write_for(settings.messages_of)
    # A plan made while a table was small must not scan it when it has grown. A process that is frozen inside a transaction must not keep what it
    # has locked from the one that takes over.
    pool = create_pool(settings.ingest_database_url, "ingest", 12, prepare, enable_seqscan="off", transaction_timeout="120s")
    keys = create_pool(settings.ingest_database_url, "ingest-keys", 4)
    await pool
    await keys
    brokers = settings.brokers
    producer = create_producer(brokers, "waybill-ingest")
    broker = create_broker(brokers, "waybill-ingest")
    outbox, scores = Outbox(pool, producer, "ingest"), Scores(pool)
    publisher = Publisher(pool, outbox)
    store = Store(pool, outbox, publisher.wake)
    auth = Authenticator(keys, settings.organisation_requests_per_second)
    http = create_http(store, Leads(store, pool, outbox, utc_now), scores, auth)
    service = Service("ingest", http, settings.ingest_http, broker, producer)
    topic = Topic(lambda: topic_id(producer.client, RECORDS))
    dead_letters = service.dead_letters(settings, public=True)
    lanes = [Lane(store, dead_letters, topic, service.fail) for _ in range(LANES)]
    for lane in lanes:
        subscribe_records(broker, lane, settings.ingest_records_max, service.fail, settings.kafka_session_seconds)
    subscribe_batches(
        broker, LEAD_SCORES, group_of(LEAD_SCORES, "ingest"), scores.take, service.dead_letters(settings), service.fail, SCORES_AT_ONCE,
        settings.kafka_session_seconds,
    )  # fmt: skip
    service.loops = [outbox.run, outbox.watch, publisher.run, publisher.watch, Rescorer(pool, publisher).run]
    service.loops += [Pruner(pool, settings.prune_days, settings.prune_seconds).run]
    service.checks = {"postgresql": lambda: ping(pool), "kafka": kafka_check(producer)}
    # A batch makes tens of thousands of objects that die with it: looking for cycles among them every 700 costs a fifth of the time.
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)
    service.on_stopping = [lane.settle for lane in lanes]
    service.on_stop = [pool.close, keys.close]
    return service
