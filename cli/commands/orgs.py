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
    if run.out.json_mode:
        run.out.document(made)
        return
    run.out.fields([("organisation", made.get("org_id")), ("name", made.get("name")), ("API key", made.get("api_key"))])
    run.out.note("The key is shown only now: keep it as WAYBILL_API_KEY.")


@command(app, "list", "waybill orgs list")
def list_(run: Run, operator_token: OperatorToken = None) -> None:
    """Lists the organisations."""
    from cli.api import operator_api
    from cli.paging import pages

    with operator_api(as_operator(run, operator_token)) as api:
        organisations = [each for page in pages(api, "/v1/organisations", []) for each in page["data"]]
    if run.out.json_mode:
        run.out.document({"data": organisations})
    else:
        run.out.table(["id", "name"], [[o.get("org_id") or o.get("id"), o.get("name")] for o in organisations], "No organisation yet.")


def as_operator(run: Run, token: str | None) -> Run:
    from cli.settings import Settings

    return run if token is None else Run(Settings({**run.settings.values, "WAYBILL_OPERATOR_TOKEN": token}), run.out)
