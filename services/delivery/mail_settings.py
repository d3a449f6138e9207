"""Settings of the installation's mail server."""

from functools import cached_property
from typing import Literal

from pydantic import Field, model_validator

from services.delivery.core.bounces import BEFORE_TOKEN_MAX
from services.delivery.core.mail import parted
from services.delivery.mail import MailServer
from shared.checks import is_email, is_seen
from shared.settings import Environment
from shared.tls import client_context

Security = Literal["tls", "starttls", "none"]
PORTS: dict[Security, int] = {"tls": 465, "starttls": 587, "none": 25}


class MailSettings(Environment):
    """Without a host nothing is mailed."""

    smtp_host: str = Field("", description="the mail server that takes our mail; empty: there is none")
    smtp_port: int = Field(0, ge=0, le=65_535, description="its port; 0: 465, 587 or 25, by the security")
    smtp_security: Security = Field("starttls", description="tls from the first byte, starttls (and nothing without it), or none")
    smtp_user: str = Field("", description="to log in; empty: without")
    smtp_password: str = Field("", repr=False, description="to log in")
    smtp_from: str = Field("", description="who mail is from: an address, or `Name <address>`")
    smtp_ca_file: str = Field("", description="certificates (PEM) of the authorities that it is trusted by; empty: this machine's")
    smtp_timeout_seconds: float = Field(
        30, gt=0, le=300, description="for one answer of it; five times as long for its word that it has a mail"
    )
    smtp_bounce_address: str = Field("", description="where mail that can't be delivered comes back to; empty: the sender's address")

    @cached_property
    def mail_server(self) -> MailServer | None:
        """Raises ValueError for a file that is of no use."""
        if not self.smtp_host:
            return None
        tls = client_context(self.smtp_ca_file) if self.smtp_security != "none" else None
        return MailServer(
            self.smtp_host, self.smtp_port or PORTS[self.smtp_security], self.smtp_security, self.smtp_from, self.smtp_user, self.smtp_password, tls,
            self.smtp_bounce_address, self.smtp_timeout_seconds,
        )  # fmt: skip

    @model_validator(mode="after")
    def _mail_fits_together(self) -> "MailSettings":
        """What is set and wouldn't be used is as wrong as what is missing."""
        texts = {
            "USER": self.smtp_user,
            "PASSWORD": self.smtp_password,
            "FROM": self.smtp_from,
            "CA_FILE": self.smtp_ca_file,
            "BOUNCE_ADDRESS": self.smtp_bounce_address,
        }
        if not self.smtp_host:
            for name in (name for name, value in texts.items() if value):
                raise ValueError(f"WAYBILL_SMTP_{name} is set, and WAYBILL_SMTP_HOST isn't")
            return self
        if not (is_seen(self.smtp_from) and is_email(parted(self.smtp_from)[1])):
            raise ValueError("WAYBILL_SMTP_FROM must be an e-mail address, or 'Name <address>'")
        before = self.smtp_bounce_address.partition("@")[0]
        if self.smtp_bounce_address and (not is_email(self.smtp_bounce_address) or len(before) > BEFORE_TOKEN_MAX or "+" in before):
            raise ValueError(
                f"WAYBILL_SMTP_BOUNCE_ADDRESS must be an e-mail address with at most {BEFORE_TOKEN_MAX} characters before the @, and no '+'"
            )
        if bool(self.smtp_user) is not bool(self.smtp_password):
            raise ValueError("WAYBILL_SMTP_USER and WAYBILL_SMTP_PASSWORD belong together")
        for name in ("USER", "CA_FILE"):
            if texts[name] and self.smtp_security == "none":
                raise ValueError(f"WAYBILL_SMTP_{name} needs WAYBILL_SMTP_SECURITY tls or starttls: nothing would protect it")
        try:
            _ = self.mail_server
        except ValueError as error:
            raise ValueError(f"WAYBILL_SMTP_CA_FILE: {error}") from None
        return self
