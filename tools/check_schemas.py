"""Refuses a change to a message that a running older reader, or an older message, can't survive.

`schemas/messages/history/` holds every released version. Each current schema must read every older version of itself and be read by it
(Avro schema resolution, both ways), every class must match its schema, and every example must survive a round trip.
`python -m tools.check_schemas --release NAME` copies the current versions into the history and notes in `schemas/releases/NAME.json` which
ones, and the commit whose code it is: run it on a commit, not on changes.
"""

import argparse
import dataclasses
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import fastavro

from shared.codec import RELEASES, SCHEMAS, decode, encode, schema_fingerprint
from shared.messages import MESSAGES
from shared.topics import all_topics

EXAMPLES = SCHEMAS.parent / "examples"


def _load(path: Path) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return schema


def can_read(writer: dict[str, Any], reader: dict[str, Any], example: dict[str, Any]) -> str:
    """Empty where `reader` reads what `writer` wrote, else why not. The example is cut to the fields that the writer has."""
    names = {f["name"] for f in writer["fields"]}
    out = io.BytesIO()
    try:
        fastavro.schemaless_writer(out, fastavro.parse_schema(writer), {k: v for k, v in example.items() if k in names})
        out.seek(0)
        fastavro.schemaless_reader(out, fastavro.parse_schema(writer), fastavro.parse_schema(reader))
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def problems_of(name: str) -> list[str]:
    current = _load(SCHEMAS / f"{name}.avsc")
    example_path = EXAMPLES / f"{name}.json"
    if not example_path.exists():
        return [f"{name}: no example at schemas/examples/{name}.json"]
    example = json.loads(example_path.read_text("utf-8"))
    problems = []
    for field in current["fields"]:
        if isinstance(field["type"], str) and field["type"] == "bytes" and isinstance(example.get(field["name"]), str):
            example[field["name"]] = example[field["name"]].encode("latin-1")
    fields = {f.name for f in dataclasses.fields(MESSAGES[name])}
    if fields != {f["name"] for f in current["fields"]}:
        problems.append(f"{name}: the class and its schema differ in {fields ^ {f['name'] for f in current['fields']}}")
    for path in sorted((SCHEMAS / "history").glob(f"{name}.*.avsc")):
        older = _load(path)
        if why := can_read(older, current, example):
            problems.append(f"{name}: can't read messages of {path.name}: {why}")
        if why := can_read(current, older, example):
            problems.append(f"{name}: a running reader of {path.name} can't read it: {why}")
    if not problems:
        out = io.BytesIO()
        fastavro.schemaless_writer(out, fastavro.parse_schema(current), example)
        data = b"\xc3\x01" + schema_fingerprint(current) + out.getvalue()
        if encode(decode(data)) != data:
            problems.append(f"{name}: its example does not survive a round trip")
    return problems


def release(name: str) -> None:
    """Keep the current versions for ever, as those of the release `name`, which is HEAD's code."""
    (SCHEMAS / "history").mkdir(exist_ok=True)
    marks = {}
    for message in MESSAGES:
        text = (SCHEMAS / f"{message}.avsc").read_text("utf-8")
        marks[message] = schema_fingerprint(json.loads(text)).hex()
        (SCHEMAS / "history" / f"{message}.{marks[message]}.avsc").write_text(text, "utf-8")
    commit, at = subprocess.run(["git", "log", "-1", "--format=%H %cI"], check=True, capture_output=True, text=True).stdout.split()
    RELEASES.mkdir(exist_ok=True)
    (RELEASES / f"{name}.json").write_text(json.dumps({"commit": commit, "at": at, "messages": marks}, indent=2) + "\n", "utf-8")


def problems_of_releases() -> list[str]:
    """A release's messages must be in the history, else nobody could write for it."""
    kept = {path.name.removesuffix(".avsc") for path in (SCHEMAS / "history").glob("*.avsc")}
    found = []
    for path in sorted(RELEASES.glob("*.json")):
        marks = _load(path)["messages"]
        found += [
            f"release {path.stem}: {name}.{mark}.avsc is not in the history" for name, mark in marks.items() if f"{name}.{mark}" not in kept
        ]
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--release", metavar="NAME", help="keep the current versions for ever, as those of this release")
    if name := parser.parse_args().release:
        release(name)
    problems = problems_of_releases()
    problems += [problem for name in MESSAGES for problem in problems_of(name)]
    named = {message for topic in all_topics().values() for message in topic.messages}
    problems += [f"{name}: no topic names it" for name in MESSAGES if name not in named]
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"{len(MESSAGES)} messages, {len(all_topics())} topics: {'ok' if not problems else f'{len(problems)} problems'}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
