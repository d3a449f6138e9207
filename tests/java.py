"""Java programs on jars that Maven brings the first time; any Java that Kafka runs on will do."""

import hashlib
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

COMPILER = "org.eclipse.jdt.internal.compiler.batch.Main"
SECONDS_MAX = 300


@dataclass(frozen=True)
class Program:
    """`folder` has its pom.xml, which names the jars and a compiler, and its source `<name>.java`."""

    folder: Path
    name: str
    options: tuple[str, ...] = ()

    def run(self, *arguments: str) -> str:
        """What it prints."""
        self._set_up()
        return _java(f"{self._classes}:{self._jars}/*", *self.options, self.name, *arguments)

    @property
    def _jars(self) -> Path:
        return self.folder / "target" / "jars"

    @property
    def _classes(self) -> Path:
        return self.folder / "target" / "classes"

    def _set_up(self) -> None:
        pom, source, marker = self.folder / "pom.xml", self.folder / f"{self.name}.java", self.folder / "target" / "complete"
        digest = hashlib.sha256(pom.read_bytes() + source.read_bytes()).hexdigest()
        if marker.exists() and marker.read_text("ascii") == digest:
            return
        shutil.rmtree(self.folder / "target", ignore_errors=True)
        goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={self._jars}"]
        _run("mvn", "-q", "-B", "-Dstyle.color=never", "-f", str(pom), *goal)
        classpath = ":".join(map(str, self._jars.iterdir()))
        _java(f"{self._jars}/*", COMPILER, "--release", "17", "-nowarn", "-classpath", classpath, "-d", str(self._classes), str(source))
        marker.write_text(digest, "ascii")


def _java(classpath: str, *arguments: str) -> str:
    return _run("java", "-Xmx1g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", classpath, *arguments)


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_MAX, check=False)
    said = done.stdout + done.stderr
    thrown = said.find("Exception in thread")  # its message comes before its trace, which may be long
    assert done.returncode == 0, said[thrown:][:2_000] if thrown >= 0 else said[-2_000:]
    return done.stdout
