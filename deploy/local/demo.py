"""`make demo`: a sample organisation, its records by both ways in, exports by both ways out, a webhook that tells. Leaves the stack up.

Run again, it loads nothing twice and asks for new exports.
"""

import asyncio
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from deploy import choice
from deploy.compose import lifecycle as compose
from deploy.local import demo_kafka, lifecycle
from deploy.local.demo_webhook import MODULE, ON_THIS_MACHINE, Subscriber, subscriber
from deploy.local.errors import StackError
from deploy.local.ports import resolve
from deploy.local.progress import say, step
from deploy.local.state import ROOT, State, write_private

ORG = "org_sample"
CONVERSATIONS = 20_000
SEED = 1
WAIT_SECONDS = 300
WEBHOOK_SECONDS = 60

OVER_HTTP: tuple[dict[str, Any], ...] = (
    {"dataset": "messages", "formats": ["csv", "jsonl"], "timezone": "Europe/Brussels", "from": "2026-01-01", "to": "2026-07-01"},
    {"dataset": "conversations", "formats": ["json", "txt"], "from": "2026-03-01", "to": "2026-04-01", "compression": "gzip"},
)
OVER_KAFKA: dict[str, Any] = {"dataset": "leads", "formats": ["csv"], "filter": {"status": ["qualified"]}}


@dataclass(frozen=True)
class Made:
    """An export that has been run to its end and brought home."""

    way: str
    export: Mapping[str, Any]
    seconds: float


class Client:
    """The `waybill` command, as the sample organisation."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("WAYBILL_")}
        self.environment = {**kept, **environment}

    def run(self, *arguments: str, stdin: str | None = None) -> dict[str, Any]:
        """The JSON that the command prints. Raises StackError with what it said when it fails."""
        command = [str(Path(sys.executable).parent / "waybill"), *arguments, "--json"]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, env=self.environment, cwd=ROOT)
        if done.returncode:
            raise StackError(f"waybill {' '.join(arguments[:2])} failed", (done.stdout + done.stderr).strip()[-2000:])
        document: dict[str, Any] = json.loads(done.stdout)
        return document


def halves(path: Path) -> tuple[Path, Path]:
    """Cut a file of lines at the line nearest to its middle."""
    first, second = path.with_suffix(".1.ndjson"), path.with_suffix(".2.ndjson")
    with open(path, "rb") as whole:
        whole.seek(path.stat().st_size // 2)
        whole.readline()
        middle = whole.tell()
        second.write_bytes(whole.read())
        whole.seek(0)
        first.write_bytes(whole.read(middle))
    return first, second


def load(client: Client, home: Path, kafka: str) -> None:
    """The sample's records: one half over HTTP, one over Kafka, and the wait until they are all taken."""
    if (home / "loaded").exists():
        say(f"the records of {ORG} are there from an earlier demo")
        return
    records = home / "records.ndjson"
    with step(f"making {CONVERSATIONS} conversations"):
        made = client.run("sample", "--conversations", str(CONVERSATIONS), "--seed", str(SEED), "--org", ORG, "--out", str(records))
    first, second = halves(records)
    with step("sending one half over Kafka"):
        client.run("records", "send", str(second), "--via", "kafka", "--org", ORG)
    with step("sending the other half over HTTP"):
        client.run("records", "send", str(first), "--via", "http")
    with step("waiting until all records are taken"):
        asyncio.run(demo_kafka.wait_for_ingest(kafka, WAIT_SECONDS))
    for path in (first, second):
        path.unlink()
    (home / "loaded").touch()
    say(f"loaded {made['records']} records: {made['conversations']} conversations with {made['messages']} messages ({records})")


def over_http(client: Client, body: dict[str, Any], folder: Path) -> Made:
    started = time.monotonic()
    with step(f"exporting {body['dataset']} over HTTP"):
        export = client.run("exports", "create", "--body", "-", "--download", str(folder), stdin=json.dumps(body))
    return Made("HTTP", export, time.monotonic() - started)


def over_kafka(client: Client, body: dict[str, Any], kafka: str, folder: Path) -> Made:
    request = body | {"org_id": ORG, "request_id": f"demo-{secrets.token_hex(6)}", "requested_by": "make demo"}
    started = time.monotonic()
    with step(f"exporting {body['dataset']} over Kafka"):
        ended = asyncio.run(demo_kafka.ask(kafka, request, WAIT_SECONDS))
        export = client.run("exports", "download", ended["id"], "--out", str(folder))
    return Made("Kafka", export, time.monotonic() - started)


