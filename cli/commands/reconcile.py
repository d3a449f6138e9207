"""`waybill reconcile`: whether the store holds what the tables say."""

from typing import Annotated, Any

import typer

from cli.commands.orgs import OperatorToken, as_operator
from cli.errors import FAILED, CliError
from cli.frame import Run, command

PATH = "/v1/operator/reconciliations"
KINDS = ("matched", "under_way", "missing", "wrong_size", "orphan_files", "orphan_parts", "foreign")
POLL_SECONDS = 1.0


def reconcile(
    run: Run,
    repair: Annotated[
        bool, typer.Option("--repair", help="Removes what belongs to nobody and isn't young, and ends abandoned uploads.")
    ] = False,
    operator_token: OperatorToken = None,
) -> None:
    """Compares the store with the tables and counts both (needs WAYBILL_OPERATOR_TOKEN). Exit code 1 where they don't agree."""
    import time

    from cli.api import operator_api

    with operator_api(as_operator(run, operator_token)) as api:
        asked = api.json("POST", PATH, json={"repair": repair})
        while asked["ended_at"] is None:
            time.sleep(POLL_SECONDS)
            asked = api.json("GET", f"{PATH}/{asked['id']}")
    if asked["error"]:
        raise CliError(asked["error"], "reconciliation_failed")
    report = asked["report"]
    if run.out.json_mode:
        run.out.document(asked)
    else:
        _show(run, report)
    if not report["agree"]:
        raise typer.Exit(FAILED)


def _show(run: Run, report: dict[str, Any]) -> None:
    rows = [[name, report[name]["objects"], report[name]["bytes"]] for name in ("store", "tables")]
    rows += [[f"  {kind.replace('_', ' ')}", report[kind]["objects"], report[kind]["bytes"]] for kind in KINDS]
    rows += [["abandoned uploads", report["abandoned_uploads"], None]]
    if report["removed"]["objects"]:
        rows.append(["removed", report["removed"]["objects"], report["removed"]["bytes"]])
    run.out.table(["what", "objects", "bytes"], rows, "")
    named = [[kind, key] for kind, keys in sorted(report["examples"].items()) for key in keys]
    if named:
        run.out.table(["kind", "for example"], named, "")
    run.out.note("Store and tables agree." if report["agree"] else "Store and tables do not agree: docs/retention.md says what to do.")


def register(app: typer.Typer) -> None:
    command(app, "reconcile", "waybill reconcile --repair")(reconcile)
