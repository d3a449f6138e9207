"""`waybill doctor`: what is wrong, and what to do."""

import typer

from cli.errors import FAILED
from cli.frame import Run, command

SIGNS = {"ok": "✓", "note": "!", "wrong": "✗"}


def doctor(run: Run) -> None:
    """Looks at everything Waybill stands on and says what is wrong and what to do. Exit code 1 when something is."""
    import asyncio
    from dataclasses import asdict

    from cli.core.findings import Verdict
    from cli.doctor.examine import examine

    found = asyncio.run(examine(run.settings))
    wrong = sum(each.verdict is Verdict.wrong for each in found)
    if run.out.json_mode:
        run.out.document({"ok": wrong == 0, "checks": [asdict(each) for each in found]})
    else:
        run.out.table(["", "what", "says", "what to do"], [[SIGNS[each.verdict], each.name, each.says, each.advice] for each in found])
        run.out.note(f"{wrong} of {len(found)} checks found something wrong." if wrong else "All is well.")
    if wrong:
        raise typer.Exit(FAILED)


def register(app: typer.Typer) -> None:
    command(app, "doctor", "waybill doctor")(doctor)
