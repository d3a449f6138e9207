"""`waybill mail`: what comes back, handed in by the operator's mail server."""

import sys

from cli.commands.orgs import OperatorToken, as_operator
from cli.frame import Run, command, group

app = group("Mail that comes back (needs WAYBILL_OPERATOR_TOKEN).")
PATH = "/v1/operator/mail/bounces"


@command(app, "bounce", "waybill mail bounce < message")
def bounce(run: Run, operator_token: OperatorToken = None) -> None:
    """Reads a message from standard input. Where it says that one of our mails came back for good, its delivery has failed; anything else has no effect, so all mail of the bounce address may be piped here."""
    from cli.api import operator_api

    with operator_api(as_operator(run, operator_token)) as api:
        found = api.json("POST", PATH, idempotent=True, content=sys.stdin.buffer.read(), headers={"Content-Type": "message/rfc822"})
    if run.out.json_mode:
        run.out.document(found)
    elif found["delivery_id"]:
        run.out.note(f"Delivery {found['delivery_id']} has failed: its mail came back.")
    else:
        run.out.note("Not a mail of ours that came back for good: nothing was done.")
