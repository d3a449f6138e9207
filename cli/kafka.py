"""What every command that speaks Kafka needs first: the brokers, and a quick word on whether they let us in."""

from pydantic import ValidationError

from cli.errors import CliError, UsageError
from cli.settings import Settings
from shared.brokers import Brokers
from shared.reach import quiet, why_not
from shared.settings import KafkaSettings, explain


def brokers_of(settings: Settings) -> Brokers:
    """From WAYBILL_KAFKA and WAYBILL_KAFKA_*. Raises UsageError for a missing or wrong one."""
    settings.need("WAYBILL_KAFKA", "--kafka")
    try:
        return KafkaSettings(**settings.of_fields(KafkaSettings.model_fields)).brokers
    except ValidationError as error:
        raise UsageError(f"{explain(error)}.") from None


async def reachable(brokers: Brokers) -> None:
    """Returns when one of the brokers lets us in; raises CliError at once where none does (the client would try for a minute)."""
    quiet()
    if why := await why_not(brokers):
        raise CliError(f"WAYBILL_KAFKA: no broker answers at {brokers} ({why}); `waybill doctor` says more.", "unreachable")
