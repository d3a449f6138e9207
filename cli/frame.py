"""The frame of every command: the common flags, the settings, and errors as one line with an exit code."""

import contextlib
import functools
import inspect
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.errors import FAILED, INTERRUPTED, CliError
from cli.output import Output
from cli.settings import Settings, load

PANEL = "Common flags"


@dataclass(frozen=True)
class Run:
    """What a command gets: its settings, and its voice."""

    settings: Settings
    out: Output


COMMON: dict[str, Any] = {
    "json_": Annotated[bool, typer.Option("--json", help="One JSON document on stdout, for machines.", rich_help_panel=PANEL)],
    "url": Annotated[str | None, typer.Option("--url", metavar="URL", help="WAYBILL_URL, where the API is.", rich_help_panel=PANEL)],
    "api_key": Annotated[str | None, typer.Option("--api-key", metavar="KEY", help="WAYBILL_API_KEY.", rich_help_panel=PANEL)],
    "kafka": Annotated[str | None, typer.Option("--kafka", metavar="HOST:PORT", help="WAYBILL_KAFKA, the brokers.", rich_help_panel=PANEL)],
    "database_url": Annotated[
        str | None, typer.Option("--database-url", metavar="URL", help="WAYBILL_DATABASE_URL.", rich_help_panel=PANEL)
    ],
    "env_file": Annotated[
        Path | None,
        typer.Option("--env-file", metavar="FILE", help="Settings in shell syntax (default: .local/waybill.env).", rich_help_panel=PANEL),
    ],
}
FLAG_OF = {
    "url": "WAYBILL_URL",
    "api_key": "WAYBILL_API_KEY",  # pragma: allowlist secret
    "kafka": "WAYBILL_KAFKA",
    "database_url": "WAYBILL_DATABASE_URL",
}


def group(help_text: str) -> typer.Typer:
    """A command group that shows its help when called bare."""
    return typer.Typer(help=help_text, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)


def command(app: typer.Typer, name: str, example: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Registers a function `(run: Run, …flags) -> None` as a command with the common flags.

    `example` is shown at the end of --help. A CliError becomes its line and its exit code; Ctrl-C ends with 130.
    """

    def register(function: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(function)
        def wrapper(**given: Any) -> None:
            common = {key: given.pop(key) for key in COMMON}
            out = Output(bool(common["json_"]))
            with _errors_as_lines(out):
                settings = load({FLAG_OF[key]: common[key] for key in FLAG_OF}, common["env_file"])
                function(Run(settings, out), **given)

        _with_common_flags(wrapper, function)
        app.command(name, epilog=f"Example: {example}")(wrapper)
        return function

    return register


def _with_common_flags(wrapper: Any, function: Callable[..., None]) -> None:
    own = [p for key, p in inspect.signature(function).parameters.items() if key != "run"]
    own = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own]
    defaults: dict[str, Any] = dict.fromkeys(COMMON) | {"json_": False}
    common = [inspect.Parameter(k, inspect.Parameter.KEYWORD_ONLY, annotation=a, default=defaults[k]) for k, a in COMMON.items()]
    wrapper.__signature__ = inspect.Signature([*own, *common])
    wrapper.__annotations__ = {p.name: p.annotation for p in [*own, *common]}
    del wrapper.__wrapped__


@contextlib.contextmanager
def _errors_as_lines(out: Output) -> Any:
    try:
        yield
    except CliError as error:
        out.error(error.code, str(error), error.details)
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt:
        out.error("interrupted", "Interrupted.")
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:
        # The reader (`| head`) has enough: not an error of ours; stdout must not be flushed again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(FAILED) from None
    except OSError as error:
        out.error("io_error", f"{error.filename or 'File'}: {error.strerror or error}.")
        raise typer.Exit(FAILED) from None
