"""`waybill deliveries`: what became of the files that were to be brought to destinations."""

from typing import Annotated

import typer

from cli.frame import Run, command, group
from cli.output import Columns, Row
from cli.things import path_of

app = group("Deliveries of exports to destinations (needs the scope exports:read; redeliver: destinations:write).")
PATH = "/v1/deliveries"
LIMIT = 50

DeliveryId = Annotated[str, typer.Argument(metavar="ID", help="The delivery's id, dlv_01….")]


@command(app, "list", "waybill deliveries list --status failed")
def list_(
    run: Run,
    export_id: Annotated[str | None, typer.Option("--export", metavar="ID", help="Of this export.")] = None,
    destination_id: Annotated[str | None, typer.Option("--destination", metavar="ID", help="To this destination.")] = None,
    schedule_id: Annotated[str | None, typer.Option("--schedule", metavar="ID", help="Of this schedule's runs.")] = None,
    statuses: Annotated[list[str] | None, typer.Option("--status", help="pending, held, delivered, failed or cancelled; may be repeated.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=500, help="The newest so many.")] = LIMIT,
) -> None:  # fmt: skip
    """Lists deliveries, the newest first."""
    from cli.api import api as connect
    from cli.paging import rows

    asked = [
        ("export_id", export_id),
        ("destination_id", destination_id),
        ("schedule_id", schedule_id),
        *(("status", each) for each in statuses or []),
    ]
    columns: Columns = {
        "id": "id", "export": "export_id", "destination": _where, "status": _state, "attempts": "attempt_count", "error": _error_code, "created": "created_at",
    }  # fmt: skip
    params = [(name, value) for name, value in asked if value is not None] + [("limit", str(limit))]
    with connect(run) as api:
        run.out.listed(rows(api, PATH, params, to_the_end=False), columns, "No delivery.")


@command(app, "show", "waybill deliveries show dlv_01JQ…")
def show(run: Run, delivery_id: DeliveryId) -> None:
    """Shows a delivery: its files and where they are, its attempts, what went wrong."""
    from cli.api import api as connect

    with connect(run) as api:
        _show(run, api.json("GET", path_of(PATH, delivery_id)))


@command(app, "redeliver", "waybill deliveries redeliver dlv_01JQ…")
def redeliver(run: Run, delivery_id: DeliveryId) -> None:
    """Brings a delivered export again, all of its files; of one that was given up, what isn't there. One that waits for its next attempt is tried now."""
    from cli.api import api as connect

    with connect(run) as api:
        _show(run, api.json("POST", f"{path_of(PATH, delivery_id)}/redeliver"))


def _where(delivery: Row) -> str:
    destination = delivery.get("destination") or {}
    return str(destination.get("name") or ", ".join(destination.get("to") or []) or destination.get("id"))


def _state(delivery: Row) -> str:
    return "under way" if delivery.get("under_way") else str(delivery.get("status"))


def _error_code(of: Row) -> str | None:
    return (of.get("error") or {}).get("code")


def _show(run: Run, delivery: Row) -> None:
    if run.out.json_mode:
        run.out.document(delivery)
        return
    error = delivery.get("error") or {}
    run.out.fields([
        ("id", delivery.get("id")), ("export", delivery.get("export_id")), ("schedule", delivery.get("schedule_id")), ("destination", _where(delivery)),
        ("status", _state(delivery)), ("error", error and f"{error.get('code')}: {error.get('message')}"), ("next attempt", delivery.get("next_attempt_at")),
        ("created", delivery.get("created_at")), ("ended", delivery.get("ended_at")),
    ])  # fmt: skip
    run.out.table(
        ["file", "place", "sent"], [[f.get("name"), f.get("place"), f.get("sent_at")] for f in delivery.get("files") or []], "No file."
    )
    attempts = [[a.get("number"), a.get("at"), a.get("duration_ms"), _error_code(a)] for a in delivery.get("attempts") or []]
    run.out.table(["attempt", "at", "ms", "error"], attempts, "No attempt yet.")
