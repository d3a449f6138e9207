"""One alert to one channel. The address of a channel is a secret: it is in no error and no log."""

from dataclasses import dataclass

from services.delivery.core.destinations.problems import Undelivered
from services.delivery.core.notifications.alerts import Alert, Channel, body_of, mail_of
from services.delivery.core.urls import UrlRules, problem_with
from services.delivery.mail import Mailer
from services.delivery.webhooks.sender import Sender

NO_MAIL_SERVER = "no_mail_server"


@dataclass(frozen=True)
class Outcome:
    """`code` is null where it was taken. `again`: it may be later."""

    code: str | None = None
    message: str | None = None
    again: bool = True

    @property
    def skipped(self) -> bool:
        return self.code == NO_MAIL_SERVER


class Channels:
    """The ways out. `sender` and `mailer` are bounded in time and keep to the address guard."""

    def __init__(self, sender: Sender, mailer: Mailer, rules: UrlRules) -> None:
        self._sender, self._mailer, self._rules = sender, mailer, rules

    async def tell(self, channel: Channel, alert: Alert) -> Outcome:
        """Never raises for what the other side does."""
        return await (self._mail(channel, alert) if channel.type == "email" else self._post(channel, alert))

    async def _post(self, channel: Channel, alert: Alert) -> Outcome:
        if problem := problem_with(channel.url, self._rules):
            return Outcome("bad_url", f"The channel's URL {problem}.", again=False)
        sent = await self._sender.send(channel.url, {"webhook-id": alert.id}, body_of(channel, alert))
        if sent.attempt.succeeded:
            return Outcome()
        gone = sent.attempt.gone or sent.error_code == "redirected"
        return Outcome(sent.error_code, sent.error_message, again=not gone)

    async def _mail(self, channel: Channel, alert: Alert) -> Outcome:
        if not self._mailer.is_set_up:
            return Outcome(NO_MAIL_SERVER, "This installation has no mail server (WAYBILL_SMTP_HOST).", again=False)
        subject, text = mail_of(alert)
        try:
            await self._mailer.send(channel.to, subject, text, alert.id)
        except Undelivered as error:
            return Outcome(error.code, error.message, error.again)
        return Outcome()
