"""PDFs held to PDF/UA-1 (ISO 14289-1) by veraPDF."""

from dataclasses import dataclass
from pathlib import Path

from tests.java import Program

CHECK = Program(Path(__file__).resolve().parent, "CheckPdf")


@dataclass(frozen=True)
class Verdict:
    """How many checks were made, and what each that failed says."""

    checks: int
    failed: tuple[str, ...]


def verdicts(place: Path, *pdfs: bytes) -> list[Verdict]:
    """What veraPDF says of each; `place` takes the files."""
    paths = [place / f"{n}.pdf" for n in range(len(pdfs))]
    for path, pdf in zip(paths, pdfs, strict=True):
        path.write_bytes(pdf)
    found: list[Verdict] = []
    for line in CHECK.run(*map(str, paths)).strip("\n").split("\n"):
        if line.startswith("\t"):
            found[-1] = Verdict(found[-1].checks, (*found[-1].failed, line.strip()))
        else:
            found.append(Verdict(int(line), ()))
    return found
