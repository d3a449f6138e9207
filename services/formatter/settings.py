"""Settings of the formatter, from the environment."""

from pydantic import Field, field_validator

from shared.settings import CommonSettings, DatabaseUrl, StoreSettings

SECRET_CHARACTERS_MIN = 32


class Settings(CommonSettings, StoreSettings):
    """One process formats one chunk a lane at a time; start more processes to go faster."""

    formatter_database_url: DatabaseUrl = Field(repr=False, description="PostgreSQL as the role waybill_formatter")
    formatter_http: str = Field("127.0.0.1:8104", description="host:port for health and metrics")
    pseudonym_secret: str = Field(
        "",
        repr=False,
        description="what the keys of pseudonyms follow from, 32 characters at least; the same in every process, for ever; empty: none are made",
    )
    formatter_memory_mb: int = Field(384, ge=64, description="what DuckDB may use for a lane")

    @field_validator("pseudonym_secret")
    @classmethod
    def _long(cls, value: str) -> str:
        if value and len(value) < SECRET_CHARACTERS_MIN:
            raise ValueError(f"must have {SECRET_CHARACTERS_MIN} characters at least")
        return value
