"""`waybill sftp-host-keys`: the keys by which clients know the SFTP server."""

from typing import Any

from cli.commands.orgs import OperatorToken, as_operator
from cli.frame import Run, command, group

app = group("Keys by which clients know the SFTP server (rotating needs WAYBILL_OPERATOR_TOKEN).")
PATH = "/v1/sftp-host-keys"


@command(app, "list", "waybill sftp-host-keys list")
def list_(run: Run) -> None:
    """Lists the keys that are used and those that will be: what a client shows at its first connection must be among them."""
    from cli.api import api as connect

    with connect(run) as api:
        _show(run, api.json("GET", PATH))


@command(app, "rotate", "waybill sftp-host-keys rotate")
def rotate(run: Run, operator_token: OperatorToken = None) -> None:
    """Makes new keys. They are announced to clients for a while before they are used."""
    from cli.api import operator_api

    with operator_api(as_operator(run, operator_token)) as api:
        _show(run, api.json("POST", f"{PATH}/rotate"))


def _show(run: Run, answer: dict[str, Any]) -> None:
    if run.out.json_mode:
        run.out.document(answer)
        return
    rows = [[k.get("fingerprint"), k.get("type"), k.get("status"), k.get("used_from")] for k in answer["data"]]
    run.out.table(
        ["fingerprint", "type", "state", "used from"], rows, "No key yet: delivery makes the first ones when its SFTP server starts."
    )
