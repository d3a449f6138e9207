"""What the stack writes for each of its parts: everything on loopback, every port named, nobody given more than they need."""

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest

from deploy.local import gateway, kafka, lifecycle, postgres, s3, services, topics
from deploy.local.bootstrap import java_major
from deploy.local.keeper import render
from deploy.local.ports import resolve
from deploy.local.program import Program
from deploy.local.state import SERVICES, State
from deploy.local.testing import QUICK, environment_for_tests
from services.ingest.leads import TOPICS_KEEP
from shared.signing import KEYS_PATH
from shared.topics import all_topics

PORTS = resolve({"WAYBILL_PORT_BASE": "20000"})
SECRETS = {f"{service}_password": f"pw-{service}" for service in SERVICES} | {
    "postgres_password": "pw-super",
    "s3_access_key": "ak",
    "s3_secret_key": "sk",
    "secret_key": "00" * 32,
    "signing_secret": "11" * 32,
    "pseudonym_secret": "22" * 32,
    "operator_token": "op",
}


def test_kafka_listens_on_loopback_and_takes_two_mebibytes() -> None:
    settings = dict(line.split("=", 1) for line in kafka.render(Path("/data"), PORTS).splitlines())
    assert settings["listeners"] == "PLAINTEXT://127.0.0.1:20008,CONTROLLER://127.0.0.1:20009"
    assert settings["message.max.bytes"] == "2097152"
    assert settings["auto.create.topics.enable"] == "false"


def test_the_brokers_limit_holds_every_topics() -> None:
    assert all(topic.max_message_bytes <= kafka.MESSAGE_BYTES_MAX for topic in all_topics().values())


def test_no_message_outlives_its_topics_time() -> None:
    """Kafka deletes a segment once its newest message is old enough, and looks every five minutes."""
    for topic in all_topics().values():
        given = topics.configuration_of(topic)
        assert int(given["retention.ms"]) + int(given["segment.ms"]) + 300_000 <= topic.retention_hours * 3_600_000
    assert topics.configuration_of(all_topics()["records"])["max.message.bytes"] == "2097152"


def test_an_erasure_says_how_long_topics_hold_what_was_sent() -> None:
    of_people = [t for name, t in all_topics().items() if name.removesuffix("-dlq") in ("records", "lead-changes", "lead-scores")]
    assert {timedelta(hours=topic.retention_hours) for topic in of_people} == {TOPICS_KEEP}


def test_every_listener_of_the_store_is_named_or_off() -> None:
    options = s3.options(Path("/s3"), PORTS)
    assert "-ip.bind=127.0.0.1" in options
    given = {option for option in options if re.match(r"-[\w.]*port", option)}
    assert len(given) == 10
    assert {"-s3.port.iceberg=0", "-s3.port.lance=0"} <= given
    assert "-master.telemetry=false" in options


def test_only_our_key_may_use_the_store() -> None:
    (identity,) = json.loads(s3.identities("ak", "sk"))["identities"]
    assert identity["credentials"] == [{"accessKey": "ak", "secretKey": "sk"}]


def test_postgres_keeps_what_it_confirmed() -> None:
    settings = postgres.settings(PORTS, lz4=True)
    assert (settings["fsync"], settings["synchronous_commit"]) == ("on", "on")
    assert settings["listen_addresses"] == "127.0.0.1"
    assert settings["wal_compression"] == "lz4"
    assert "wal_compression" not in postgres.settings(PORTS, lz4=False)


@pytest.mark.parametrize(("memory", "buffers"), [(1024, 256), (8192, 1024), (24_000, 3000), (262_144, 4096)])
def test_postgres_has_an_eighth_of_the_memory_for_its_buffers(memory: int, buffers: int) -> None:
    assert postgres.shared_buffers_mb(memory) == buffers


def test_a_directory_that_only_its_owner_may_enter_is_not_reachable(tmp_path: Path) -> None:
    inner = tmp_path / "private" / "inner"
    inner.mkdir(parents=True)
    (tmp_path / "private").chmod(0o700)
    assert not postgres.is_reachable_by_all(inner)


@pytest.mark.parametrize(
    ("path", "service"),
    [
        ("/v1/records", "ingest"),
        ("/v1/leads/*", "ingest"),
        ("/v1/contacts/*", "ingest"),
        ("/v1/erasures/*", "ingest"),
        ("/v1/exports/*/files/*", "delivery"),
        ("/v1/exports/*/manifest", "delivery"),
        ("/v1/downloads/*", "delivery"),
        ("/v1/sftp-users/*", "delivery"),
        ("/v1/signing-keys/*", "delivery"),
        (KEYS_PATH, "delivery"),
    ],
)
def test_the_gateway_routes_by_path(path: str, service: str) -> None:
    assert path in gateway.ROUTES[service]
    text = gateway.render(Path("/gateway"), PORTS)
    assert re.search(rf"@{service} path .*{re.escape(path)}.*\n\thandle @{service} {{\n\t\treverse_proxy {PORTS.address(service)} ", text)


