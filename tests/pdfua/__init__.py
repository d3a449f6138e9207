"""PDFs held to PDF/UA-1 (ISO 14289-1) by veraPDF, which Maven brings the first time; any Java that Kafka runs on will do."""

import hashlib
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
JARS, CLASSES = HERE / "target" / "jars", HERE / "target" / "classes"
SOURCES = (HERE / "pom.xml", HERE / "CheckPdf.java")
COMPILER = "org.eclipse.jdt.internal.compiler.batch.Main"
SECONDS_MAX = 300


@dataclass(frozen=True)
class Verdict:
    """How many checks were made, and what each that failed says."""

    checks: int
    failed: tuple[str, ...]


def verdicts(place: Path, *pdfs: bytes) -> list[Verdict]:
    """What veraPDF says of each; `place` takes the files."""
    _set_up()
    paths = [place / f"{n}.pdf" for n in range(len(pdfs))]
    for path, pdf in zip(paths, pdfs, strict=True):
        path.write_bytes(pdf)
    told = _java(f"{CLASSES}:{JARS}/*", "CheckPdf", *map(str, paths))
    found: list[Verdict] = []
    for line in told.strip("\n").split("\n"):
        if line.startswith("\t"):
            found[-1] = Verdict(found[-1].checks, (*found[-1].failed, line.strip()))
        else:
            found.append(Verdict(int(line), ()))
    return found


def _set_up() -> None:
    marker, digest = HERE / "target" / "complete", hashlib.sha256(b"".join(path.read_bytes() for path in SOURCES)).hexdigest()
    if marker.exists() and marker.read_text("ascii") == digest:
        return
    shutil.rmtree(HERE / "target", ignore_errors=True)
    goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={JARS}"]
    _run("mvn", "-q", "-B", "-Dstyle.color=never", "-f", str(SOURCES[0]), *goal)
    _java(
        f"{JARS}/*",
        COMPILER,
        "--release",
        "17",
        "-nowarn",
        "-classpath",
        ":".join(map(str, JARS.iterdir())),
        "-d",
        str(CLASSES),
        str(SOURCES[1]),
    )
    marker.write_text(digest, "ascii")


def _java(classpath: str, *arguments: str) -> str:
    return _run("java", "-Xmx1g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", classpath, *arguments)


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_MAX, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-2_000:]
    return done.stdout
