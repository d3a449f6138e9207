"""Bring the stack up and down, in order, waiting on conditions."""

import fcntl
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from deploy.local import gateway, kafka, postgres, s3, services, topics
from deploy.local.errors import StackError
from deploy.local.keeper import Keeper
from deploy.local.ports import Door, Ports, require_free, resolve
from deploy.local.processes import pid_of, remove_leftovers, stop_orphans
from deploy.local.program import Program
from deploy.local.progress import say, step
from deploy.local.state import ROOT, SERVICES, State, write_private
from deploy.migrations import migrate
from shared.brokers import Brokers

DEPENDENCIES = ("kafka", "postgres", "s3", "gateway")
# Stopped in this order: who needs others goes first.
STOP_ORDER: tuple[tuple[str, ...], ...] = ((*services.INSTANCES, *services.SPARES), ("gateway",), ("kafka", "s3"), ("postgres",))
READY_SECONDS = 120
DEATHS_MAX = 3  # a process that ended this often while we waited for it won't come
LOG_LINES = 15


@contextmanager
def _alone(state: State) -> Iterator[None]:
    """One command at a time in a state directory; the next one waits."""
    with open(state.run / "lock", "w") as lock:
        with step("waiting for another command on this stack"):
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _binary(name: str) -> Path:
    found = Path(sys.executable).parent / name
    if not found.exists():
        raise StackError(f"{found} is missing: run make up, which sets up .venv")
    return found


def _builders(state: State, ports: Ports, secrets: dict[str, str]) -> dict[str, Callable[[], Program]]:
    s3_keys = secrets["s3_access_key"], secrets["s3_secret_key"]
    python = Path(sys.executable)
    makers: dict[str, Callable[[], Program]] = {
        "kafka": lambda: kafka.program(state, ports),
        "postgres": lambda: postgres.program(state, ports, secrets["postgres_password"]),
        "s3": lambda: s3.program(state, ports, _binary("weed"), *s3_keys),
        "gateway": lambda: gateway.program(state, ports, _binary("caddy")),
    }
    return makers | {
        name: (lambda instance=name: services.program(state, ports, python, secrets, instance))
        for name in (*services.INSTANCES, *services.SPARES)
    }


def up(state: State, only: list[str], doors: Mapping[str, Mapping[str, Door]] | None = None) -> None:
    """Start what doesn't run (all, or the processes named), prepare database, topics and bucket, wait until everything is ready.

    `doors`: what stands between services and dependencies (ports.py); whoever asks for it has put it there.
    Raises StackError with the one line that says what is in the way.
    """
    ports = replace(resolve(os.environ), doors=doors or {})
    state.prepare()
    with _alone(state):
        secrets = state.load_secrets()
        keeper = Keeper(state)
        if not keeper.is_running():
            stop_orphans(state)
        names = only or [*DEPENDENCIES, *services.present()]
        spares = [] if only else services.spares()
        builders = _builders(state, ports, secrets)
        with ThreadPoolExecutor() as pool:
            programs = list(pool.map(lambda name: builders[name](), names))
            _hand_over(state, keeper, ports, [*programs, *pool.map(lambda name: builders[name](), spares)], keep_others=bool(only))
        _start(state, keeper, ports, [program for program in programs if program.name in DEPENDENCIES])
        _prepare(state, ports, secrets, names)
        if "export_request" in names:
            organisation_key(state, ports, "org_demo", "Demo", "api_key")
        write_private(state.env_file, environment_file(state, ports, state.load_secrets()))
        _start(state, keeper, ports, [program for program in programs if program.name not in DEPENDENCIES])


def _hand_over(state: State, keeper: Keeper, ports: Ports, programs: list[Program], *, keep_others: bool) -> None:
    """Give the supervisor what each process is started with, once the ports that are new to us are known to be free."""
    running = {name for name, word in keeper.states().items() if word == "RUNNING"}
    old = {path.stem: path.read_text("utf-8") for path in state.run.glob("*.json")}
    ours = {port for name in running for port in json.loads(old.get(name, '{"ports": []}'))["ports"]}
    require_free(ports, [name for program in programs for name in program.ports if ports[name] not in ours])
    new = {p.name: p.specification(state.pids / p.name, [ports[name] for name in p.ports]) for p in programs}
    for name in old.keys() - new.keys():
        if not keep_others:
            (state.run / f"{name}.json").unlink()
    for name, text in new.items():
        write_private(state.run / f"{name}.json", text)
    with step("restarting what has changed"):
        keeper.configure((old if keep_others else {}) | new)


def _start(state: State, keeper: Keeper, ports: Ports, programs: Iterable[Program]) -> None:
    programs = list(programs)
    for program in programs:
        keeper.start(program.name)
    for program in programs:
        with step(f"starting {program.name}"):
            _wait(state, keeper, ports, program)


def _tail(path: Path) -> str:
    try:
        return "\n".join(path.read_text("utf-8", errors="replace").splitlines()[-LOG_LINES:])
    except FileNotFoundError:
        return ""


