"""`waybill destinations`: where files are brought when an export is complete."""

from typing import Annotated, Any

import typer

from cli import things
from cli.frame import Run, command, group
from cli.output import Row
from cli.things import path_of

app = group("Destinations: where files are brought when an export is complete (needs the scope destinations:write).")
PATH = "/v1/destinations"
# Of every type, what `--secret` is for. (headers are an object: --set.)
SECRET = frozenset({"passphrase", "password", "private_key", "secret", "secret_access_key"})

DestinationId = Annotated[str, typer.Argument(metavar="ID", help="The destination's id, dst_01….")]
Fields = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help="A field of the config: text, or JSON (22, true, [\"a@b.example\"]); null takes one away. May be repeated."),
]  # fmt: skip
Secrets = Annotated[
    list[str] | None,
    typer.Option("--secret", metavar="FIELD[=FILE]", help="A secret field, read from a file (- is stdin), else asked for. Never in an argument. May be repeated."),
]  # fmt: skip


@command(app, "list", "waybill destinations list")
def list_(run: Run) -> None:
    """Lists the destinations, and which of them are paused."""
    from cli.api import api as connect
    from cli.paging import rows

    with connect(run) as api:
        found = rows(api, PATH)
    run.out.listed(found, {"id": "id", "name": "name", "type": "type", "place": "place", "state": _state}, "No destination.")


@command(
    app,
    "create",
    "waybill destinations create Warehouse --type sftp --set host=files.example.com --set username=acme --secret password=./password",
)
def create(
    run: Run, name: Annotated[str, typer.Argument(metavar="NAME", help="What people call it.")],
    type_: Annotated[str, typer.Option("--type", help="s3, sftp, email or webhook.")], fields: Fields = None, secrets: Secrets = None,
) -> None:  # fmt: skip
    """Makes a destination. Test it before anything is brought there."""
    from cli.api import api as connect

    body = {"name": name, "type": type_, "config": _config(run, fields, secrets)}
    with connect(run) as api:
        _show(run, api.json("POST", PATH, json=body))


@command(app, "show", "waybill destinations show dst_01JQ…")
def show(run: Run, destination_id: DestinationId) -> None:
    """Shows a destination: its config, which secrets are set, how it is."""
    from cli.api import api as connect

    with connect(run) as api:
        _show(run, api.json("GET", path_of(PATH, destination_id)))


@command(app, "update", "waybill destinations update dst_01JQ… --set path=in/{dataset}")
def update(
    run: Run, destination_id: DestinationId, name: Annotated[str | None, typer.Option("--name", help="What people call it.")] = None,
    fields: Fields = None, secrets: Secrets = None,
) -> None:  # fmt: skip
    """Changes fields of a destination; the others stay. Another place wants the secrets again."""
    from cli.api import api as connect
    from cli.errors import UsageError

    config = _config(run, fields, secrets)
    changes: dict[str, Any] = ({"name": name} if name is not None else {}) | ({"config": config} if config else {})
    if not changes:
        raise UsageError("Say what to change: --name, --set or --secret.")
    with connect(run) as api:
        _show(run, api.json("PATCH", path_of(PATH, destination_id), json=changes))


@command(app, "test", "waybill destinations test dst_01JQ…")
def test(run: Run, destination_id: DestinationId) -> None:
    """Writes a small file there and removes it; says what failed. Exits 1 where something did. One that passes resumes a destination that kept failing."""
    from cli.api import api as connect

    with connect(run) as api:
        tested = api.json("POST", f"{path_of(PATH, destination_id)}/test")
    run.out.one(tested, lambda t: [("result", "works" if t["ok"] else t["code"]), ("message", t["message"]), ("place", t["place"])])
    if not tested["ok"]:
        raise typer.Exit(1)


@command(app, "pause", "waybill destinations pause dst_01JQ…")
def pause(run: Run, destination_id: DestinationId) -> None:
    """Holds deliveries to a destination from now on."""
    from cli.api import api as connect

    with connect(run) as api:
        _show(run, api.json("POST", f"{path_of(PATH, destination_id)}/pause"))


@command(app, "resume", "waybill destinations resume dst_01JQ…")
def resume(run: Run, destination_id: DestinationId) -> None:
    """Brings what was held, and what comes from now on."""
    from cli.api import api as connect

    with connect(run) as api:
        _show(run, api.json("POST", f"{path_of(PATH, destination_id)}/resume"))


@command(app, "delete", "waybill destinations delete dst_01JQ…")
def delete(run: Run, destination_id: DestinationId) -> None:
    """Deletes a destination; what waits for it is cancelled. Not while a schedule names it."""
    things.delete(run, PATH, destination_id)


def _config(run: Run, fields: list[str] | None, secrets: list[str] | None) -> dict[str, Any]:
    from cli.core.bodies import config_of
    from cli.errors import UsageError

    config = config_of(fields or [])
    if told := sorted(SECRET & {name for name, value in config.items() if value is not None}):
        raise UsageError(f"'{told[0]}' is a secret, which arguments show to everybody on this machine: --secret {told[0]} asks for it.")
    for each in secrets or []:
        name, _, source = each.partition("=")
        config[name] = _secret(name, source)
    return config


def _secret(name: str, source: str) -> str:
    """From a file, without the end of its last line, or from whoever sits there."""
    import sys
    from pathlib import Path

    from cli.errors import UsageError

    if not source:
        return str(typer.prompt(name, hide_input=True, err=True))
    try:
        text = sys.stdin.read() if source == "-" else Path(source).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"The secret '{name}' can't be read: {error}") from None
    return text if "\n" in text.rstrip("\r\n") else text.rstrip("\r\n")  # of a key in several lines nothing is taken away


def _state(destination: Row) -> str:
    paused = destination.get("paused")
    if paused:
        return f"paused ({paused.get('reason')})"
    return f"failing ({destination['failures']})" if destination.get("failures") else "active"


def _show(run: Run, destination: Row) -> None:
    run.out.one(destination, _fields)
    if destination.get("made"):
        run.out.hint("Secrets that were made here are shown only now.")


def _fields(destination: Row) -> list[tuple[str, object]]:
    paused, tested = destination.get("paused") or {}, destination.get("last_test") or {}
    config = [(name, value if isinstance(value, str) else _text(value)) for name, value in (destination.get("config") or {}).items()]
    return [
        ("id", destination.get("id")), ("name", destination.get("name")), ("type", destination.get("type")), ("place", destination.get("place")), *config,
        ("secrets", ", ".join(destination.get("secrets") or []) or None), ("state", _state(destination)), ("why", paused.get("message")),
        ("last test", tested and f"{'passed' if tested.get('ok') else tested.get('code')} at {tested.get('at')}"), *(destination.get("made") or {}).items(),
    ]  # fmt: skip


def _text(value: Any) -> str:
    import json

    return json.dumps(value, ensure_ascii=False)
