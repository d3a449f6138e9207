"""Settings of the formatter, from the environment."""

from pydantic import Field

from shared.settings import CommonSettings, DatabaseUrl, PseudonymSecret, StoreSettings


class Settings(CommonSettings, StoreSettings):
    """One process formats one chunk a lane at a time; start more processes to go faster."""

    formatter_database_url: DatabaseUrl = Field(repr=False, description="PostgreSQL as the role waybill_formatter")
    formatter_http: str = Field("127.0.0.1:8104", description="host:port for health and metrics")
    pseudonym_secret: PseudonymSecret = Field(
        "",
        repr=False,
        description="what the keys of pseudonyms follow from, 32 characters at least; the same in every process, for ever; empty: none are made",
    )
    formatter_memory_mb: int = Field(384, ge=64, description="what DuckDB may use for a lane")
