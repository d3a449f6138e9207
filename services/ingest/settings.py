"""Ingest's settings, from the environment (prefix WAYBILL_)."""

from pydantic import Field

from shared.settings import CommonSettings, DatabaseUrl, LimitSettings


class Settings(CommonSettings, LimitSettings):
    ingest_database_url: DatabaseUrl = Field(description="PostgreSQL as the role waybill_ingest", repr=False)
    ingest_http: str = Field("127.0.0.1:8081", description="where HTTP listens, host:port")
    ingest_records_max: int = Field(10_000, ge=1, le=50_000, description="records of one transaction at most")
    prune_days: float = Field(
        7, ge=1, le=3650, description="what was replaced or deleted is kept for so many days, also where no export needs it"
    )
    prune_seconds: float = Field(3600, ge=1, description="how often superseded versions are looked for that may go")
