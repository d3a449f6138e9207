"""`waybill webhooks`: who is told when an export ends, and what became of it."""

from typing import Annotated, Any

import typer

from cli import things
from cli.frame import Run, command, group
from cli.things import path_of

app = group("Webhook endpoints: who is told when exports end (needs the scope webhooks:write).")
PATH = "/v1/webhook-endpoints"

EndpointId = Annotated[str, typer.Argument(metavar="ID", help="The endpoint's id, whe_01….")]
Events = Annotated[list[str] | None, typer.Option("--event", help="export.completed, …; repeated or with commas. Default: all.")]
Description = Annotated[str | None, typer.Option("--description", help="What it is for.")]


@command(app, "list", "waybill webhooks list")
def list_(run: Run) -> None:
    """Lists the endpoints, and says which are disabled."""
    from cli.api import api as connect
    from cli.paging import rows
    from cli.webhooks.showing import list_endpoints

    with connect(run) as api:
        list_endpoints(run.out, rows(api, PATH))


@command(app, "create", "waybill webhooks create https://hooks.example/waybill --event export.completed,export.failed")
def create(
    run: Run,
    target: Annotated[str, typer.Argument(metavar="TARGET", help="The URL that events are sent to.")],
    events: Events = None,
    description: Description = None,
) -> None:
    """Makes an endpoint. Its secret is shown once."""
    from cli.api import api as connect
    from cli.webhooks.showing import show_secret

    with connect(run) as api:
        show_secret(run.out, api.json("POST", PATH, json={"url": target, **_given(events, description)}))


@command(app, "show", "waybill webhooks show whe_01JQ…")
def show(run: Run, endpoint_id: EndpointId) -> None:
    """Shows one endpoint: its state, and why it is disabled."""
    from cli.api import api as connect
    from cli.webhooks.showing import show_endpoint

    with connect(run) as api:
        show_endpoint(run.out, api.json("GET", path_of(PATH, endpoint_id)))


@command(app, "update", "waybill webhooks update whe_01JQ… --enable")
def update(
    run: Run,
    endpoint_id: EndpointId,
    target: Annotated[str | None, typer.Option("--to", metavar="URL", help="Where events are sent from now on.")] = None,
    events: Events = None,
    description: Description = None,
    enabled: Annotated[bool | None, typer.Option("--enable/--disable", help="Disabling skips what is pending; see recover.")] = None,
) -> None:
    """Changes an endpoint. Enabling one that was disabled begins with a clean record."""
    from cli.api import api as connect
    from cli.errors import UsageError
    from cli.webhooks.showing import show_endpoint

    changes = _given(events, description) | {name: value for name, value in (("url", target), ("enabled", enabled)) if value is not None}
    if not changes:
        raise UsageError("Say what to change: --to, --event, --description, --enable or --disable.")
    with connect(run) as api:
        show_endpoint(run.out, api.json("PATCH", path_of(PATH, endpoint_id), json=changes))


@command(app, "delete", "waybill webhooks delete whe_01JQ…")
def delete(run: Run, endpoint_id: EndpointId) -> None:
    """Deletes an endpoint, its deliveries too."""
    things.delete(run, PATH, endpoint_id)


@command(app, "test", "waybill webhooks test whe_01JQ…")
def test(run: Run, endpoint_id: EndpointId) -> None:
    """Sends a test message now. Exit code 1 where it is not taken."""
    from cli.api import api as connect
    from cli.webhooks.showing import show_test

    with connect(run) as api:
        show_test(run.out, api.json("POST", f"{path_of(PATH, endpoint_id)}/test"))


@command(app, "rotate-secret", "waybill webhooks rotate-secret whe_01JQ… --overlap 3600")
def rotate_secret(
    run: Run,
    endpoint_id: EndpointId,
    overlap: Annotated[int | None, typer.Option("--overlap", metavar="SECONDS", min=0, help="How long the old secret signs too.")] = None,
) -> None:
    """Makes a new secret, which is shown once. Requests carry both signatures for a while."""
    from cli.api import api as connect
    from cli.webhooks.showing import show_secret

    body = {} if overlap is None else {"overlap_seconds": overlap}
    with connect(run) as api:
        show_secret(run.out, api.json("POST", f"{path_of(PATH, endpoint_id)}/rotate-secret", json=body))


@command(app, "recover", "waybill webhooks recover whe_01JQ… --since 2026-03-01T09:00:00Z")
def recover(
    run: Run, endpoint_id: EndpointId, since: Annotated[str, typer.Option("--since", metavar="TIME", help="A date or a time (UTC).")]
) -> None:
    """Sends again what failed or was skipped since a time."""
    from cli.api import api as connect

    with connect(run) as api:
        answer = api.json("POST", f"{path_of(PATH, endpoint_id)}/recover", json={"since": since})
    run.out.done(answer, f"{answer.get('recovered')} deliveries are sent again.")


@command(app, "deliveries", "waybill webhooks deliveries whe_01JQ… --status failed")
def deliveries(
    run: Run,
    endpoint_id: EndpointId,
    status: Annotated[list[str] | None, typer.Option("--status", help="pending, delivered, failed or skipped; may be repeated.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Follows the pages to the end.")] = False,
) -> None:
    """Lists what was sent to an endpoint, newest first."""
    from cli.api import api as connect
    from cli.paging import rows
    from cli.webhooks.showing import list_deliveries

    asked = [("status", each) for each in status or []]
    with connect(run) as api:
        list_deliveries(run.out, rows(api, f"{path_of(PATH, endpoint_id)}/deliveries", asked, to_the_end=all_))


@command(app, "redeliver", "waybill webhooks redeliver whe_01JQ… whd_01JQ…")
def redeliver(
    run: Run, endpoint_id: EndpointId, delivery_id: Annotated[str, typer.Argument(metavar="DELIVERY_ID", help="whd_01….")]
) -> None:
    """Sends one delivery again, under the same webhook-id."""
    from cli.api import api as connect

    with connect(run) as api:
        answer = api.json("POST", f"{path_of(f'{path_of(PATH, endpoint_id)}/deliveries', delivery_id)}/redeliver")
    run.out.done(answer, f"{delivery_id} is sent again as {answer.get('webhook_id')}.")


def _given(events: list[str] | None, description: str | None) -> dict[str, Any]:
    from cli.core.bodies import split_list

    given: dict[str, Any] = {"events": split_list(events or [])} if events else {}
    return given if description is None else {**given, "description": description or None}
