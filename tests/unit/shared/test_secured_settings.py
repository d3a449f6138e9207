"""Settings of TLS and SASL: what fits together is taken, what doesn't is named by its variable, and nothing of a secret is told."""

import ssl
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from services.ingest.settings import Settings
from shared.brokers import Brokers
from shared.settings import KafkaSettings, StoreSettings, explain
from shared.tls import checked_database_url
from tests.secured.certificates import Authority

SASL = {"kafka_security_protocol": "SASL_SSL", "kafka_user": "waybill_ingest", "kafka_password": "hush-hush"}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    made = Authority(tmp_path_factory.mktemp("certificates"))
    made.certify("client")
    return made


def wrong(settings: type[KafkaSettings | StoreSettings], **given: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        settings(**given)
    said = explain(caught.value)
    assert "hush" not in said and "\n" not in said
    return said


def test_by_default_kafka_is_spoken_to_in_plain_text() -> None:
    assert KafkaSettings().brokers == Brokers("127.0.0.1:9092")
    assert Brokers("a:1").client == {"bootstrap_servers": "a:1", "security_protocol": "PLAINTEXT", "ssl_context": None}


def test_what_every_client_of_kafka_is_made_with(authority: Authority) -> None:
    brokers = KafkaSettings(**SASL, kafka_ca_file=str(authority.file)).brokers
    assert brokers.tls is not None and (brokers.tls.verify_mode, brokers.tls.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert brokers.client == {
        "bootstrap_servers": "127.0.0.1:9092", "security_protocol": "SASL_SSL", "ssl_context": brokers.tls,
        "sasl_mechanism": "SCRAM-SHA-512", "sasl_plain_username": "waybill_ingest", "sasl_plain_password": "hush-hush",
    }  # fmt: skip
    assert "hush" not in repr(brokers) + str(brokers) + repr(KafkaSettings(**SASL))


def test_this_machines_authorities_are_trusted_where_no_file_is_named() -> None:
    tls = KafkaSettings(**SASL).brokers.tls
    assert tls is not None and tls.verify_mode == ssl.CERT_REQUIRED


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"kafka_security_protocol": "TLS"}, "WAYBILL_KAFKA_SECURITY_PROTOCOL: Input should be 'PLAINTEXT', 'SSL'"),
        ({"kafka_sasl_mechanism": "GSSAPI"}, "WAYBILL_KAFKA_SASL_MECHANISM: Input should be 'SCRAM-SHA-512'"),
        ({"kafka": "broker"}, "WAYBILL_KAFKA: 'broker' is not host:port"),
        (SASL | {"kafka_password": ""}, "WAYBILL_KAFKA_PASSWORD must be set with SASL_SSL"),
        (SASL | {"kafka_user": ""}, "WAYBILL_KAFKA_USER must be set with SASL_SSL"),
        ({"kafka_user": "x"}, "WAYBILL_KAFKA_USER is set, and PLAINTEXT doesn't use it (WAYBILL_KAFKA_SECURITY_PROTOCOL)"),
        ({"kafka_security_protocol": "SSL", "kafka_password": "hush-hush"}, "WAYBILL_KAFKA_PASSWORD is set, and SSL doesn't use it"),
        ({"kafka_ca_file": "/x"}, "WAYBILL_KAFKA_CA_FILE is set, and PLAINTEXT has no TLS"),
        (SASL | {"kafka_ca_file": "/no/such"}, "WAYBILL_KAFKA_CA_FILE, _CERTIFICATE_FILE, _KEY_FILE: /no/such can't be read: No such file"),
        (SASL | {"kafka_ca_file": __file__}, "holds no certificate in PEM"),
        (SASL | {"kafka_key_file": __file__}, "WAYBILL_KAFKA_CERTIFICATE_FILE and WAYBILL_KAFKA_KEY_FILE belong together"),
    ],
)
def test_kafka_settings_that_do_not_fit_are_named(given: dict[str, Any], said: str) -> None:
    assert said in wrong(KafkaSettings, **given)


def test_a_certificate_and_another_ones_key_are_refused(authority: Authority) -> None:
    other = authority.certify("other")[1]
    files = {"kafka_certificate_file": str(authority.folder / "client.pem"), "kafka_key_file": str(other)}
    assert "are no certificate and its key" in wrong(KafkaSettings, kafka_security_protocol="SSL", **files)


def test_a_stores_authorities_need_https(authority: Authority) -> None:
    file = str(authority.file)
    assert "WAYBILL_S3_ENDPOINT is no https:// URL" in wrong(StoreSettings, s3_ca_file=file, s3_endpoint="http://s3:8333")
    assert "WAYBILL_S3_CA_FILE: /no/such can't be read" in wrong(StoreSettings, s3_ca_file="/no/such", s3_endpoint="https://s3:8333")
    assert StoreSettings(s3_ca_file=file, s3_endpoint="https://s3:8333").s3_ca_file == file


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("sslmode=on", "sslmode must be one of disable, allow, prefer, require, verify-ca, verify-full"),
        ("sslmode=verify-full", "sslmode=verify-full needs sslrootcert"),
        ("sslmode=verify-full&sslrootcert=system", "sslrootcert=system is not understood"),
        ("sslmode=verify-full&sslrootcert=/no/such", "/no/such can't be read: No such file"),
        ("sslcert=/x", "sslcert and sslkey belong together"),
    ],
)
def test_a_database_urls_tls_is_looked_at_before_the_first_connection(query: str, said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Settings(ingest_database_url=f"postgresql://waybill_ingest:hush-hush@db:5432/waybill?{query}")
    assert explain(caught.value).startswith("WAYBILL_INGEST_DATABASE_URL: ")
    assert said in explain(caught.value) and "hush" not in explain(caught.value)


def test_a_key_that_others_may_read_is_refused(authority: Authority) -> None:
    certificate, key = authority.certify("leaky")
    url = f"postgresql://r@h/d?sslmode=verify-full&sslrootcert={authority.file}&sslcert={certificate}&sslkey={key}"
    assert checked_database_url(url, {}) == url
    key.chmod(0o644)
    with pytest.raises(ValueError, match="may be read by others"):
        checked_database_url(url, {})


def test_a_secret_may_lie_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = tmp_path / "password"
    kept.write_text("from the file\n")
    monkeypatch.setenv("WAYBILL_KAFKA_PASSWORD_FILE", str(kept))
    monkeypatch.setenv("WAYBILL_KAFKA_PASSWORD", "")
    monkeypatch.setenv("WAYBILL_KAFKA_USER", "u")
    monkeypatch.setenv("WAYBILL_KAFKA_SECURITY_PROTOCOL", "SASL_PLAINTEXT")
    assert KafkaSettings().brokers.password == "from the file"
    monkeypatch.setenv("WAYBILL_KAFKA_PASSWORD", "hush-hush")
    assert wrong(KafkaSettings) == "WAYBILL_KAFKA_PASSWORD and WAYBILL_KAFKA_PASSWORD_FILE are both set: give one of them"
    monkeypatch.delenv("WAYBILL_KAFKA_PASSWORD")
    monkeypatch.setenv("WAYBILL_KAFKA_PASSWORD_FILE", str(tmp_path / "none"))
    assert "WAYBILL_KAFKA_PASSWORD_FILE: " in wrong(KafkaSettings) and "can't be read" in wrong(KafkaSettings)
