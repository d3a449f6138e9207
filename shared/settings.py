"""Settings that every service has; each service's settings.py adds its own. Names are environment variables with the prefix WAYBILL_."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class CommonSettings(BaseSettings):
    """Read from the environment; a wrong or missing value ends the start with one line that names it."""

    model_config = SettingsConfigDict(env_prefix="WAYBILL_", hide_input_in_errors=True, extra="ignore")

    kafka: str = Field("127.0.0.1:9092", description="Kafka bootstrap servers, host:port[,host:port]")
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


class StoreSettings(BaseSettings):
    """Where parts and files are kept: `file:///path`, or `s3` with the four settings below."""

    model_config = SettingsConfigDict(env_prefix="WAYBILL_", hide_input_in_errors=True, extra="ignore")

    store: str = Field("s3", description="s3, or file:///absolute/path")
    s3_endpoint: str = Field("", description="URL of the S3-compatible store; empty: AWS")
    s3_public_endpoint: str = Field("", description="the store's URL as callers reach it, in links signed for them; empty: the same")
    s3_region: str = Field("us-east-1", description="region of the bucket")
    s3_bucket: str = Field("waybill", description="bucket, which exists")
    s3_access_key: str = ""
    s3_secret_key: str = Field("", repr=False)
