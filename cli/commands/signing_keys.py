"""`waybill signing-keys`: the keys that sign manifests, the operator's to rotate."""

from typing import Annotated

import typer

from cli.commands.orgs import OperatorToken, as_operator
from cli.frame import Run, command, group

app = group("Keys that sign manifests (needs WAYBILL_OPERATOR_TOKEN).")
PATH = "/v1/signing-keys"


@command(app, "list", "waybill signing-keys list")
def list_(run: Run, operator_token: OperatorToken = None) -> None:
    """Lists the keys, newest first. What a retired key has signed still verifies; what a revoked one has signed doesn't."""
    from cli.api import operator_api

    with operator_api(as_operator(run, operator_token)) as api:
        keys = api.json("GET", PATH)["data"]
    if run.out.json_mode:
        run.out.document({"data": keys})
        return
    rows = [[k.get("id"), k.get("status"), k.get("created_at"), k.get("retired_at"), k.get("revoked_at")] for k in keys]
    run.out.table(["id", "state", "created", "retired", "revoked"], rows, "No key yet: delivery makes the first one when it starts.")


@command(app, "rotate", "waybill signing-keys rotate")
def rotate(run: Run, operator_token: OperatorToken = None) -> None:
    """Makes a new key, which signs from now on. The old one's private half is wiped; what it has signed still verifies."""
    from cli.api import operator_api

    with operator_api(as_operator(run, operator_token)) as api:
        made = api.json("POST", f"{PATH}/rotate")
    if run.out.json_mode:
        run.out.document(made)
        return
    run.out.fields([("signs now", made.get("id")), ("retired", made.get("retired"))])
    run.out.note("Who has pinned a key needs the new one's id.")


@command(app, "revoke", "waybill signing-keys revoke UCHobUMg_EmdnrjVCRoK7XHKK31i0czSvGB3k-YywQY")
def revoke(
    run: Run,
    key_id: Annotated[str, typer.Argument(metavar="KEY_ID", help="A retired key's id, as `signing-keys list` shows it.")],
    operator_token: OperatorToken = None,
) -> None:
    """Says that a key is in wrong hands: nothing that it has signed verifies any more. Rotate first."""
    from urllib.parse import quote

    from cli.api import operator_api

    with operator_api(as_operator(run, operator_token)) as api:
        api.call("POST", f"{PATH}/{quote(key_id, safe='')}/revoke")
    if run.out.json_mode:
        run.out.document({"id": key_id, "revoked": True})
    else:
        run.out.note(f"Revoked {key_id}.")