def _wait(state: State, keeper: Keeper, ports: Ports, program: Program) -> None:
    """Wait until a process is ready. Raises StackError with its log's end when it keeps ending, or isn't ready in time."""
    deadline = time.monotonic() + READY_SECONDS
    log = state.log / f"{program.name}.log"
    pids: set[int | None] = set()
    while True:
        pids.add(pid_of(state, program.name))
        word = keeper.states().get(program.name)
        why = program.ready() if word == "RUNNING" or word == "STARTING" else f"it is {word}"
        if why is None:
            return
        if word == "FATAL" or len(pids) > DEATHS_MAX:
            require_free(ports, program.ports)  # the likeliest reason, best said by its name
            raise StackError(f"{program.name} keeps ending; its log, {log}, says why", _tail(log))
        if time.monotonic() > deadline:
            raise StackError(f"{program.name} is not ready after {READY_SECONDS} s: {why}; its log is {log}", _tail(log))
        time.sleep(0.1)


def _prepare(state: State, ports: Ports, secrets: dict[str, str], names: list[str]) -> None:
    """Database and roles, topics, bucket: all idempotent."""
    if "postgres" in names:
        with step("migrating the database"):
            postgres.create_database(ports, secrets["postgres_password"])
            passwords = {service: secrets[f"{service}_password"] for service in SERVICES}
            applied = migrate(postgres.url(ports, postgres.SUPERUSER, secrets["postgres_password"]), passwords)
        if applied:
            say(f"migrated the database: {', '.join(applied)}")
    if "kafka" in names:
        with step("making topics"):
            topics.apply(Brokers(ports.address("kafka")), say)
    if "s3" in names:
        with step("making the bucket"):
            s3.create_bucket(state, ports, secrets["s3_access_key"], secrets["s3_secret_key"])


def organisation_key(state: State, ports: Ports, org_id: str, name: str, kept_as: str) -> str:
    """An admin key of an organisation, which is made where it is missing; a key is shown once, so it is kept among our secrets.

    `kept_as` is its name there. Raises StackError with what the tool said when it can't be made.
    """
    known = state.load_secrets()
    if kept_as in known:
        return known[kept_as]
    command = [sys.executable, "-m", "services.export_request.bootstrap", "--org", org_id, "--name", name]
    environment = services.environment_of("export_request", ports, known, os.environ)
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
    try:
        key: str = json.loads(done.stdout.strip().splitlines()[-1])["api_key"]
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise StackError(f"the organisation {org_id} could not be made", (done.stdout + done.stderr).strip()) from error
    state.save_secret(kept_as, key)
    return key


def environment_file(state: State, ports: Ports, secrets: dict[str, str]) -> str:
    """waybill.env: where everything is, for any client, in shell syntax."""
    values = {
        "WAYBILL_URL": f"http://{ports.address('gateway')}",
        "WAYBILL_API_KEY": secrets.get("api_key", ""),
        "WAYBILL_OPERATOR_TOKEN": secrets["operator_token"],
        "WAYBILL_KAFKA": ports.address("kafka"),
        "WAYBILL_DATABASE_URL": postgres.url(ports, postgres.SUPERUSER, secrets["postgres_password"]),
        "WAYBILL_S3_ENDPOINT": f"http://{ports.address('s3')}",
        "WAYBILL_S3_ACCESS_KEY": secrets["s3_access_key"],
        "WAYBILL_S3_SECRET_KEY": secrets["s3_secret_key"],
        "WAYBILL_S3_BUCKET": s3.BUCKET,
        "WAYBILL_SFTP": ports.address("sftp"),
        "WAYBILL_PIDS": str(state.pids),
        **services.addresses(ports),
    }
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items())


def read_environment(text: str) -> dict[str, str]:
    """The variables of a text that `environment_file` has written."""
    return dict(shlex.split(line)[0].split("=", 1) for line in text.splitlines())


def start(state: State, names: list[str]) -> None:
    """Start processes that an earlier `up` has set up; returns when they run, ready or not."""
    keeper = Keeper(state)
    if not keeper.is_running():
        raise StackError("nothing runs; make up starts it")
    for name in names:
        keeper.start(name)


def stop(state: State, names: Iterable[str]) -> None:
    """Stop processes and wait until they have ended."""
    Keeper(state).stop(names)


def down(state: State) -> None:
    """Stop everything, in order; the data is kept. Nothing of ours runs when it returns."""
    if not state.run.exists():
        return
    with _alone(state):
        keeper = Keeper(state)
        for names in STOP_ORDER:
            with step(f"stopping {'the services' if names[0] in services.INSTANCES else ' and '.join(names)}"):
                keeper.stop(names)
        keeper.shutdown()
        while keeper.is_running():
            time.sleep(0.05)
        stop_orphans(state)
        remove_leftovers(state)
        for path in state.pids.iterdir():
            path.unlink()
