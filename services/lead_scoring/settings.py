"""lead_scoring's settings, from the environment (prefix WAYBILL_)."""

from pydantic import Field

from shared.settings import CommonSettings


class Settings(CommonSettings):
    """It has no database and no store: what it needs comes with each message."""

    lead_scoring_http: str = Field("127.0.0.1:8082", description="host:port for health and metrics")
    lead_scoring_messages_max: int = Field(500, ge=1, le=10_000, description="messages taken at once")
