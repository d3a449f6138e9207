"""`waybill sftp-users`: who may fetch files over SFTP."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cli import things
from cli.frame import Run, command, group
from cli.output import Columns, Row
from cli.things import path_of

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
    from cli.paging import rows

    columns: Columns = {"id": "id", "username": "username", "keys": _count_of_keys, "networks": _networks_of, "last login": "last_login_at"}
    with connect(run) as api:
        run.out.listed(rows(api, PATH), columns, "No SFTP user.")


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
        _show(run, api.json("GET", path_of(PATH, user_id)))


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
        _show(run, api.json("PATCH", path_of(PATH, user_id), json=changes))


@command(app, "reset-password", "waybill sftp-users reset-password sfu_01JQ…")
def reset_password(run: Run, user_id: UserId) -> None:
    """Makes a new password, which is shown once. The old one is worth nothing from now on."""
    from cli.api import api as connect

    with connect(run) as api:
        _show(run, api.json("POST", f"{path_of(PATH, user_id)}/reset-password"))


@command(app, "delete", "waybill sftp-users delete sfu_01JQ…")
def delete(run: Run, user_id: UserId) -> None:
    """Deletes a user; its sessions end."""
    things.delete(run, PATH, user_id)


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


def _count_of_keys(user: Row) -> int:
    return len(user.get("public_keys") or [])


def _networks_of(user: Row) -> str:
    return ", ".join(user.get("allowed_networks") or []) or "anywhere"


def _show(run: Run, user: Row) -> None:
    run.out.one(user, _fields)
    if user.get("password"):
        run.out.hint("The password is shown only now.")


def _fields(user: Row) -> list[tuple[str, object]]:
    keys = [" ".join(filter(None, (k.get("fingerprint"), k.get("type"), k.get("comment")))) for k in user.get("public_keys") or []]
    return [
        ("id", user.get("id")), ("username", user.get("username")), *(("key", key) for key in keys), ("networks", _networks_of(user)),
        ("password since", user.get("password_changed_at")), ("last login", user.get("last_login_at")), ("password", user.get("password")),
    ]  # fmt: skip
