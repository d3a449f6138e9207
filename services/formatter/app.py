"""The formatter's composition root: the only place that makes its clients."""

from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor

from services.formatter.handlers import ChunkHandler
from services.formatter.settings import Settings
from services.formatter.store import ExportStates
from shared.codec import write_for
from shared.database import create_pool, ping
from shared.formatting.engine import FormatEngine
from shared.http import create_api
from shared.observability import configure
from shared.priority import step_back
from shared.runtime import Service, create_broker, create_producer, in_thread, kafka_check
from shared.storage import open_store
from shared.subscribing import subscribe
from shared.topics import EXPORT_CHUNKS, EXPORT_CHUNKS_EXPRESS, group_of

LANES = {EXPORT_CHUNKS: "bulk", EXPORT_CHUNKS_EXPRESS: "express"}


async def build() -> Service:
    settings = Settings()
    # It keeps what a chunk gives back for the next. Arrow's own gives it to the system at once, which a tenth of a Parquet chunk's time goes into.
    pa.set_memory_pool(pa.system_memory_pool())
    configure("formatter", settings.log_level, settings.otlp_endpoint)
    write_for(settings.messages_of)
    pool = create_pool(settings.formatter_database_url, "formatter", size=2)
    await pool
    store = open_store(settings)
    brokers = settings.brokers
    producer = create_producer(brokers, "waybill-formatter")
    broker = create_broker(brokers, "waybill-formatter")
    states = ExportStates(pool)
    service = Service("formatter", create_api("Waybill formatter"), settings.formatter_http, broker, producer)
    for topic, lane in LANES.items():
        engine = FormatEngine(
            settings.formatter_database_url, memory_mb=settings.formatter_memory_mb, pseudonym_secret=settings.pseudonym_secret
        )
        thread = ThreadPoolExecutor(1, thread_name_prefix=f"format-{lane}", initializer=step_back if topic == EXPORT_CHUNKS else None)
        handler = ChunkHandler(lane, engine, store, producer, thread, states.wanted)
        subscribe(
            broker, topic, group_of(topic, "formatter"), handler, service.dead_letters(settings), service.fail, handler.refuse,
            session_seconds=settings.kafka_session_seconds, partition_assignment_strategy=(RoundRobinPartitionAssignor,),
        )  # fmt: skip
        service.on_start.append(in_thread(engine.warm_up))
        service.on_stop += [engine.interrupt, in_thread(engine.close), in_thread(thread.shutdown)]
    service.checks = {"postgresql": lambda: ping(pool), "kafka": kafka_check(producer), "store": in_thread(store.check)}
    service.on_stop.append(pool.close)
    return service
