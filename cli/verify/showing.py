"""What people and machines see of a check."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from cli.core.problems import Problem
from cli.output import Output, printable
from cli.verify.folder import Checked, OnBytes
from cli.verify.keys import BESIDE, Trusted


@contextmanager
def bar(out: Output, total: int) -> Iterator[OnBytes]:
    """A bar over the bytes of all files."""
    columns: list[Any] = []
    if not out.json_mode:
        from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn

        columns = [TextColumn("verify"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()]
    with out.progress(*columns) as shown:
        task = shown.add_task("verify", total=total) if shown else None

        def on_bytes(count: int) -> None:
            if shown and task is not None:
                shown.advance(task, count)

        yield on_bytes


def show(out: Output, checked: Sequence[Checked], extra: Sequence[Problem], trust: Trusted) -> bool:
    """Whether anything is wrong."""
    problems = [problem for each in checked for problem in each.problems] + list(extra)
    if out.json_mode:
        out.document({"ok": not problems, "manifests": [_manifest(each) for each in checked], "extra": [p.file for p in extra]})
        return bool(problems)
    rows = [[claim.name, claim.rows, claim.bytes, _verdict(each, claim.name)] for each in checked for claim in each.claims]
    out.table(["file", "rows", "bytes", "is"], rows, "The manifests name no file.")
    for each in checked:
        export = printable(each.document.get("export_id") or each.path.name)
        again = (
            f", byte for byte the same as {printable(each.document['reproduces'])}"
            if each.document.get("reproduces") and each.signed_by
            else ""
        )
        print(f"{export}: signed with the key {each.signed_by}{again}" if each.signed_by else f"{export}: the signature is not good")
    if not trust.chosen and trust.source == BESIDE:
        out.note(
            "The keys came with the files: that nothing has changed since the download is shown, who signed is not. --pin or --keys shows that too."
        )
    for problem in problems:
        print(f"✗ {printable(problem.message)}")
    out.note(f"waybill: {len(problems)} problem{'s' if len(problems) > 1 else ''} found." if problems else "All is as the manifest says.")
    return bool(problems)


def _verdict(checked: Checked, name: str) -> str:
    codes = {problem.code for problem in checked.problems if problem.file == name}
    if not codes:
        return "whole" if checked.signed_by else "as the unproven manifest says"
    return "missing" if codes == {"file_missing"} else "wrong"


def _manifest(checked: Checked) -> dict[str, Any]:
    signature = checked.document.get("signature")
    named = signature.get("key_id") if isinstance(signature, dict) else None
    return {
        "manifest": checked.path.name,
        "export_id": checked.document.get("export_id"),
        "reproduces": checked.document.get("reproduces"),
        "signature": {"ok": checked.signed_by is not None, "key_id": named, "keys": checked.keys},
        "files": [
            {"name": c.name, "rows": c.rows, "bytes": c.bytes, "sha256": c.sha256, "ok": all(p.file != c.name for p in checked.problems)}
            for c in checked.claims
        ],
        "problems": [problem.shown() for problem in checked.problems],
    }  # fmt: skip
