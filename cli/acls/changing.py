"""Rights as the brokers hold them. aiokafka's admin client has no calls for them, and its protocol has the requests; the numbers are the protocol's."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, for_code
from aiokafka.protocol.admin import CreateAclsRequest, DeleteAclsRequest, DescribeAclsRequest

from cli.core.acls import Kind, Right
from cli.errors import CliError
from cli.kafka import reachable
from shared.brokers import Brokers

ANY, ALLOW = 1, 3
KINDS = {Kind.topic: 2, Kind.group: 3}
PATTERNS = {"literal": 3, "prefixed": 4}
OPERATIONS = {
    "all": 2,
    "read": 3,
    "write": 4,
    "create": 5,
    "delete": 6,
    "alter": 7,
    "describe": 8,
    "describe configs": 10,
    "alter configs": 11,
}


@asynccontextmanager
async def administration(brokers: Brokers) -> AsyncIterator[AIOKafkaAdminClient]:
    """Raises CliError for brokers that aren't there or don't let us."""
    await reachable(brokers)
    admin = AIOKafkaAdminClient(**brokers.client)
    try:
        await admin.start()
        yield admin
    except KafkaError as error:
        raise CliError(f"WAYBILL_KAFKA: {brokers}: {error or type(error).__name__}", "kafka") from None
    finally:
        await admin.close()


async def held(admin: AIOKafkaAdminClient) -> list[Right]:
    """What is allowed on topics and groups; what is forbidden by name is somebody's own doing."""
    kinds, patterns, operations = _turned(KINDS), _turned(PATTERNS), _turned(OPERATIONS)
    answer = await admin._send_request(DescribeAclsRequest(ANY, None, ANY, None, None, ANY, ANY))
    _raise(answer.error_code, answer.error_message)
    return [
        Right(principal, kinds[kind], name, operations.get(operation, f"operation {operation}"), patterns[pattern], host)
        for kind, name, pattern, entries in answer.resources
        for principal, host, operation, permission in entries
        if kind in kinds and pattern in patterns and permission == ALLOW
    ]


async def add(admin: AIOKafkaAdminClient, rights: Iterable[Right]) -> None:
    """One after the other. Raises CliError with the broker's words."""
    for right in rights:
        answer = await admin._send_request(CreateAclsRequest(*_described(right)))
        for code, message in answer.creation_responses:
            _raise(code, message)


async def remove(admin: AIOKafkaAdminClient, rights: Iterable[Right]) -> None:
    for right in rights:
        answer = await admin._send_request(DeleteAclsRequest(*_described(right)))
        for code, message, _ in answer.filter_responses:
            _raise(code, message)


def _described(right: Right) -> tuple[int, str, int, str, str, int, int]:
    operation = OPERATIONS.get(right.operation) or int(right.operation.rpartition(" ")[2])
    return KINDS[right.kind], right.name, PATTERNS[right.pattern], right.principal, right.host, operation, ALLOW


def _raise(code: int, message: str | None) -> None:
    if code:
        kind = for_code(code).__name__
        says = message or kind
        advice = (
            " Rights are the administrator's to change: set WAYBILL_KAFKA_USER to one of the brokers' super.users."
            if "Authoriz" in kind
            else ""
        )
        raise CliError(f"Kafka: {says.rstrip('.')}.{advice}", "kafka")


def _turned(numbers: dict[Any, int]) -> dict[int, Any]:
    return {number: name for name, number in numbers.items()}