def test_the_gateway_sends_the_rest_to_export_request_and_routes_no_health() -> None:
    text = gateway.render(Path("/gateway"), PORTS)
    assert f"\thandle {{\n\t\treverse_proxy {PORTS.address('export_request')} " in text
    assert "@inside path /health /health/* /metrics /metrics/*" in text
    assert "default_bind 127.0.0.1" in text
    assert "admin off" in text


def test_the_gateway_knows_of_second_processes_and_of_who_is_about_to_end() -> None:
    text = gateway.render(Path("/gateway"), PORTS)
    for spare, service in services.SPARES.items():
        routed = service in gateway.ROUTES or service == "export_request"
        assert (f"reverse_proxy {PORTS.address(service)} {PORTS.address(spare)} " in text) is routed
        environment = services.environment_of(spare, PORTS, SECRETS, {})
        assert environment[f"WAYBILL_{service.upper()}_HTTP"] == PORTS.address(spare)
        assert environment["WAYBILL_INSTANCE"] == spare
    assert text.count("health_uri /health/live") == text.count("reverse_proxy ")


def test_the_gateways_own_errors_have_the_contracts_shape() -> None:
    bodies = [json.loads(body) for body in re.findall(r"respond `(.*)` \d+", gateway.render(Path("/gateway"), PORTS))]
    assert {body["error"]["code"] for body in bodies} == {"not_found", "too_large", "unavailable", "invalid_request"}
    assert all(set(body["error"]) == {"code", "message", "doc_url"} for body in bodies)


def test_a_service_knows_its_own_role_and_nobody_elses() -> None:
    caller = {"PATH": "/bin", "USER": "me", "WAYBILL_DATABASE_URL": "x", "WAYBILL_INGEST_DATABASE_URL": "x", "WAYBILL_API_KEY": "sk_live_x"}
    environment = services.environment_of("formatter-2", PORTS, SECRETS, caller)
    assert environment["WAYBILL_FORMATTER_DATABASE_URL"] == "postgresql://waybill_formatter:pw-formatter@127.0.0.1:20010/waybill"
    assert [name for name in environment if name.endswith("DATABASE_URL")] == ["WAYBILL_FORMATTER_DATABASE_URL"]
    assert not {"pw-super", "op", "00" * 32} & set(environment.values())
    assert "WAYBILL_API_KEY" not in environment
    assert "USER" not in environment
    assert environment["WAYBILL_FORMATTER_HTTP"] == PORTS.address("formatter-2")
    assert environment["WAYBILL_INGEST_HTTP"] == PORTS.address("ingest")


def test_only_those_who_need_them_get_the_stores_key_and_the_secrets() -> None:
    holders = {
        name: {instance for instance in services.INSTANCES if name in services.environment_of(instance, PORTS, SECRETS, {})}
        for name in (
            "WAYBILL_S3_SECRET_KEY",
            "WAYBILL_SECRET_KEY",
            "WAYBILL_OPERATOR_TOKEN",
            "WAYBILL_SIGNING_SECRET",
            "WAYBILL_PSEUDONYM_SECRET",
        )
    }
    assert holders["WAYBILL_S3_SECRET_KEY"] == {"formatter-1", "formatter-2", "delivery"}
    assert holders["WAYBILL_SECRET_KEY"] == {"export_request", "delivery"}
    assert holders["WAYBILL_OPERATOR_TOKEN"] == {"export_request", "delivery"}
    assert holders["WAYBILL_SIGNING_SECRET"] == {"delivery"}
    assert holders["WAYBILL_PSEUDONYM_SECRET"] == {"formatter-1", "formatter-2", "export_request"}
    rotated = {"WAYBILL_SECRET_KEYS_OLD": "aa" * 32}
    assert {i for i in services.INSTANCES if "WAYBILL_SECRET_KEYS_OLD" in services.environment_of(i, PORTS, SECRETS, rotated)} == {
        "delivery"
    }


def test_webhooks_and_destinations_may_stay_on_this_machine_unless_the_caller_says_otherwise() -> None:
    allowed = {
        "WAYBILL_WEBHOOK_ALLOW_HTTP": "true", "WAYBILL_WEBHOOK_ALLOW_LOOPBACK": "true", "WAYBILL_DESTINATION_ALLOW_HTTP": "true",
        "WAYBILL_DESTINATION_ALLOW_LOOPBACK": "true",
    }  # fmt: skip
    assert allowed.items() <= services.environment_of("delivery", PORTS, SECRETS, {}).items()
    assert not allowed.keys() & services.environment_of("ingest", PORTS, SECRETS, {}).keys()
    told = services.environment_of("delivery", PORTS, SECRETS, {"WAYBILL_WEBHOOK_ALLOW_LOOPBACK": "false"})
    assert told["WAYBILL_WEBHOOK_ALLOW_LOOPBACK"] == "false"


