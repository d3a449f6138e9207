"""lead_scoring's composition root: the only place that makes clients."""

from services.lead_scoring.handlers import Scorer
from services.lead_scoring.settings import Settings
from shared.http import create_api
from shared.observability import configure
from shared.runtime import Service, create_broker, create_producer, kafka_check
from shared.subscribing import subscribe_batches
from shared.topics import LEAD_CHANGES, group_of

NAME = "lead-scoring"


async def build() -> Service:
    settings = Settings()
    configure(NAME, settings.log_level, settings.otlp_endpoint)
    producer = create_producer(settings.brokers, f"waybill-{NAME}")
    broker = create_broker(settings.brokers, f"waybill-{NAME}")
    service = Service(NAME, create_api("Waybill lead scoring"), settings.lead_scoring_http, broker, producer)
    subscribe_batches(
        broker, LEAD_CHANGES, group_of(LEAD_CHANGES, "lead_scoring"), Scorer(producer), service.dead_letters(settings), service.fail,
        settings.lead_scoring_messages_max, settings.kafka_session_seconds,
    )  # fmt: skip
    service.checks = {"kafka": kafka_check(producer)}
    return service
