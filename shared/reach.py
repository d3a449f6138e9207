"""Why Kafka can't be reached, in words that name the setting: its client only says that it can't."""

import asyncio
import logging
import ssl

from aiokafka.conn import create_conn
from aiokafka.errors import (
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)

from shared.brokers import Brokers, servers

CONNECT_SECONDS = 3.0


async def why_not(brokers: Brokers, seconds: float = CONNECT_SECONDS) -> str | None:
    """None where one of the brokers lets us in; else why the first of them doesn't. Takes `seconds` at most."""
    reasons = await asyncio.gather(*(_knock(brokers, host, port, seconds) for host, port in servers(brokers.addresses)))
    return None if None in reasons else reasons[0]


async def _knock(brokers: Brokers, host: str, port: int, seconds: float) -> str | None:
    try:
        async with asyncio.timeout(seconds):
            connection = await create_conn(
                host, port, client_id="waybill-knocks", request_timeout_ms=int(seconds * 1000), **brokers.security
            )
    except (OSError, KafkaError, TimeoutError, ValueError, AssertionError) as error:
        # ValueError: what is no Kafka answers in bytes that mean nothing
        return words(error, brokers)
    connection.close()
    return None


def words(error: BaseException, brokers: Brokers) -> str:
    """What an error of a first connection means, and which setting it is about. Nothing of the server's own words about users."""
    protocol = f"WAYBILL_KAFKA_SECURITY_PROTOCOL={brokers.protocol}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message} (WAYBILL_KAFKA_CA_FILE)"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {(error.reason or 'broken').replace('_', ' ').lower()}; does this port speak TLS? ({protocol})"
    if isinstance(error, SaslAuthenticationFailed):
        return "it refuses the user or the password (WAYBILL_KAFKA_USER, WAYBILL_KAFKA_PASSWORD)"
    if isinstance(error, UnsupportedSaslMechanismError):
        return f"it doesn't offer {brokers.mechanism} (WAYBILL_KAFKA_SASL_MECHANISM)"
    if isinstance(error, IllegalSaslStateError):
        return f"it wants no SASL ({protocol})"
    if isinstance(error, KafkaConnectionError | ConnectionResetError | ValueError | AssertionError):
        return f"it closes the connection before it has answered; does this port speak another protocol? ({protocol})"
    if isinstance(error, TimeoutError):
        return "no answer"
    return getattr(error, "strerror", None) or type(error).__name__


def quiet() -> None:
    """Not the client's own log lines (a coordinator that isn't there yet): they would break into tables and bars."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
