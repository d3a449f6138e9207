"""`python -m services.ingest`"""

import sys

import uvloop
from pydantic import ValidationError

from services.ingest.app import build
from shared.runtime import run

if __name__ == "__main__":
    uvloop.install()
    try:
        sys.exit(run(build))
    except ValidationError as error:
        sys.exit(f"ingest: {error}")
