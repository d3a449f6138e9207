"""Parquet files as Spark reads them."""

import json
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

from tests.java import Program

# What Spark asks for since Java 17 (its JavaModuleOptions).
OPENED = (
    *(f"java.base/{name}" for name in ("java.lang", "java.lang.invoke", "java.lang.reflect", "java.io", "java.net", "java.nio", "java.util")),
    *(f"java.base/{name}" for name in ("java.util.concurrent", "java.util.concurrent.atomic", "jdk.internal.ref", "sun.nio.ch", "sun.nio.cs")),
    "java.base/sun.security.action", "java.base/sun.util.calendar", "java.security.jgss/sun.security.krb5",
)  # fmt: skip
READ = Program(
    Path(__file__).resolve().parent,
    "ReadParquet",
    (
        *(f"--add-opens={name}=ALL-UNNAMED" for name in OPENED),
        "-Djdk.reflect.useDirectMethodHandle=false",
        "-Dio.netty.tryReflectionSetAccessible=true",
    ),
)


@dataclass(frozen=True)
class Table:
    """`columns`: Spark's types. Of the first column of a type, how many rows Spark finds: by its least and greatest value, where there is an order, and by there being none."""

    columns: dict[str, str]
    pieces: int
    found: dict[str, tuple[int, int]]
    missing: dict[str, int]
    rows: list[dict[str, Any]] = field(default_factory=list)


def tables(place: Path, *files: bytes) -> list[Table]:
    """What each holds; `place` takes the files."""
    paths = [place / f"{n}.parquet" for n in range(len(files))]
    for path, content in zip(paths, files, strict=True):
        path.write_bytes(content)
    read: list[Table] = []
    for line in READ.run(*map(str, paths)).splitlines():
        told = json.loads(line)
        if isinstance(told, dict):
            found = {name: tuple(counts) for name, counts in told["found"].items()}
            read.append(Table(told["columns"], told["pieces"], found, told["missing"]))
        else:
            columns = read[-1].columns
            read[-1].rows.append({name: _value(v, kind) for (name, kind), v in zip(columns.items(), told, strict=True)})
    return read


def _value(value: Any, kind: str) -> Any:
    if value is None:
        return None
    return datetime.fromisoformat(value) if kind == "timestamp" else date.fromisoformat(value) if kind == "date" else value
