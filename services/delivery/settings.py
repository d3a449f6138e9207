"""Settings of delivery, from the environment."""

from pydantic import Field

from shared.settings import CommonSettings, StoreSettings


class Settings(CommonSettings, StoreSettings):
    """Assembles files in the background and serves them; several processes may run."""

    delivery_database_url: str = Field(repr=False, description="PostgreSQL as the role waybill_delivery")
    delivery_http: str = Field("127.0.0.1:8105", description="host:port for downloads, health and metrics")
    secret_key: str = Field(min_length=32, repr=False, description="signs download links; the same for every process")
    delivery_assemblers: int = Field(
        2, ge=1, le=64, description="bulk files that are read at the same time; express files have a lane of their own"
    )
    delivery_files_open: int = Field(32, ge=1, le=1000, description="bulk files that may be under way; each holds up to 5 MiB")
    delivery_downloads: int = Field(32, ge=1, le=256, description="downloads that read from the store at the same instant")
    delivery_sweep_seconds: int = Field(
        900, ge=1, description="how often parts that belong to nobody are looked for; removed on the second round"
    )
    delivery_upload_hours_max: int = Field(48, ge=1, description="an upload that is older was abandoned and is aborted")
