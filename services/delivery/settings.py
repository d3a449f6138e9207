"""Settings of delivery, from the environment."""

from pydantic import Field, field_validator

from shared.settings import CommonSettings, StoreSettings

SECRET_CHARACTERS_MIN = 32


class Settings(CommonSettings, StoreSettings):
    """Assembles files in the background and serves them; several processes may run."""

    delivery_database_url: str = Field(repr=False, description="PostgreSQL as the role waybill_delivery")
    delivery_http: str = Field("127.0.0.1:8105", description="host:port for downloads, health and metrics")
    secret_key: str = Field(min_length=32, repr=False, description="signs download links; the same for every process")
    signing_secret: str = Field(
        "", repr=False, description="encrypts the keys that sign manifests, 32 characters at least; empty: made from secret_key"
    )
    operator_token: str = Field("", repr=False, description="bearer token for /v1/signing-keys; empty: they aren't served")
    delivery_assemblers: int = Field(
        2, ge=1, le=64, description="bulk files that are read at the same time; express files have a lane of their own"
    )
    delivery_files_open: int = Field(32, ge=1, le=1000, description="bulk files that may be under way; each holds up to 5 MiB")
    delivery_downloads: int = Field(32, ge=1, le=256, description="downloads that read from the store at the same instant")
    delivery_sweep_seconds: int = Field(
        900, ge=1, description="how often parts that belong to nobody are looked for; removed on the second round"
    )
    delivery_upload_hours_max: int = Field(48, ge=1, description="an upload that is older was abandoned and is aborted")

    @field_validator("signing_secret")
    @classmethod
    def _is_long_enough(cls, value: str) -> str:
        if value and len(value) < SECRET_CHARACTERS_MIN:
            raise ValueError(f"must have {SECRET_CHARACTERS_MIN} characters at least")
        return value
