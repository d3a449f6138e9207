"""Settings of export_request, from the environment."""

from pydantic import Field

from shared.settings import CommonSettings, DatabaseUrl, LimitSettings, PseudonymSecret


class Settings(CommonSettings, LimitSettings):
    """What a chunk may hold, how many are under way, how long is too long."""

    export_request_database_url: DatabaseUrl = Field(repr=False, description="PostgreSQL as the role waybill_export_request")
    export_request_http: str = Field("127.0.0.1:8103", description="host:port for the API, health and metrics")
    operator_token: str = Field("", repr=False, description="bearer token for /v1/organisations; empty: they aren't served")
    secret_key: str = Field(min_length=32, repr=False, description="signs cursors; the same in every process")

    chunk_rows_max: int = Field(50_000, ge=1, le=1_000_000)
    chunk_bytes_max: int = Field(
        24 << 20,
        ge=1 << 10,
        description="of rows as they lie in PostgreSQL, about; from an export's eleventh chunk on twice as much, of which a formatter needs some six times as much memory",
    )
    express_rows_max: int = Field(10_000, ge=0, le=10_000, description="an export of at most so many rows goes by the express lane")
    express_bytes_max: int = Field(8 << 20, ge=0)
    chunks_in_flight_max: int = Field(4, ge=1, description="chunks at the formatters at once; two a formatter keep it busy")
    express_chunks_in_flight_max: int = Field(32, ge=1)
    plan_lease_seconds: float = Field(90, gt=0)
    stalled_seconds: float = Field(3600, gt=0, description="an export that is heard nothing of for so long ends as failed, `stalled`")
    approval_wait_seconds: float = Field(
        604_800, gt=0, description="an export that waits so long for an approval ends as failed, `approval_lapsed`"
    )
    export_keep_days: int = Field(
        400, ge=31, description="exports that have ended and been expired or deleted, and runs of schedules, are forgotten after so long"
    )
    sweep_seconds: float = Field(1, gt=0, description="how often exports are expired and stalled ones found")
    schedule_spread_seconds: float = Field(
        120,
        ge=0,
        le=3600,
        description="schedules that are due in one moment run spread over so many seconds, and half of their window at most",
    )
    rotation_overlap_seconds: int = Field(86_400, ge=0, description="how long a rotated API key still works")
    organisation_exports_at_once: int = Field(
        500, ge=0, le=100_000, description="exports under way of an organisation that the operator has set no limit for; 0: no limit"
    )
    organisation_rows_a_day: int = Field(
        0, ge=0, description="rows that such an organisation's exports may have in a day (UTC); 0: no limit"
    )
    diff_memory_mb: int = Field(192, ge=64, description="what DuckDB may use to compare exports")
    preview_seconds: float = Field(
        10, gt=0, le=25, description="what a preview may take, about; what can't be counted by then is extrapolated"
    )
    preview_memory_mb: int = Field(96, ge=64, description="what DuckDB may use for a preview; there are two at once")
    pseudonym_secret: PseudonymSecret = Field(
        "", repr=False, description="the formatters' own: previews and diffs show the pseudonyms that files have; empty: none are made"
    )
    cursor_requests_per_second: int = Field(
        3, ge=0, le=1000, description="requests a second of each endpoint of the cursor API by one API key; 0: no limit"
    )
