"""Starts export_request: `python -m services.export_request`."""

import sys

import uvloop

from services.export_request.app import build
from shared.runtime import run

if __name__ == "__main__":
    uvloop.install()
    sys.exit(run(build))
