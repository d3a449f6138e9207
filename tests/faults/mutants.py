"""Each safeguard taken out once, in a copy of the tree: then the suite must fail, or it guards nothing. `make faults-mutants`.

The copy is patched, never the product: there is no switch that turns a safeguard off.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.local.state import ROOT
from tests.faults.stack import end_on_sigterm

HOME = ROOT / ".local-faults-mutants"
TARGET = Path("deploy/local/target")  # Kafka's jars and toxiproxy, shared with the copy


@dataclass(frozen=True)
class Edit:
    """In `path`, the text `old`, which is there once, becomes `new`."""

    path: str
    old: str
    new: str

    def apply(self, text: str) -> str:
        if text.count(self.old) != 1:
            raise ValueError(f"{self.path} has the text of this edit {text.count(self.old)} times: {self.old[:80]!r}")
        return text.replace(self.old, self.new)


@dataclass(frozen=True)
class Mutant:
    """A safeguard out. `seeds`: ten rounds in which it is missed."""

    name: str
    what: str
    edits: tuple[Edit, ...]
    seeds: tuple[int, ...]


MUTANTS = (
    Mutant(
        "inbox",
        "a message is taken as often as it comes",
        (Edit("shared/inbox.py", "return bool(await connection.fetchval(self._claim, message_id))", "return True"),),
        (1059, 1105, 1152, 1179, 1226, 1276, 1367, 1458, 1503, 1507),
    ),
    Mutant(
        "outbox",
        "messages wait in memory, outside of the transaction of their effect",
        (
            Edit(
                "shared/outbox.py",
                """        await connection.executemany(
            f"INSERT INTO {self._schema}.outbox (topic, key, value, headers, partition) VALUES ($1, $2, $3, $4, $5)",
            [(m.topic, m.key.encode() if m.key is not None else None, m.value, json.dumps(m.headers), m.partition) for m in messages],
        )
""",
                """        self.__dict__.setdefault("_kept", []).extend(
            {"topic": m.topic, "key": m.key.encode() if m.key is not None else None, "value": m.value, "headers": json.dumps(m.headers),
             "partition": m.partition} for m in messages
        )
""",
            ),
            Edit(
                "shared/outbox.py",
                """            rows = await connection.fetch(f"SELECT * FROM {self._schema}.outbox ORDER BY seq LIMIT {RELAY_ROWS_MAX}")
""",
                """            rows = self.__dict__.setdefault("_kept", [])[:RELAY_ROWS_MAX]
""",
            ),
            Edit(
                "shared/outbox.py",
                """                await connection.execute(f"DELETE FROM {self._schema}.outbox WHERE seq = ANY($1)", [r["seq"] for r in rows])
""",
                """                del self._kept[: len(rows)]
""",
            ),
        ),
        (11070, 2597, 10143, 7602, 11619, 2600, 6845, 7930),
    ),
    Mutant(
        "snapshot-filter",
        "a chunk reads what is current, not what the export's snapshot sees",
        (
            Edit("shared/datasets/sql.py", "pg_visible_in_snapshot({alias}.added, {s})", "{s} is not null"),
            Edit(
                "shared/datasets/sql.py",
                "({alias}.ended is null or not pg_visible_in_snapshot({alias}.ended, {s}))",
                "{alias}.ended is null",
            ),
        ),
        (1130, 1143, 1046, 1059, 1367, 1472, 1010, 1033, 1148, 1105),
    ),
    Mutant(
        "part-naming",
        "a part is named by who writes it, not by the plan",
        (
            Edit(
                "services/formatter/handlers.py",
                """        spec = spec_of(chunk)
        started = time.monotonic()
""",
                """        import dataclasses
        import uuid

        names = {name: f"parts/{uuid.uuid4().hex}/{chunk.number:08d}.{name}" for name in chunk.part_keys}
        chunk = dataclasses.replace(chunk, part_keys=names)
        spec = spec_of(chunk)
        started = time.monotonic()
""",
            ),
        ),
        (1033, 1036, 1041, 1010, 1001, 1006, 1042, 1046, 1056, 1083),
    ),
    Mutant(
        "score-versions",
        "the score that comes last is kept, not the one of the newest facts",
        (Edit("services/ingest/scores/queries.sql", "WHERE s.version IS NULL OR excluded.version > s.version", "WHERE true"),),
        (2850, 2640, 2878, 3130, 2976, 3256, 2542, 2710, 3326, 2780),
    ),
)


def copy_of_the_tree(mutant: Mutant, home: Path) -> Path:
    """The checkout's files with the mutant's edits. Raises ValueError where an edit doesn't fit any more."""
    tree = home / mutant.name
    shutil.rmtree(tree, ignore_errors=True)
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in listed.decode().rstrip("\0").split("\0"):
        source, copy = ROOT / name, tree / name
        if source.is_file():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy)
    for edit in mutant.edits:
        path = tree / edit.path
        path.write_text(edit.apply(path.read_text("utf-8")), "utf-8")
    (tree / TARGET).symlink_to(ROOT / TARGET)
    return tree


def failing_seeds(mutant: Mutant, seeds: Sequence[int], home: Path, first_only: bool) -> list[int]:
    """The seeds that notice; rounds run in the copy, with the copy's code."""
    tree = copy_of_the_tree(mutant, home)
    command = [sys.executable, "-m", "tests.faults", "--seeds", ",".join(map(str, seeds)), *(["--first-failure"] if first_only else [])]
    environment = os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    with subprocess.Popen(command, cwd=tree, env=environment, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout
        failing = []
        try:
            for line in running.stdout:
                print(f"    {line}", end="", flush=True)
                if told := re.match(r"seed (\d+): FAILED", line):
                    failing.append(int(told[1]))
        except BaseException:
            running.terminate()
            running.communicate()  # until it has taken its stack down
            raise
    if running.returncode not in (0, 1):
        raise SystemExit(f"the suite did not run in {tree}")
    return failing


def main() -> int:
    parser = argparse.ArgumentParser(prog="make faults-mutants", description=__doc__)
    parser.add_argument("--only", default="", help=f"one of {', '.join(m.name for m in MUTANTS)}")
    parser.add_argument("--seeds", default="", help="others than those chosen, separated by commas")
    parser.add_argument("--all", action="store_true", help="go on behind the first seed that fails")
    options = parser.parse_args()
    end_on_sigterm()
    missed = []
    for mutant in [m for m in MUTANTS if options.only in ("", m.name)]:
        seeds = [int(s) for s in options.seeds.split(",") if s] or list(mutant.seeds)
        print(f"without {mutant.name}: {mutant.what}", flush=True)
        failing = failing_seeds(mutant, seeds, HOME, not options.all)
        print(f"without {mutant.name}: " + (f"noticed by seeds {', '.join(map(str, failing))}" if failing else "NOT noticed"), flush=True)
        missed += [] if failing else [mutant.name]
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
