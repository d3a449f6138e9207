"""`waybill sftp-users`: who may fetch files over SFTP."""

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from cli.frame import Run, command, group

app = group("SFTP users: who may fetch files over SFTP (needs the scope sftp:write).")
PATH = "/v1/sftp-users"

UserId = Annotated[str, typer.Argument(metavar="ID", help="The user's id, sfu_01….")]
Keys = Annotated[list[Path] | None, typer.Option("--key", metavar="FILE", help="A .pub file, as ssh-keygen makes it; may be repeated.")]
Networks = Annotated[
    list[str] | None,
    typer.Option("--network", metavar="NETWORK", help="From where the user may come: 203.0.113.0/24; repeated or with commas."),
]


@command(app, "list", "waybill sftp-users list")
def list_(run: Run) -> None:
    """Lists the users, their keys and networks."""
    from cli.api import api as connect
    from cli.paging import pages

    with connect(run) as api:
        users = [row for page in pages(api, PATH, []) for row in page["data"]]
    if run.out.json_mode:
        run.out.document({"data": users})
        return
    rows = [[u.get("id"), u.get("username"), len(u.get("public_keys") or []), _networks_of(u), u.get("last_login_at")] for u in users]
    run.out.table(["id", "username", "keys", "networks", "last login"], rows, "No SFTP user.")


@command(app, "create", "waybill sftp-users create acme-fetch --key id_ed25519.pub --network 203.0.113.0/24")
def create(
    run: Run, username: Annotated[str, typer.Argument(metavar="USERNAME", help="What the client logs in as.")],
    keys: Keys = None, networks: Networks = None,
) -> None:  # fmt: skip
    """Makes a user. The password is shown once."""
    from cli.api import api as connect

    with connect(run) as api:
        _show(run, api.json("POST", PATH, json={"username": username, **_given(keys, networks)}))


@command(app, "show", "waybill sftp-users show sfu_01JQ…")
def show(run: Run, user_id: UserId) -> None:
    """Shows a user, the keys by fingerprint."""
    from cli.api import api as connect

    with connect(run) as api:
        _show(run, api.json("GET", _path(user_id)))


@command(app, "update", "waybill sftp-users update sfu_01JQ… --network 203.0.113.0/24,2001:db8::/32")
def update(
    run: Run, user_id: UserId, keys: Keys = None, networks: Networks = None,
    no_keys: Annotated[bool, typer.Option("--no-keys", help="Takes all keys away.")] = False,
    anywhere: Annotated[bool, typer.Option("--anywhere", help="From everywhere again.")] = False,
) -> None:  # fmt: skip
    """Changes a user's keys or networks: what is given takes the place of what was there. The user's sessions end."""
    from cli.api import api as connect
    from cli.errors import UsageError

    changes = _given(keys, networks) | ({"public_keys": []} if no_keys else {}) | ({"allowed_networks": []} if anywhere else {})
    if not changes:
        raise UsageError("Say what to change: --key, --no-keys, --network or --anywhere.")
    with connect(run) as api:
        _show(run, api.json("PATCH", _path(user_id), json=changes))


@command(app, "reset-password", "waybill sftp-users reset-password sfu_01JQ…")
def reset_password(run: Run, user_id: UserId) -> None:
    """Makes a new password, which is shown once. The old one is worth nothing from now on."""
    from cli.api import api as connect

    with connect(run) as api:
        _show(run, api.json("POST", f"{_path(user_id)}/reset-password"))


@command(app, "delete", "waybill sftp-users delete sfu_01JQ…")
def delete(run: Run, user_id: UserId) -> None:
    """Deletes a user; its sessions end."""
    from cli.api import api as connect

    with connect(run) as api:
        api.call("DELETE", _path(user_id))
    if run.out.json_mode:
        run.out.document({"id": user_id, "deleted": True})
    else:
        run.out.note(f"Deleted {user_id}.")


def _path(user_id: str) -> str:
    return f"{PATH}/{quote(user_id, safe='')}"


def _given(keys: list[Path] | None, networks: list[str] | None) -> dict[str, Any]:
    from cli.core.bodies import split_list
    from cli.errors import UsageError

    given: dict[str, Any] = {}
    if keys:
        try:
            given["public_keys"] = [path.read_text("utf-8").strip() for path in keys]
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"A key can't be read: {error}") from None
    if networks:
        given["allowed_networks"] = split_list(networks)
    return given


def _networks_of(user: dict[str, Any]) -> str:
    return ", ".join(user.get("allowed_networks") or []) or "anywhere"


def _show(run: Run, user: dict[str, Any]) -> None:
    if run.out.json_mode:
        run.out.document(user)
        return
    keys = [" ".join(filter(None, (k.get("fingerprint"), k.get("type"), k.get("comment")))) for k in user.get("public_keys") or []]
    fields = [
        ("id", user.get("id")), ("username", user.get("username")), *(("key", key) for key in keys), ("networks", _networks_of(user)),
        ("password since", user.get("password_changed_at")), ("last login", user.get("last_login_at")), ("password", user.get("password")),
    ]  # fmt: skip
    run.out.fields(fields)
    if user.get("password"):
        run.out.note("The password is shown only now.")
