"""The local stack as a command: `python -m deploy.local.stack up|down|clean|status|start|stop|restart`.

Runs in .venv (`make up` makes it). `--state DIR` keeps all of it in another directory, so that several stacks live side by side; the ports
are moved by environment variables (ports.py).
"""

import argparse
import os
import shutil
import sys
from pathlib import Path

from deploy.local import lifecycle
from deploy.local.errors import StackError
from deploy.local.keeper import Keeper
from deploy.local.postgres import home
from deploy.local.processes import pid_of
from deploy.local.progress import say
from deploy.local.services import INSTANCES, SPARES
from deploy.local.state import ROOT, State


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="stack", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("command", choices=["up", "down", "clean", "status", "start", "stop", "restart"])
    parser.add_argument("names", nargs="*", help="for start, stop and restart: which processes")
    parser.add_argument(
        "--only", default="", help="for up: these processes alone, separated by commas, for example kafka,postgres,s3,gateway"
    )
    parser.add_argument("--state", type=Path, default=Path(os.environ.get("WAYBILL_STATE") or ROOT / ".local"), help="the state directory")
    parser.add_argument("--quiet", action="store_true", help="no closing lines")
    return parser.parse_args(arguments)


def checked(names: list[str]) -> list[str]:
    """The names, all of which are processes; raises StackError for the first that isn't."""
    known = [*lifecycle.DEPENDENCIES, *INSTANCES, *SPARES]
    for name in names:
        if name not in known:
            raise StackError(f"there is no process {name!r}; there are {', '.join(known)}")
    return names


def _status(state: State) -> None:
    states = Keeper(state).states()
    if not states:
        say("nothing runs; make up starts it")
    for name, word in sorted(states.items()):
        say(f"{name:15} {word:10} pid {pid_of(state, name) or '-'}")


def clean(state: State) -> None:
    """Stop, and wipe all that the stack wrote."""
    lifecycle.down(state)
    if not state.directory.exists():
        return
    if not (state.directory / "secrets.json").exists():
        raise StackError(f"{state.directory} is not a state directory of the stack: not wiped")
    shutil.rmtree(home(state), ignore_errors=True)
    shutil.rmtree(state.directory)


def _restart(state: State, names: list[str]) -> None:
    lifecycle.stop(state, names)
    lifecycle.start(state, names)


def run(arguments: list[str]) -> None:
    options = _parse(arguments)
    state = State(options.state.resolve())
    names = checked(options.names)
    match options.command:
        case "up":
            lifecycle.up(state, checked([name for name in options.only.split(",") if name]))
            if not options.quiet:
                say(f"Waybill is up; {state.env_file} says where, logs are in {state.log}")
        case "down":
            lifecycle.down(state)
            if not options.quiet:
                say("everything is stopped; the data is kept")
        case "clean":
            clean(state)
            if not options.quiet:
                say(f"{state.directory} is wiped")
        case "status":
            _status(state)
        case "start":
            lifecycle.start(state, names)
        case "stop":
            lifecycle.stop(state, names)
        case "restart":
            _restart(state, names)


def main() -> None:
    try:
        run(sys.argv[1:])
    except StackError as error:
        if error.log:
            print(error.log, file=sys.stderr)
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted; make down stops what runs")


if __name__ == "__main__":
    main()
