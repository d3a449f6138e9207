"""Starts the formatter: `python -m services.formatter`."""

import sys

import uvloop

from services.formatter.app import build
from shared.runtime import run

if __name__ == "__main__":
    uvloop.install()
    sys.exit(run(build))
