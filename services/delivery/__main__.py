"""Starts delivery: `python -m services.delivery`."""

import sys

from services.delivery.app import build
from shared.runtime import run

if __name__ == "__main__":
    sys.exit(run(build))
