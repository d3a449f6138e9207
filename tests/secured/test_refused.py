"""What is refused, and how it is said: by the doctor, by a service's readiness, by a command."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.operate.conftest import until
from tests.secured.certificates import Authority
from tests.secured.conftest import CLIENT, OPERATOR, Room, command


@pytest.fixture(scope="module")
def stranger(room: Room) -> str:
    """The file of an authority that certified none of ours."""
    return str(Authority(room.secured.authority.folder, "stranger").file)


@contextmanager
def beside(room: Room, name: str, **changed: str) -> Iterator[str]:
    """The address of one more process of a service, with other settings."""
    address = room.secured.ports.address("sftp-2")
    other = room.start(name, **{f"WAYBILL_{name.upper()}_HTTP": address, "WAYBILL_SFTP": ""}, **changed)
    try:
        yield address
    finally:
        room.stop(other)


def down(room: Room, address: str, *names: str) -> dict[str, str]:
    """What readiness says of these once each has refused it: on a busy machine a check may hear nothing in its time."""

    def refused() -> dict[str, str]:
        found = room.ready(address)[1]
        return found if all("no answer" not in found.get(name, "no answer") for name in names) else {}

    return until(refused, 60)


def doctor(room: Room, **settings: str) -> dict[str, str]:
    """What it finds wrong of the three: name → what it says."""
    told = {"WAYBILL_DATABASE_URL": room.secured.database_url("postgres")} | room.kafka(OPERATOR) | room.store | settings
    checks = json.loads(command("doctor", "--json", **told).stdout)["checks"]
    return {
        check["name"]: check["says"]
        for check in checks
        if check["verdict"] == "wrong" and check["name"] in ("kafka", "postgresql", "store")
    }


def test_passwords_are_checked(room: Room) -> None:
    url = room.secured.database_url("postgres").replace(room.secured.passwords["postgres"], "wrong")
    said = doctor(room, **room.kafka(OPERATOR, PASSWORD="wrong"), WAYBILL_DATABASE_URL=url, WAYBILL_S3_SECRET_KEY="wrong")
    assert "it refuses the user or the password (WAYBILL_KAFKA_USER, WAYBILL_KAFKA_PASSWORD)" in said["kafka"]
    assert "password authentication failed" in said["postgresql"]
    assert "403" in said["store"] or "Forbidden" in said["store"]
    with beside(room, "delivery", WAYBILL_KAFKA_PASSWORD="wrong", WAYBILL_DELIVERY_DATABASE_URL=url) as address:
        told = down(room, address, "kafka", "postgresql")
    assert "WAYBILL_KAFKA_PASSWORD" in told["kafka"] and "InvalidPassword" in told["postgresql"], told


def test_authorities_are_checked(room: Room, stranger: str) -> None:
    url = room.secured.database_url("postgres", sslrootcert=stranger)
    said = doctor(room, **room.kafka(OPERATOR, CA_FILE=stranger), WAYBILL_DATABASE_URL=url, WAYBILL_S3_CA_FILE=stranger)
    assert "its certificate is not trusted" in said["kafka"] and "WAYBILL_KAFKA_CA_FILE" in said["kafka"]
    assert "certificate verify failed" in said["postgresql"]
    assert "certificate verify failed" in said["store"].lower() or "SSL validation failed" in said["store"]
    url = room.secured.database_url("waybill_formatter", sslrootcert=stranger)
    changed = {"WAYBILL_KAFKA_CA_FILE": stranger, "WAYBILL_S3_CA_FILE": stranger, "WAYBILL_FORMATTER_DATABASE_URL": url}
    with beside(room, "formatter", **changed) as address:
        told = down(room, address, "kafka", "postgresql", "store")
    assert "its certificate is not trusted" in told["kafka"], told
    assert "SSLCertVerificationError" in told["postgresql"] and "SSLError" in told["store"], told


def test_nothing_is_said_in_plain_text(room: Room) -> None:
    url = room.secured.database_url("postgres", sslmode="disable", sslrootcert="")
    store = {"WAYBILL_S3_ENDPOINT": room.store["WAYBILL_S3_ENDPOINT"].replace("https", "http"), "WAYBILL_S3_CA_FILE": ""}
    told = room.kafka(OPERATOR) | store
    for name in ("SECURITY_PROTOCOL", "USER", "PASSWORD", "CA_FILE"):
        told[f"WAYBILL_KAFKA_{name}"] = ""
    said = doctor(room, **told, WAYBILL_DATABASE_URL=url)
    assert "does this port speak another protocol? (WAYBILL_KAFKA_SECURITY_PROTOCOL=PLAINTEXT)" in said["kafka"]
    assert "no encryption" in said["postgresql"]
    assert "store" in said


def test_tls_without_saying_who(room: Room) -> None:
    said = doctor(room, **room.kafka(OPERATOR, SECURITY_PROTOCOL="SSL", USER="", PASSWORD=""))
    assert said["kafka"]


def test_a_database_role_needs_its_certificate(room: Room) -> None:
    said = doctor(room, WAYBILL_DATABASE_URL=room.secured.database_url("waybill_formatter"))
    assert "certificate" in said["postgresql"]


def test_a_password_comes_from_a_file(room: Room, tmp_path: Path) -> None:
    kept = tmp_path / "password"
    kept.write_text(room.secured.passwords[OPERATOR] + "\n")
    found = room.waybill("dlq", "list", **room.kafka(OPERATOR, PASSWORD="", PASSWORD_FILE=str(kept)))
    assert {row["topic"] for row in found["data"]} >= {"records-dlq", "export-requests-dlq"}
    both = command("dlq", "list", **room.kafka(CLIENT, PASSWORD_FILE=str(kept)))
    assert (both.exit_code, "both set" in both.stderr) == (2, True), both.output


def test_a_service_without_rights_says_so(room: Room) -> None:
    given = {"WAYBILL_KAFKA_USER": CLIENT, "WAYBILL_KAFKA_PASSWORD": room.secured.passwords[CLIENT]}
    with beside(room, "delivery", **given) as address:
        told = down(room, address, "kafka")
        until(lambda: "AuthorizationFailed" in room.log("delivery").read_text("utf-8"))
    assert told