def test_settings_of_the_caller_reach_the_services_and_credentials_do_not() -> None:
    assert services.is_passed_on("WAYBILL_LOG_LEVEL")
    assert services.is_passed_on("WAYBILL_CHUNK_ROWS_MAX")
    assert not services.is_passed_on("WAYBILL_S3_SECRET_KEY")
    assert not services.is_passed_on("WAYBILL_INGEST_DATABASE_PASSWORD")
    assert not services.is_passed_on("AWS_SECRET_ACCESS_KEY")


def test_the_store_is_s3_unless_a_directory_is_named() -> None:
    assert services.store(PORTS, SECRETS, {})["WAYBILL_STORE"] == "s3"
    assert services.store(PORTS, SECRETS, {"WAYBILL_STORE": "file:///srv"})["WAYBILL_STORE"] == "file:///srv"


def test_the_environment_file_has_the_contracts_names(tmp_path: Path) -> None:
    text = lifecycle.environment_file(State(tmp_path), PORTS, SECRETS | {"api_key": "sk_live_a_b"})
    values = lifecycle.read_environment(text)
    assert values["WAYBILL_URL"] == "http://127.0.0.1:20000"
    assert values["WAYBILL_API_KEY"] == "sk_live_a_b"
    assert values["WAYBILL_PIDS"] == str(tmp_path / "pids")
    wanted = "KAFKA DATABASE_URL S3_ENDPOINT S3_ACCESS_KEY S3_SECRET_KEY S3_BUCKET SFTP INGEST_HTTP EXPORT_REQUEST_HTTP FORMATTER_HTTP DELIVERY_HTTP"
    assert {f"WAYBILL_{name}" for name in wanted.split()} <= values.keys()


def _specification(tmp_path: Path, fingerprint: str) -> str:
    program = Program(name="ingest", command=["/bin/x"], ready=lambda: None, fingerprint=fingerprint, environment={"PASSWORD": "secret"})
    return program.specification(tmp_path / "pids" / "ingest", [])


def test_the_supervisors_configuration_changes_with_what_a_process_reads_and_holds_no_secret(tmp_path: Path) -> None:
    before, after = (render(State(tmp_path), {"ingest": _specification(tmp_path, text)}) for text in ("a", "b"))
    assert before != after
    assert render(State(tmp_path), {"ingest": _specification(tmp_path, "a")}) == before
    assert "secret" not in before


def test_secrets_are_made_once_and_private(tmp_path: Path) -> None:
    state = State(tmp_path / "state")
    state.prepare()
    first = state.load_secrets()
    state.save_secret("api_key", "sk_live_x")
    assert state.load_secrets() == first | {"api_key": "sk_live_x"}
    assert (state.directory / "secrets.json").stat().st_mode & 0o777 == 0o600
    assert len(bytes.fromhex(first["secret_key"])) == 32


def test_a_long_path_has_its_socket_elsewhere(tmp_path: Path) -> None:
    assert State(Path("/srv/x")).socket == Path("/srv/x/run/supervisor.sock")
    assert len(str(State(Path("/srv") / ("x" * 120)).socket)) < 100


@pytest.mark.parametrize(
    ("output", "major"),
    [('openjdk version "17.0.15" 2025-04-15', 17), ('java version "1.8.0_391"', 8), ('openjdk version "21" 2023', 21), ("?", None)],
)
def test_javas_version_is_understood(output: str, major: int | None) -> None:
    assert java_major(output) == major


def test_the_tests_own_stack_forgets_the_callers() -> None:
    environment = environment_for_tests({"PATH": "/bin", "WAYBILL_URL": "x", "WAYBILL_PORT": "1", "PYTHONDONTWRITEBYTECODE": "1"}, 28000)
    assert (environment["WAYBILL_PORT_BASE"], environment.get("PYTHONDONTWRITEBYTECODE")) == ("28000", None)
    assert {name for name in environment if name.startswith("WAYBILL_")} == {"WAYBILL_PORT_BASE", "WAYBILL_ENV_FILE", *QUICK}


def test_sockets_beside_the_stores_ports_are_known_and_differ_by_port() -> None:
    assert len(set(s3.sockets(PORTS))) == 6
    assert not set(s3.sockets(PORTS)) & set(s3.sockets(resolve({"WAYBILL_PORT_BASE": "21000"})))
