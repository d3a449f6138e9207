"""`waybill audit`: who did what, and whether the trail of it is whole."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cli.commands.orgs import as_operator
from cli.errors import FAILED, UsageError
from cli.frame import Run, command, group
from cli.output import Columns

app = group("The audit trail: list, export, verify (needs the scope audit:read).")
ByOperator = Annotated[bool, typer.Option("--operator", help="The operator's own trail (needs WAYBILL_OPERATOR_TOKEN).")]


@command(app, "list", "waybill audit list --action export --from 2026-03-01 --all")
def list_(
    run: Run,
    action: Annotated[str | None, typer.Option("--action", help="Whole (export.requested), or what is before its dot (export).")] = None,
    actor: Annotated[str | None, typer.Option("--actor", help="Who: key:<id>, operator:<name>, …")] = None,
    subject: Annotated[str | None, typer.Option("--subject", help="An id: of an export, a key, …")] = None,
    from_: Annotated[str | None, typer.Option("--from", metavar="TIME", help="First day or instant (UTC), inclusive.")] = None,
    to: Annotated[str | None, typer.Option("--to", metavar="TIME", help="End, exclusive.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Entries a page.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Follows the pages to the end.")] = False,
    operator: ByOperator = False,
) -> None:
    """Lists the trail, newest first."""
    from cli.paging import rows

    given = {"action": action, "actor": actor, "subject": subject, "from": from_, "to": to, "limit": limit}
    params = [(name, str(value)) for name, value in given.items() if value is not None]
    with _api(run, operator) as (api, root):
        found = rows(api, root, params, to_the_end=all_)
    columns: Columns = {
        "entry": lambda e: str(e["seq"]),
        "at": "at",
        "who": "actor",
        "did": "action",
        "to": "subject",
        "from": "address",
        "why": "purpose",
    }
    run.out.listed(found, columns, "Nothing was done that fits.")


@command(app, "export", "waybill audit export --out audit.ndjson")
def export(
    run: Run,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Default: stdout.")] = None,
    after: Annotated[
        int, typer.Option("--after", metavar="ENTRY", min=0, help="Begins behind this entry: what is new since the last time.")
    ] = 0,
    operator: ByOperator = False,
) -> None:
    """Takes the whole trail home as NDJSON: entries, then the signed checkpoints; the public keys beside it."""
    import json
    import os
    import sys
    from contextlib import nullcontext

    from cli.audit.reading import checkpoints_of, lines_of
    from cli.exports.manifest import save_keys
    from shared.signing import KEYS_FILE

    partial = out.with_name(f".{out.name}.waybill-part") if out else None
    count = 0
    with _api(run, operator) as (api, root):
        checkpoints = [c for c in checkpoints_of(api, root) if c["seq"] > after]  # first: entries only get more
        with partial.open("w", encoding="utf-8") if partial else nullcontext(sys.stdout) as sink:
            for line in lines_of(api, root, after):
                sink.write(line + "\n")
                count += 1
            for checkpoint in checkpoints:
                sink.write(json.dumps(checkpoint, ensure_ascii=False, separators=(",", ":")) + "\n")
        if partial and out:
            os.replace(partial, out)
            save_keys(api, out.parent / KEYS_FILE)
    run.out.note(f"{count:,} entries and {len(checkpoints):,} checkpoints.")


@command(app, "verify", "waybill audit verify audit.ndjson --kept last-months-audit.ndjson")
def verify(
    run: Run,
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="What `audit export` wrote. Default: what the API answers now.")
    ] = None,
    kept: Annotated[
        list[Path] | None,
        typer.Option("--kept", metavar="FILE", help="An earlier export: the chain must still hold what its checkpoints say."),
    ] = None,
    keys: Annotated[
        Path | None, typer.Option("--keys", metavar="FILE", help="Public keys (JWK set or PEM). Default: those beside FILE, or the API's.")
    ] = None,
    pin: Annotated[
        list[str] | None, typer.Option("--pin", metavar="KEY_ID", help="Only this key's signature counts; may be repeated.")
    ] = None,
    partial: Annotated[bool, typer.Option("--partial", help="FILE need not begin with the first entry.")] = False,
    operator: ByOperator = False,
) -> None:
    """Finds entries that were changed, removed, moved or cut off. Exit code 1 where there is one."""
    from cli.audit.reading import checkpoints_of, decoded, is_checkpoint, lines_of, read_file
    from cli.audit.showing import show
    from cli.core.audit import Verification
    from cli.exports.manifest import published_keys
    from cli.verify.keys import Trusted, read, trusted

    pins = [p.strip() for p in pin or (run.settings.get("WAYBILL_SIGNING_PINS") or "").split(",") if p.strip()]
    known = [each for path in kept or [] for each in read_file(path) if is_checkpoint(each)]
    if file is not None:
        trust = trusted(file.parent, keys, pins)
        verification = Verification([*known, *filter(is_checkpoint, read_file(file))], trust.keys, partial)
        for each in read_file(file):
            if not is_checkpoint(each):
                verification.take(each)
    else:
        if partial:
            raise UsageError("--partial goes with a FILE: the API has the whole chain.")
        with _api(run, operator) as (api, root):
            chosen = read(keys, "--keys") if keys else published_keys(api)
            trust = Trusted({k: v for k, v in chosen.items() if not pins or k in pins}, str(keys or "the API"), bool(keys or pins))
            verification = Verification([*known, *checkpoints_of(api, root)], trust.keys, False)
            for line in lines_of(api, root, 0):
                verification.take(decoded(line))
    verification.end()
    if show(run.out, verification, trust):
        raise typer.Exit(FAILED)


def _api(run: Run, operator: bool) -> Any:
    from contextlib import contextmanager

    from cli.api import api, operator_api
    from cli.audit.reading import OPERATORS, ORGANISATIONS

    @contextmanager
    def opened() -> Any:
        with operator_api(as_operator(run, None)) if operator else api(run) as connected:
            yield connected, OPERATORS if operator else ORGANISATIONS

    return opened()
