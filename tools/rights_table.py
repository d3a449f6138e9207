"""Writes the table of Kafka's rights in docs/security.md from schemas/topics/*.yaml, as `waybill acls` gives them.

`python -m tools.rights_table` says whether the page is up to date; `--write` writes it.
"""

import argparse
import re
import sys
from pathlib import Path

from cli.core.acls import Kind, Right, principals, wanted
from shared.topics import all_topics

PAGE = Path(__file__).resolve().parent.parent / "docs" / "security.md"
BEGIN, END = "<!-- rights: made by python -m tools.rights_table --write -->\n", "<!-- end of rights -->"
CLIENT = "crm"
HEAD = "| user | writes | reads | reads with groups | describes |\n|---|---|---|---|---|\n"


def table() -> str:
    """One row a user; a client is called crm."""
    rights = wanted(all_topics(), principals(all_topics()), [CLIENT])
    users = sorted({right.principal for right in rights})
    return HEAD + "".join(f"| {' | '.join(_row(user, rights))} |\n" for user in users)


def _row(user: str, rights: frozenset[Right]) -> list[str]:
    def names(operation: str, *kinds: Kind) -> str:
        found = sorted(r for r in rights if (r.principal, r.operation) == (user, operation) and r.kind in kinds)
        return ", ".join(f"`{r.name}{'*' if r.pattern == 'prefixed' else ''}`" for r in found) or "–"

    name = user.removeprefix("User:")
    columns = [names("write", Kind.topic), names("read", Kind.topic), names("read", Kind.group), names("describe", Kind.group, Kind.topic)]
    return [f"`{name}`, a client" if name == CLIENT else f"`{name}`", *columns]


def page(text: str) -> str:
    """The page with the table as it should be. Raises ValueError where it has no place for it."""
    if BEGIN not in text or END not in text:
        raise ValueError(f"{PAGE.name} has lost the comments around the table of rights")
    return re.sub(f"(?s){re.escape(BEGIN)}.*?{re.escape(END)}", lambda _: f"{BEGIN}{table()}{END}", text)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write docs/security.md")
    text = PAGE.read_text("utf-8")
    new = page(text)
    if parser.parse_args().write:
        PAGE.write_text(new, "utf-8")
    elif new != text:
        print("docs/security.md is out of date: python -m tools.rights_table --write", file=sys.stderr)
        return 1
    print("the table of rights: ok")
    return 0


if __name__ == "__main__":
    sys.exit(main())
