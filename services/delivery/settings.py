"""Settings of delivery, from the environment."""

from pydantic import Field, field_validator, model_validator

from services.delivery.core.addresses import AddressRule, networks_of
from services.delivery.mail_settings import MailSettings
from shared.settings import CommonSettings, DatabaseUrl, LimitSettings, StoreSettings

SECRET_CHARACTERS_MIN = 32


class Settings(CommonSettings, LimitSettings, StoreSettings, MailSettings):
    """Assembles files in the background and serves them; several processes may run."""

    delivery_database_url: DatabaseUrl = Field(repr=False, description="PostgreSQL as the role waybill_delivery")
    delivery_http: str = Field("127.0.0.1:8105", description="host:port for downloads, health and metrics")
    secret_key: str = Field(
        min_length=32,
        repr=False,
        description="signs download links and cursors, seals webhooks' secrets and SFTP host keys; the same for every process",
    )
    secret_keys_old: str = Field(
        "", repr=False, description="earlier secret keys, separated by commas: what they sealed can still be opened"
    )
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
    delivery_upload_hours_max: float = Field(48, gt=0, description="an upload that is older was abandoned and is aborted")
    reconcile_seconds: float = Field(
        86_400, ge=60, description="how long after the last comparison of store and tables the next is begun by itself"
    )
    reconcile_grace_hours: float = Field(
        24, ge=0, description="objects that are younger are nobody's only later; a repair leaves them alone"
    )
    delivery_lease_seconds: float = Field(30, ge=1, description="a file that its process doesn't renew for so long goes to another one")

    sftp: str = Field("", description="host:port of the SFTP server; empty: there is none")
    delivery_sftp_connections: int = Field(
        512, ge=2, le=10_000, description="SFTP connections of a process; half of them may not have logged in yet"
    )
    delivery_sftp_connections_per_organisation: int = Field(256, ge=1, description="of those, of one organisation")
    delivery_sftp_reads: int = Field(32, ge=1, le=256, description="SFTP reads from the store at the same instant")
    delivery_sftp_login_seconds: float = Field(
        30, ge=1, le=600, description="an SFTP client that hasn't logged in after so long is sent away"
    )
    delivery_sftp_idle_seconds: float = Field(900, ge=1, description="an SFTP session that asks for nothing for so long ends")
    delivery_sftp_failures: int = Field(
        5,
        ge=1,
        le=1000,
        description="wrong passwords for one SFTP user from one address, after which none is tried; ten times as many for any user",
    )
    delivery_sftp_lock_seconds: int = Field(900, ge=1, description="for so long; and so far back wrong passwords are counted")
    delivery_sftp_host_key_days: float = Field(
        14, ge=0, description="for so long new SFTP host keys are announced to clients before they are used"
    )

    webhook_allow_http: bool = Field(False, description="webhooks may also go to http://; otherwise to https:// alone")
    webhook_allow_loopback: bool = Field(False, description="webhooks may go to 127.0.0.0/8 and ::1, for a stack on one machine")
    webhook_timeout_seconds: float = Field(15, gt=0, le=60, description="for one request to an endpoint, from the connection to the answer")
    webhook_lease_seconds: float = Field(60, gt=0, description="after so long a delivery whose process died is sent again")
    webhook_requests: int = Field(512, ge=2, le=4096, description="requests to webhook endpoints under way at once")
    webhook_requests_per_organisation: int = Field(128, ge=1, description="of those, to one organisation's endpoints")
    webhook_requests_per_endpoint: int = Field(32, ge=1, description="of those, to one endpoint, once it is known to be quick")
    webhook_rotation_seconds: int = Field(86_400, ge=0, description="how long a rotated webhook secret signs beside the new one")
    webhook_keep_days: int = Field(30, ge=8, description="deliveries and attempts are forgotten after so long")
    webhook_time_scale: float = Field(
        1.0, gt=0, le=1, description="shortens the retry schedule and the time to auto-disabling; for tests alone"
    )

    notification_keep_days: int = Field(90, ge=1, description="notifications are forgotten after so long")
    alert_quiet_minutes: float = Field(
        15,
        ge=0,
        description="an alert channel hears of the same kind of failure of the same thing at most once in so long; what comes meanwhile is counted",
    )

    destination_allow_http: bool = Field(False, description="destinations may also be reached by http://; otherwise by https:// alone")
    destination_allow_loopback: bool = Field(False, description="destinations may be on 127.0.0.0/8 and ::1, for a stack on one machine")
    destination_networks: str = Field(
        "", description="networks, with commas, that destinations may be in beside public addresses; every organisation can reach them"
    )
    destination_deliveries: int = Field(
        16, ge=2, le=256, description="deliveries to destinations under way at once in a process; half of them those of small exports alone"
    )
    destination_deliveries_per_organisation: int = Field(8, ge=1, description="of one organisation, in all processes")
    destination_deliveries_per_destination: int = Field(1, ge=1, description="to one destination, in all processes")
    destination_lease_seconds: float = Field(
        60, gt=0, description="a delivery whose process doesn't renew it for so long goes to another one"
    )
    destination_test_seconds: float = Field(30, gt=0, le=120, description="what a test of a destination may take")
    destination_link_days: float = Field(7, gt=0, description="how long links to files in mails are good, as long as there is the export")
    destination_keep_days: int = Field(30, ge=1, description="deliveries that ended are forgotten after so long")
    destination_time_scale: float = Field(1.0, gt=0, le=1, description="shortens the retries of deliveries; for tests alone")

    @field_validator("destination_networks")
    @classmethod
    def _are_networks(cls, value: str) -> str:
        networks_of(value)
        return value

    @field_validator("signing_secret")
    @classmethod
    def _is_long_enough(cls, value: str) -> str:
        if value and len(value) < SECRET_CHARACTERS_MIN:
            raise ValueError(f"must have {SECRET_CHARACTERS_MIN} characters at least")
        return value

    @model_validator(mode="after")
    def _leases_outlive_requests(self) -> "Settings":
        if self.webhook_lease_seconds <= self.webhook_timeout_seconds:
            raise ValueError("WAYBILL_WEBHOOK_LEASE_SECONDS must be longer than WAYBILL_WEBHOOK_TIMEOUT_SECONDS")
        return self

    @property
    def destination_addresses(self) -> AddressRule:
        return AddressRule(self.destination_allow_loopback, networks_of(self.destination_networks))

    @property
    def secret_keys(self) -> list[str]:
        """The present one first."""
        return [self.secret_key, *(key for key in self.secret_keys_old.split(",") if key)]
