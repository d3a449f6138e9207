"""`make fuzz`: on the running stack (`make up`), a thousand cases an operation and more. Arguments are those of `schemathesis run`."""

import json
import os
import sys
import tempfile
from pathlib import Path

from tests.conftest import ROOT, Stack, read_environment
from tests.fuzz.runner import run


def main() -> int:
    path = Path(os.environ.get("WAYBILL_ENV_FILE", ROOT / ".local" / "waybill.env"))
    if not path.exists():
        print(f"no stack: {path} is missing; make up starts one", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        calls = Path(folder) / "calls.json"
        done = run(Stack(read_environment(path)), sys.argv[1:] or ["--max-examples", "1000"], calls=calls)
        if calls.exists():
            _tell(json.loads(calls.read_text()))
    return done.returncode


def _tell(calls: dict[str, int]) -> None:
    """How often each operation was called, the rarest first: an operation that takes little has few cases that differ, so that `--max-examples` alone may not do."""
    print("Calls of each operation:")
    for operation, count in sorted(calls.items(), key=lambda each: each[1]):
        print(f"{count:>8}  {operation}")


if __name__ == "__main__":
    sys.exit(main())
