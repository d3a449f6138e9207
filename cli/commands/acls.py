"""`waybill acls`: who may read and write which topic, as schemas/topics/ says."""

from typing import Annotated

import typer

from cli.errors import UsageError
from cli.frame import Run, command


def acls(
    run: Run,
    client: Annotated[list[str] | None, typer.Option("--client", metavar="USER", help="A user outside; may be repeated.")] = None,
    principal: Annotated[
        list[str] | None,
        typer.Option("--principal", metavar="ROLE=PRINCIPAL", help="Whom a role is, where not User:waybill_ROLE; may be repeated."),
    ] = None,
    prune: Annotated[bool, typer.Option("--prune", help="Takes away what isn't wanted any more, of others' than --client too.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Says what would change, changes nothing.")] = False,
) -> None:
    """Gives every service's Kafka user the rights that it needs, and clients outside what anyone may. Doing it again changes nothing."""
    import asyncio

    from cli.acls.changing import add, administration, held, remove
    from cli.core.acls import Change, compare, principals, wanted
    from cli.kafka import brokers_of
    from shared.topics import all_topics

    brokers, topics = brokers_of(run.settings), all_topics()
    try:
        who = principals(topics, dict(_pair(each) for each in principal or []))
    except ValueError as error:
        raise UsageError(f"--principal: {error}.") from None

    async def change() -> Change:
        async with administration(brokers) as admin:
            found = compare(await held(admin), wanted(topics, who, client or []), topics, who)
            if not dry_run:
                await add(admin, found.missing)
                await remove(admin, found.unwanted if prune else ())
            return found

    found = asyncio.run(change())
    removed, left = (found.unwanted, ()) if prune else ((), found.unwanted)
    if run.out.json_mode:
        lines = {"added": found.missing, "removed": removed, "unwanted": left}
        run.out.document({"dry_run": dry_run} | {name: [str(right) for right in rights] for name, rights in lines.items()})
        return
    for sign, rights in (("+", found.missing), ("-", removed), ("?", left)):
        for right in rights:
            print(f"{sign} {right}")
    would = "would be " if dry_run else ""
    print(f"{len(found.missing)} rights {would}added, {len(removed)} {would}taken away.")
    if left:
        run.out.note(f"{len(left)} (?) aren't wanted any more: --prune takes them away.")


def _pair(text: str) -> tuple[str, str]:
    role, equals, principal = text.partition("=")
    if not equals or not principal.startswith("User:"):
        raise UsageError(f"--principal: '{text}' is not ROLE=PRINCIPAL, such as ingest=User:CN=ingest,O=Acme.")
    return role, principal


def register(app: typer.Typer) -> None:
    command(app, "acls", "waybill acls --client crm --dry-run")(acls)
