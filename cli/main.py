"""Entry point of the `waybill` command. Imports little: what a command needs is imported when it runs."""

from typing import Annotated

import typer

from cli.commands import (
    acls,
    audit,
    deliveries,
    destinations,
    diff,
    dlq,
    doctor,
    exports,
    keys,
    leads,
    mail,
    migrate,
    notifications,
    orgs,
    reconcile,
    records,
    sample,
    schedules,
    sftp_host_keys,
    sftp_users,
    signing_keys,
    usage,
    verify,
    webhooks,
)
from cli.frame import group

app = group("Exports of conversation and CRM data as files that people and machines can trust.")
app.add_typer(orgs.app, name="orgs")
app.add_typer(keys.app, name="keys")
app.add_typer(records.app, name="records")
app.add_typer(leads.app, name="leads")
app.add_typer(exports.app, name="exports")
app.add_typer(schedules.app, name="schedules")
app.add_typer(destinations.app, name="destinations")
app.add_typer(deliveries.app, name="deliveries")
app.add_typer(webhooks.app, name="webhooks")
app.add_typer(sftp_users.app, name="sftp-users")
app.add_typer(sftp_host_keys.app, name="sftp-host-keys")
app.add_typer(audit.app, name="audit")
app.add_typer(dlq.app, name="dlq")
app.add_typer(signing_keys.app, name="signing-keys")
app.add_typer(mail.app, name="mail")
for single in (usage, notifications, diff, sample, verify, migrate, acls, reconcile, doctor):
    single.register(app)


def _version(asked: bool) -> None:
    if asked:
        import importlib.metadata

        try:
            typer.echo(importlib.metadata.version("waybill"))
        except importlib.metadata.PackageNotFoundError:
            typer.echo("unknown (not installed as a package)")
        raise typer.Exit


@app.callback()
def main(version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Shows the version.")] = False) -> None:
    """Exports of conversation and CRM data as files that people and machines can trust.

    Settings come from flags, --env-file, the environment (WAYBILL_URL, WAYBILL_API_KEY, …) or .local/waybill.env, in this order.
    Exit codes: 0 done, 1 failed, 2 called wrongly.
    """


if __name__ == "__main__":
    app()
