"""`waybill orgs`: organisations, the operator's to make."""

from typing import Annotated

import typer

from cli.frame import Run, command, group

app = group("Organisations (needs WAYBILL_OPERATOR_TOKEN).")
OperatorToken = Annotated[str | None, typer.Option("--operator-token", metavar="TOKEN", help="WAYBILL_OPERATOR_TOKEN.")]


@command(app, "create", "waybill orgs create org_acme --name 'Acme Ltd'")
def create(
    run: Run,
    org_id: Annotated[str, typer.Argument(metavar="ORG_ID", help="The id: what records carry as org_id.")],
    name: Annotated[str, typer.Option("--name", help="The name that people read.")],
    operator_token: OperatorToken = None,
) -> None:
    """Makes an organisation and its first key (admin), which is shown once."""
    from cli.api import operator_api

    with operator_api(as_operator(run, operator_token)) as api:
        made = api.json("POST", "/v1/organisations", json={"org_id": org_id, "name": name})
    run.out.one(made, lambda org: [("organisation", org.get("org_id")), ("name", org.get("name")), ("API key", org.get("api_key"))])
    run.out.hint("The key is shown only now: keep it as WAYBILL_API_KEY.")


@command(app, "list", "waybill orgs list")
def list_(run: Run, operator_token: OperatorToken = None) -> None:
    """Lists the organisations."""
    from cli.api import operator_api
    from cli.paging import rows

    with operator_api(as_operator(run, operator_token)) as api:
        found = rows(api, "/v1/organisations")
    run.out.listed(found, {"id": "org_id", "name": "name"}, "No organisation yet.")


@command(app, "set-limits", "waybill orgs set-limits org_acme --exports 20 --rows 5000000 --requests 50")
def set_limits(
    run: Run,
    org_id: Annotated[str, typer.Argument(metavar="ORG_ID", help="The organisation's id.")],
    exports: Annotated[int | None, typer.Option("--exports", min=0, help="Exports under way at once; 0: no limit.")] = None,
    rows: Annotated[int | None, typer.Option("--rows", min=0, help="Rows of exports in a day (UTC); 0: no limit.")] = None,
    requests: Annotated[int | None, typer.Option("--requests", min=0, help="Requests a second; 0: no limit.")] = None,
    default: Annotated[bool, typer.Option("--default", help="The operator's defaults for those that aren't given.")] = False,
    operator_token: OperatorToken = None,
) -> None:
    """Sets what an organisation may use. Limits that aren't given stay as they are."""
    from urllib.parse import quote

    from cli.api import operator_api

    given = {"exports_at_once": exports, "rows_a_day": rows, "requests_per_second": requests}
    limits = {name: value for name, value in given.items() if default or value is not None}
    with operator_api(as_operator(run, operator_token)) as api:
        made = api.json("PATCH", f"/v1/organisations/{quote(org_id, safe='')}", json={"limits": limits})
    if run.out.json_mode:
        run.out.document(made)
        return
    shown = made.get("limits") or {}
    words = {name: "default" if shown.get(name) is None else shown[name] or "none" for name in given}
    run.out.fields([("organisation", made.get("org_id")), *((name.replace("_", " "), value) for name, value in words.items())])


def as_operator(run: Run, token: str | None) -> Run:
    from cli.settings import Settings

    return run if token is None else Run(Settings({**run.settings.values, "WAYBILL_OPERATOR_TOKEN": token}), run.out)
