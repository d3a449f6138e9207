"""docker-compose.yml and the local stack, side by side."""

import importlib
import re
from pathlib import Path
from typing import Any

import yaml

from deploy.local import services
from deploy.local.ports import resolve
from deploy.local.state import ROOT, SERVICES, State

PORTS = resolve({})
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
DEPENDENCIES = ("kafka", "postgres", "s3", "gateway")
ONCE = ("migrate", "topics", "bucket")
# What there is code for; the other names wait for theirs.
PRESENT = sorted({services.INSTANCES[instance] for instance in services.present()})
REFERENCE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


def environment_of(service: str) -> dict[str, Any]:
    """What a container is told; None where a variable is only passed on."""
    told: dict[str, Any] = COMPOSE["services"][service].get("environment", {})
    return told


def settings_of(service: str) -> dict[str, Any]:
    """Environment variable → field, of a service's settings."""
    fields = importlib.import_module(f"services.{service}.settings").Settings.model_fields
    return {f"WAYBILL_{name.upper()}": field for name, field in fields.items()}


def local_environment(service: str, secrets: dict[str, str]) -> dict[str, str]:
    """What the local stack tells a service's (first) process by itself."""
    instance = next(name for name, of in services.INSTANCES.items() if of == service)
    return services.environment_of(instance, PORTS, secrets, {})


def secrets(directory: Path) -> dict[str, str]:
    """Secrets as the local stack makes them."""
    state = State(directory / "state")
    state.prepare()
    return state.load_secrets()


def asked_for() -> set[str]:
    """The variables that docker-compose.yml can't do without."""
    return {name for name, kind, _ in REFERENCE.findall((ROOT / "docker-compose.yml").read_text("utf-8")) if kind == "?"}


__all__ = ["COMPOSE", "DEPENDENCIES", "ONCE", "PORTS", "PRESENT", "REFERENCE", "ROOT", "SERVICES"]
