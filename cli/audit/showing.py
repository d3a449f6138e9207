"""What people and machines see of a check of the audit trail."""

from cli.core.audit import Verification
from cli.output import Output, printable
from cli.verify.keys import Trusted
from shared.audit_chain import Break

SHOWN_MAX = 100


def show(out: Output, verification: Verification, trust: Trusted) -> bool:
    """Whether anything is wrong."""
    breaks, last, head = verification.breaks, verification.last_checkpoint, verification.head
    if out.json_mode:
        out.document({
            "ok": not breaks, "org_id": verification.org_id, "entries": verification.entries, "head": {"seq": head.seq, "hash": head.hash},
            "checkpoints": {"count": verification.checkpoints, "signed_by": sorted(verification.signed_by), "last": last},
            "problems": [{"code": b.code, "entry": b.seq, "message": b.message} for b in breaks],
        })  # fmt: skip
        return bool(breaks)
    whose = "the operator" if verification.org_id is None and verification.entries else printable(verification.org_id or "nobody")
    print(f"{verification.entries:,} entries of {whose}; the last is {head.seq} {head.hash}")
    if last is not None:
        by = f"signed with {', '.join(sorted(verification.signed_by))}" if verification.signed_by else "NOT checked: no key is at hand"
        behind = max(0, head.seq - last["seq"])
        print(
            f"{verification.checkpoints:,} checkpoints, {by}; the last at entry {last['seq']} of {printable(last.get('at'))}, {behind:,} entries behind it"
        )
    else:
        out.note("No checkpoint: whether entries are missing from the end can't be seen.")
    if trust.keys and not trust.chosen:
        out.note("Whose keys these are isn't shown by them: --pin or --keys says whose count.")
    for each in breaks[:SHOWN_MAX]:
        print(f"✗ {_told(each)}")
    if len(breaks) > SHOWN_MAX:
        print(f"✗ … and {len(breaks) - SHOWN_MAX:,} more")
    out.note(f"waybill: {len(breaks):,} problem{'s' if len(breaks) > 1 else ''} found." if breaks else "The chain is whole.")
    return bool(breaks)


def _told(each: Break) -> str:
    return printable(f"{each.code}: {each.message}" if each.seq is None else f"entry {each.seq} {each.code}: {each.message}")
