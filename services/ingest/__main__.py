"""`python -m services.ingest`"""

import sys

import uvloop

from services.ingest.app import build
from shared.runtime import run

if __name__ == "__main__":
    uvloop.install()
    sys.exit(run(build))
