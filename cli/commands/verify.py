"""`waybill verify`: are these files what their manifest says, and is the manifest ours?"""

from pathlib import Path
from typing import Annotated

import typer

from cli.errors import FAILED
from cli.frame import Run, command

PINS_SETTING = "WAYBILL_SIGNING_PINS"
KEYS_SETTING = "WAYBILL_SIGNING_KEYS"


def verify(
    run: Run,
    target: Annotated[Path, typer.Argument(metavar="DIR", help="The folder with the files and their manifests, or one manifest.")],
    keys: Annotated[
        Path | None,
        typer.Option("--keys", metavar="FILE", help=f"Public keys (JWK set or PEM); {KEYS_SETTING}. Default: those beside the manifest."),
    ] = None,
    pin: Annotated[
        list[str] | None,
        typer.Option("--pin", metavar="KEY_ID", help=f"Only this key's signature counts; may be repeated. {PINS_SETTING}."),
    ] = None,
    allow_extra: Annotated[bool, typer.Option("--allow-extra", help="Files that no manifest names are no problem.")] = False,
) -> None:
    """Checks files against their signed manifest, offline. Exit code 1 where anything is wrong."""
    from cli.verify.folder import check_files, extra_in, manifests_in, open_manifest
    from cli.verify.keys import trusted
    from cli.verify.showing import bar, show

    configured = run.settings.get(KEYS_SETTING)
    pins = [p.strip() for p in pin or (run.settings.get(PINS_SETTING) or "").split(",") if p.strip()]
    paths = manifests_in(target)
    trust = trusted(paths[0].parent, keys or (Path(configured) if configured else None), pins)
    checked = [open_manifest(path, trust) for path in paths]
    with bar(run.out, sum(claim.bytes for each in checked for claim in each.claims)) as on_bytes:
        for each in checked:
            check_files(each, on_bytes)
    extra = [] if target.is_file() or allow_extra else extra_in(target, checked)
    if show(run.out, checked, extra, trust):
        raise typer.Exit(FAILED)


def register(app: typer.Typer) -> None:
    command(app, "verify", "waybill verify exports/ --pin UCHobUMg_EmdnrjVCRoK7XHKK31i0czSvGB3k-YywQY")(verify)
