"""`make fuzz`: on the running stack (`make up`), a thousand cases an operation and more. Arguments are those of `schemathesis run`."""

import os
import sys
from pathlib import Path

from tests.conftest import ROOT, Stack, read_environment
from tests.fuzz.runner import run


def main() -> int:
    path = Path(os.environ.get("WAYBILL_ENV_FILE", ROOT / ".local" / "waybill.env"))
    if not path.exists():
        print(f"no stack: {path} is missing; make up starts one", file=sys.stderr)
        return 1
    return run(Stack(read_environment(path)), sys.argv[1:] or ["--max-examples", "1000"]).returncode


if __name__ == "__main__":
    sys.exit(main())
