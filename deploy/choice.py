"""Docker or the local stack: which of the two `make` works with. Only the standard library: asked before .venv is there."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from deploy.compose import engine
from deploy.local.errors import StackError

DOCKER, LOCAL = "docker", "local"
ROOT = Path(__file__).resolve().parent.parent


def directory_of(environment: Mapping[str, str]) -> Path:
    """The state directory: WAYBILL_STATE, else .local."""
    return Path(environment.get("WAYBILL_STATE") or ROOT / ".local").resolve()


def kept(directory: Path) -> str | None:
    """What the state directory's data belongs to; None where there is none."""
    mark = directory / "stack"
    if mark.exists():
        return mark.read_text("ascii").strip()
    return LOCAL if (directory / "secrets.json").exists() else None


def choose(environment: Mapping[str, str], directory: Path, answers: Callable[[], bool] = engine.answers) -> str:
    """What the state directory's data belongs to; where it has none WAYBILL_STACK, else Docker where an engine answers.

    Raises StackError for a WAYBILL_STACK that is neither, or that is not what the data belongs to.
    """
    wanted = environment.get("WAYBILL_STACK", "")
    if wanted not in ("", DOCKER, LOCAL):
        raise StackError(f"WAYBILL_STACK={wanted!r} is neither {DOCKER} nor {LOCAL}")
    before = kept(directory)
    if before and wanted and wanted != before:
        raise StackError(
            f"{directory} holds the data of the {before} stack, and WAYBILL_STACK={wanted}: make clean wipes it, WAYBILL_STATE=DIR is another place"
        )
    return before or wanted or (DOCKER if answers() else LOCAL)


def keep(directory: Path, stack: str) -> None:
    """Note what the state directory's data belongs to."""
    directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    (directory / "stack").write_text(f"{stack}\n", "ascii")


def chosen() -> str:
    """The choice for this process's environment."""
    return choose(os.environ, directory_of(os.environ))
