"""Settings that every service has; each service's settings.py adds its own. Names are environment variables with the prefix WAYBILL_."""

import os
import ssl
from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.brokers import Brokers, Mechanism, Protocol, servers
from shared.codec import releases
from shared.secret_files import read_secret_files
from shared.tls import checked_database_url, client_context, load_authorities

PREFIX = "WAYBILL_"
SECRET_CHARACTERS_MIN = 32


def _long(value: str) -> str:
    if value and len(value) < SECRET_CHARACTERS_MIN:
        raise ValueError(f"must have {SECRET_CHARACTERS_MIN} characters at least")
    return value


PseudonymSecret = Annotated[str, AfterValidator(_long)]
DatabaseUrl = Annotated[str, AfterValidator(checked_database_url)]


def explain(error: ValidationError) -> str:
    """What is wrong with the settings, in one line that names each, without what they hold."""
    wrong = []
    for each in error.errors(include_input=False, include_url=False):
        name = "_".join(map(str, each["loc"])).upper()
        wrong.append((f"{PREFIX}{name}: " if name else "") + each["msg"].removeprefix("Value error, "))
    return "; ".join(wrong)


class Environment(BaseSettings):
    """Read from the environment, where an empty value is none; a secret (a field that no repr shows) may come from the file that <NAME>_FILE names."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, hide_input_in_errors=True, extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _secrets_from_files(cls, given: dict[str, Any]) -> dict[str, Any]:
        fields = {f"{PREFIX}{name.upper()}": name for name, field in cls.model_fields.items() if not field.repr}
        wanted = [variable for variable, name in fields.items() if not given.get(name) or os.environ.get(variable)]
        return given | {fields[variable]: text for variable, text in read_secret_files(os.environ, wanted).items()}


class KafkaSettings(Environment):
    """Where Kafka is, and as whom we speak to it (docs/security.md)."""

    kafka: str = Field("127.0.0.1:9092", description="Kafka bootstrap servers, host:port[,host:port]")
    kafka_security_protocol: Protocol = Field("PLAINTEXT", description="PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL")
    kafka_sasl_mechanism: Mechanism = Field("SCRAM-SHA-512", description="SCRAM-SHA-512, SCRAM-SHA-256 or PLAIN")
    kafka_user: str = Field("", description="for SASL")
    kafka_password: str = Field("", repr=False, description="for SASL")
    kafka_ca_file: str = Field("", description="certificates (PEM) of the authorities that brokers are trusted by; empty: this machine's")
    kafka_certificate_file: str = Field("", description="our own certificate (PEM), where brokers ask for one")
    kafka_key_file: str = Field("", description="its key, without a password")

    @property
    def brokers(self) -> Brokers:
        """Raises ValueError for files that are of no use."""
        files = self.kafka_ca_file, self.kafka_certificate_file, self.kafka_key_file
        tls = client_context(*files) if self.kafka_security_protocol.endswith("SSL") else None
        return Brokers(self.kafka, self.kafka_security_protocol, tls, self.kafka_sasl_mechanism, self.kafka_user, self.kafka_password)

    @model_validator(mode="after")
    def _fits_together(self) -> "KafkaSettings":
        """What is set and wouldn't be used is as wrong as what is missing: somebody believes that it protects them."""
        protocol, has_sasl = self.kafka_security_protocol, self.kafka_security_protocol.startswith("SASL_")
        for name, value in (("USER", self.kafka_user), ("PASSWORD", self.kafka_password)):
            if bool(value) is not has_sasl:
                says = f"is set, and {protocol} doesn't use it" if value else f"must be set with {protocol}"
                raise ValueError(f"WAYBILL_KAFKA_{name} {says} (WAYBILL_KAFKA_SECURITY_PROTOCOL)")
        files = {"CA_FILE": self.kafka_ca_file, "CERTIFICATE_FILE": self.kafka_certificate_file, "KEY_FILE": self.kafka_key_file}
        unused = [name for name, value in files.items() if value and not protocol.endswith("SSL")]
        if unused:
            raise ValueError(f"WAYBILL_KAFKA_{unused[0]} is set, and {protocol} has no TLS (WAYBILL_KAFKA_SECURITY_PROTOCOL)")
        if bool(self.kafka_certificate_file) is not bool(self.kafka_key_file):
            raise ValueError("WAYBILL_KAFKA_CERTIFICATE_FILE and WAYBILL_KAFKA_KEY_FILE belong together")
        try:
            servers(self.kafka)
        except ValueError as error:
            raise ValueError(f"WAYBILL_KAFKA: {error}") from None
        try:
            _ = self.brokers
        except ValueError as error:
            raise ValueError(f"WAYBILL_KAFKA_CA_FILE, _CERTIFICATE_FILE, _KEY_FILE: {error}") from None
        return self


class CommonSettings(KafkaSettings):
    """A wrong or missing value ends the start with one line that names it."""

    kafka_session_seconds: float = Field(
        10, ge=1, le=300, description="a consumer that Kafka hears nothing of for so long loses its partitions"
    )
    public_url: str = Field("http://127.0.0.1:8080", description="base URL under which callers reach the gateway")
    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR")
    otlp_endpoint: str = Field("", description="where spans go (OTLP over HTTP); empty: nowhere")
    dead_letters_max: int = Field(
        100,
        ge=0,
        description="dead letters of one consumer in a window; with more it halts (public topics: a hundred times as many); 0: no limit",
    )
    dead_letters_ratio: float = Field(0.5, ge=0, le=1, description="and only where they are at least this part of all messages")
    dead_letters_window_seconds: int = Field(300, ge=1, le=86_400)
    messages_of: str = Field(
        "", description="during an upgrade: the release whose processes still run; messages are written as it reads them"
    )

    @field_validator("messages_of")
    @classmethod
    def _is_a_release(cls, name: str) -> str:
        if name and name not in releases():
            raise ValueError(f"must be empty or one of {', '.join(releases())}")
        return name


class LimitSettings(Environment):
    """What every service that takes requests has to know."""

    organisation_requests_per_second: int = Field(
        500, ge=0, le=100_000, description="requests a second of an organisation that the operator has set no limit for; 0: no limit"
    )


class StoreSettings(Environment):
    """Where parts and files are kept: `file:///path`, or `s3` with the four settings below."""

    store: str = Field("s3", description="s3, or file:///absolute/path")
    s3_endpoint: str = Field("", description="URL of the S3-compatible store; empty: AWS")
    s3_public_endpoint: str = Field("", description="the store's URL as callers reach it, in links signed for them; empty: the same")
    s3_region: str = Field("us-east-1", description="region of the bucket")
    s3_bucket: str = Field("waybill", description="bucket, which exists")
    s3_access_key: str = ""
    s3_secret_key: str = Field("", repr=False)
    s3_ca_file: str = Field("", description="certificates (PEM) of the authorities that the store is trusted by; empty: this machine's")

    @model_validator(mode="after")
    def _store_is_reached_as_meant(self) -> "StoreSettings":
        if self.s3_ca_file:
            if not self.s3_endpoint.startswith("https://"):
                raise ValueError("WAYBILL_S3_CA_FILE is set, and WAYBILL_S3_ENDPOINT is no https:// URL")
            try:
                load_authorities(ssl.create_default_context(), self.s3_ca_file)
            except ValueError as error:
                raise ValueError(f"WAYBILL_S3_CA_FILE: {error}") from None
        return self
