"""Starts export_request: `python -m services.export_request`."""

import sys

from services.export_request.app import build
from shared.runtime import run

if __name__ == "__main__":
    sys.exit(run(build))
