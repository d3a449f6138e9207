"""Starts the formatter: `python -m services.formatter`."""

import sys

from services.formatter.app import build
from shared.runtime import run

if __name__ == "__main__":
    sys.exit(run(build))