def verify(client: Client, folder: Path) -> list[dict[str, Any]]:
    """Check every file of the folder against its signed manifest, offline; raises StackError with what is wrong."""
    with step("verifying the manifests"):
        manifests: list[dict[str, Any]] = client.run("verify", str(folder), "--allow-extra")["manifests"]
    return manifests


def heard(listener: Subscriber, made: Made, secret: str) -> None:
    """The webhook that tells of an export's end, verified."""
    with step("waiting for the webhook"):
        webhook_id, payload = listener.verified(secret, made.export["id"], WEBHOOK_SECONDS)
    say(
        f"webhook    {payload['type']} of {payload['data']['id']} came as {webhook_id}, its signature verified by the library standardwebhooks"
    )


def run_exports(client: Client, kafka: str, folder: Path) -> list[Made]:
    made = [over_http(client, body, folder) for body in OVER_HTTP]
    made.append(over_kafka(client, OVER_KAFKA, kafka, folder))
    return made


def receiver_of(state: State) -> Sequence[str]:
    """The command that starts a receiver of webhooks where delivery reaches it: on loopback, which in containers is delivery's container's own."""
    if choice.kept(state.directory) == choice.DOCKER:
        return compose.project(state).beside("delivery", "python", "-m", MODULE)
    return ON_THIS_MACHINE


def run_and_hear(client: Client, kafka: str, folder: Path, receiver: Sequence[str]) -> list[Made]:
    """The exports, while a subscriber listens."""
    with subscriber(receiver) as listener:
        endpoint = client.run("webhooks", "create", listener.url, "--event", "export.completed", "--description", "make demo")
        try:
            made = run_exports(client, kafka, folder)
            heard(listener, made[0], endpoint["secret"])
        finally:
            client.run("webhooks", "delete", endpoint["id"])
    return made


def show(made: list[Made], verified: list[dict[str, Any]], folder: Path, state: State, url: str) -> None:
    """What was made and where to look."""
    table = Table(title="Exports of the sample organisation", title_justify="left")
    for heading in ("asked over", "dataset", "format"):
        table.add_column(heading)
    for heading in ("rows", "bytes", "seconds to disk"):
        table.add_column(heading, justify="right")
    for one in made:
        for number, file in enumerate(one.export["files"]):
            asked, seconds = ((one.way, one.export["dataset"]), f"{one.seconds:.1f}") if not number else (("", ""), "")
            table.add_row(*asked, file["format"], f"{file['rows']:,}", f"{file['bytes']:,}", seconds)
    Console().print(table)
    for one in made:
        for file in one.export["files"]:
            say(f"file       {folder / file['name']}")
    ids = {one.export["id"] for one in made}
    for manifest in verified:
        if manifest["export_id"] in ids:
            say(f"verified   {folder / manifest['manifest']} (signed with {manifest['signature']['key_id']}; every file is what it says)")
    say(f"API        {url}")
    say(f"settings   {state.env_file}  (organisation org_demo), {state.directory / 'sample' / 'waybill.env'}  (organisation {ORG})")
    say(f"logs       {'docker compose logs' if choice.kept(state.directory) == choice.DOCKER else state.log}")
    say(f"try        .venv/bin/waybill exports list --env-file {state.directory / 'sample' / 'waybill.env'}")
    say("The stack stays up: make down stops it and keeps the data, make clean wipes it.")


def demo(state: State) -> None:
    """Everything, in order. Raises StackError with the one line that says what went wrong."""
    ports = resolve(os.environ)
    home = state.directory / "sample"
    home.mkdir(mode=0o700, exist_ok=True)
    key = lifecycle.organisation_key(state, ports, ORG, "Sample", "sample_api_key")
    text = lifecycle.environment_file(state, ports, state.load_secrets() | {"api_key": key})
    write_private(home / "waybill.env", text)
    client = Client(lifecycle.read_environment(text))
    kafka = ports.address("kafka")
    load(client, home, kafka)
    folder = home / "exports"
    made = run_and_hear(client, kafka, folder, receiver_of(state))
    show(made, verify(client, folder), folder, state, f"http://{ports.address('gateway')}")


def main() -> None:
    try:
        demo(State(choice.directory_of(os.environ)))
    except StackError as error:
        if error.log:
            print(error.log, file=sys.stderr)
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted; the stack stays up, make down stops it")


if __name__ == "__main__":
    main()
