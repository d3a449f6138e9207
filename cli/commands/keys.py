"""`waybill keys`: API keys of one organisation."""

from typing import Annotated

import typer

from cli.frame import Run, command, group

app = group("API keys of your organisation (needs the scope admin).")


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
        made = api.json("POST", "/v1/api-keys", json={"name": name, "scopes": scopes})
    if run.out.json_mode:
        run.out.document(made)
        return
    run.out.fields(
        [("id", made.get("id")), ("name", made.get("name")), ("scopes", ", ".join(made.get("scopes") or scopes)), ("key", made.get("key"))]
    )
    run.out.note("The key is shown only now: keep it as WAYBILL_API_KEY.")


@command(app, "list", "waybill keys list")
def list_(run: Run) -> None:
    """Lists the keys, without their secrets."""
    from cli.api import api as connect
    from cli.paging import pages

    with connect(run) as api:
        keys = [key for page in pages(api, "/v1/api-keys", []) for key in page["data"]]
    if run.out.json_mode:
        run.out.document({"data": keys})
        return
    rows = [
        [k.get("id"), k.get("name"), ", ".join(k.get("scopes") or []), k.get("created_at"), k.get("last_used_at"), k.get("revoked_at")]
        for k in keys
    ]
    run.out.table(["id", "name", "scopes", "created", "last used", "revoked"], rows, "No key.")


@command(app, "revoke", "waybill keys revoke 01JQ…")
def revoke(run: Run, key_id: Annotated[str, typer.Argument(metavar="KEY_ID", help="The key's id, as `keys list` shows it.")]) -> None:
    """Revokes a key: it stops working at once."""
    from urllib.parse import quote

    from cli.api import api as connect

    with connect(run) as api:
        api.call("DELETE", f"/v1/api-keys/{quote(key_id, safe='')}")
    if run.out.json_mode:
        run.out.document({"id": key_id, "revoked": True})
    else:
        run.out.note(f"Revoked {key_id}.")
