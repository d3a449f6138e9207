"""What the commands of destinations, schedules, webhooks and SFTP users have in common."""

from urllib.parse import quote

from cli.frame import Run


def path_of(collection: str, thing_id: str) -> str:
    return f"{collection}/{quote(thing_id, safe='')}"


def delete(run: Run, collection: str, thing_id: str) -> None:
    from cli.api import api as connect

    with connect(run) as api:
        api.call("DELETE", path_of(collection, thing_id))
    run.out.done({"id": thing_id, "deleted": True}, f"Deleted {thing_id}.")
