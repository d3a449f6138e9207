"""A folder of pages that are made from the code: whether they are up to date, and writing them."""

import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Pages:
    """`folder` holds nothing but the pages; `command` writes them."""

    folder: Path
    command: str

    def problems(self, wanted: dict[str, str]) -> list[str]:
        """What differs from the pages as they lie there; `wanted`: file name → text."""
        there = {path.name: path.read_text("utf-8") for path in self.folder.glob("*.md")}
        return [
            f"docs/{self.folder.name}/{name} is out of date: {self.command}"
            for name in sorted({*wanted, *there})
            if wanted.get(name) != there.get(name)
        ]

    def write(self, wanted: dict[str, str]) -> None:
        self.folder.mkdir(exist_ok=True)
        for path in self.folder.glob("*.md"):
            if path.name not in wanted:
                path.unlink()
        for name, text in wanted.items():
            (self.folder / name).write_text(text, "utf-8")

    def run(self, wanted: dict[str, str], write: bool) -> int:
        """Says what is out of date; returns the exit code."""
        if write:
            self.write(wanted)
        wrong = self.problems(wanted)
        for line in wrong:
            print(line, file=sys.stderr)
        print(f"{len(wanted) - 1} pages in docs/{self.folder.name}: {'ok' if not wrong else f'{len(wrong)} out of date'}")
        return 1 if wrong else 0
