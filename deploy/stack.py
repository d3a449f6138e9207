"""The stack as a command, in containers or not: `python -m deploy.stack up|down|clean|status|start|stop|restart`.

Takes Docker where an engine answers and the local stack otherwise (choice.py); WAYBILL_STACK=docker|local says which. What is up stays what it
is: the other commands act on it.
"""

import argparse
import os
import shutil
import sys
from pathlib import Path

from deploy import choice
from deploy.compose import lifecycle
from deploy.local import stack as local
from deploy.local.errors import StackError
from deploy.local.progress import say
from deploy.local.state import State

COMMANDS = ("up", "down", "clean", "status", "start", "stop", "restart")


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="stack", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("names", nargs="*", help="for start, stop and restart: which services")
    parser.add_argument("--only", default="", help="for up of the local stack: these processes alone, separated by commas")
    parser.add_argument("--state", type=Path, default=choice.directory_of(os.environ), help="the state directory")
    parser.add_argument("--quiet", action="store_true", help="no closing lines")
    return parser.parse_args(arguments)


def up(state: State, stack: str, only: list[str] | None = None) -> None:
    """Bring up the stack that was chosen; `only` names processes of the local one."""
    if stack == choice.DOCKER and only:
        raise StackError("--only is for the local stack: set WAYBILL_STACK=local")
    state.prepare()
    state.load_secrets()
    choice.keep(state.directory, stack)
    if stack == choice.DOCKER:
        lifecycle.up(state)
    else:
        local.lifecycle.up(state, local.checked(only or []))


def down(state: State) -> None:
    """Stop whichever stack the state directory belongs to; the data is kept."""
    match choice.kept(state.directory):
        case choice.DOCKER:
            lifecycle.down(state)
        case choice.LOCAL:
            local.lifecycle.down(state)


def leave(state: State) -> None:
    """Stop a stack for tests: what it left is for reading (logs), so volumes, which nobody reads, go at once."""
    if choice.kept(state.directory) == choice.DOCKER:
        lifecycle.wipe(state)
    else:
        down(state)


def clean(state: State) -> None:
    """Stop, and wipe all that the stack wrote."""
    if choice.kept(state.directory) == choice.DOCKER:
        lifecycle.wipe(state)
        shutil.rmtree(state.directory)
    else:
        (state.directory / "stack").unlink(missing_ok=True)
        local.clean(state)


def _run(state: State, stack: str, options: argparse.Namespace) -> str:
    """Do what is asked; the closing line."""
    match options.command:
        case "up":
            up(state, stack, [name for name in options.only.split(",") if name])
            return f"Waybill is up{' in containers' if stack == choice.DOCKER else ''}; {state.env_file} says where" + (
                f", logs are in {state.log}" if stack == choice.LOCAL else ""
            )
        case "down":
            down(state)
            return "everything is stopped; the data is kept"
        case "clean":
            clean(state)
            return f"{state.directory} is wiped"
        case "status" if stack == choice.DOCKER:
            lifecycle.status(state)
        case command if stack == choice.DOCKER:
            lifecycle.act(state, command, options.names)
        case _:
            local.run(sys.argv[1:])
    return ""


def main() -> None:
    try:
        options = _parse(sys.argv[1:])
        state = State(options.state.resolve())
        line = _run(state, choice.choose(os.environ, state.directory), options)
        if line and not options.quiet:
            say(line)
    except StackError as error:
        if error.log:
            print(error.log, file=sys.stderr)
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted; make down stops what runs")


if __name__ == "__main__":
    main()
