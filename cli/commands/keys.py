"""`waybill keys`: API keys of one organisation."""

from typing import Annotated

import typer

from cli.frame import Run, command, group
from cli.output import Columns, Row
from cli.things import path_of

app = group("API keys of your organisation (needs the scope admin).")
PATH = "/v1/api-keys"


@command(app, "create", "waybill keys create --name loader --scope records:write --scope exports:read")
def create(
    run: Run,
    name: Annotated[str, typer.Option("--name", help="What the key is for.")],
    scope: Annotated[list[str], typer.Option("--scope", help="What it may do; may be repeated, or a list with commas.")],
) -> None:
    """Makes a key, which is shown once."""
    from cli.api import api as connect

    scopes = [each.strip() for given in scope for each in given.split(",") if each.strip()]
    with connect(run) as api:
        made = api.json("POST", PATH, json={"name": name, "scopes": scopes})
    run.out.one(made, lambda key: [("id", key.get("id")), ("name", key.get("name")), ("scopes", _scopes(key)), ("key", key.get("key"))])
    run.out.hint("The key is shown only now: keep it as WAYBILL_API_KEY.")


@command(app, "list", "waybill keys list")
def list_(run: Run) -> None:
    """Lists the keys, without their secrets."""
    from cli.api import api as connect
    from cli.paging import rows

    with connect(run) as api:
        found = rows(api, PATH)
    columns: Columns = {
        "id": "id",
        "name": "name",
        "scopes": _scopes,
        "created": "created_at",
        "last used": "last_used_at",
        "revoked": "revoked_at",
    }
    run.out.listed(found, columns, "No key.")


@command(app, "revoke", "waybill keys revoke 01JQ…")
def revoke(run: Run, key_id: Annotated[str, typer.Argument(metavar="KEY_ID", help="The key's id, as `keys list` shows it.")]) -> None:
    """Revokes a key: it stops working at once."""
    from cli.api import api as connect

    with connect(run) as api:
        api.call("DELETE", path_of(PATH, key_id))
    run.out.done({"id": key_id, "revoked": True}, f"Revoked {key_id}.")


def _scopes(key: Row) -> str:
    return ", ".join(key.get("scopes") or [])
