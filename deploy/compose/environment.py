"""What `docker compose` is told: ports, secrets and the caller's settings, as variables that docker-compose.yml asks for."""

import os
from collections.abc import Mapping

from deploy.local import services
from deploy.local.errors import StackError
from deploy.local.ports import Ports, variable_of
from deploy.local.state import SERVICES

PUBLISHED = ("gateway", "kafka", "postgres", "s3", "ingest", "lead_scoring", "export_request", "delivery", "sftp")
FORMATTERS = ("formatter-1", "formatter-2")
# API keys are made later, by the services.
NOT_TOLD = ("api_key", "sample_api_key")


def variable_of_secret(name: str) -> str:
    """The variable for a secret of secrets.json: a service's password is its database role's."""
    service = name.removesuffix("_password")
    return f"WAYBILL_{service.upper()}_DATABASE_PASSWORD" if service in SERVICES else f"WAYBILL_{name.upper()}"


def of_ports(ports: Ports) -> dict[str, str]:
    """Where what is published listens on 127.0.0.1. Raises StackError where the formatters' ports are no range."""
    first, second = (ports[name] for name in FORMATTERS)
    if second != first + 1:
        raise StackError(
            f"in containers the formatters' ports are a range: {variable_of(FORMATTERS[1])} must be one more than {variable_of(FORMATTERS[0])}"
        )
    return {variable_of(name): str(ports[name]) for name in PUBLISHED} | {
        "WAYBILL_FORMATTER_PORTS": f"{first}-{second}",
        "WAYBILL_PUBLIC_URL": f"http://{ports.address('gateway')}",
        "WAYBILL_S3_PUBLIC_ENDPOINT": f"http://{ports.address('s3')}",
    }


def of_secrets(secrets: Mapping[str, str]) -> dict[str, str]:
    return {variable_of_secret(name): value for name, value in secrets.items() if name not in NOT_TOLD}


def environment(ports: Ports, secrets: Mapping[str, str], caller: Mapping[str, str]) -> dict[str, str]:
    """All variables that compose runs with: the caller's but for another stack's doors and credentials, then ours. Webhooks may go to loopback, which
    is delivery's container's own: the demo's receiver is there."""
    kept = {name: value for name, value in caller.items() if not name.startswith("WAYBILL_") or services.is_passed_on(name)}
    kept |= {name: caller[name] for name in ("WAYBILL_IMAGE", "WAYBILL_PYTHON_IMAGE") if name in caller}
    return services.ALL_STAYS_HERE | kept | of_ports(ports) | of_secrets(secrets)


def of_process(ports: Ports, secrets: Mapping[str, str]) -> dict[str, str]:
    return environment(ports, secrets, os.environ)
