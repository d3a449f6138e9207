"""`python -m services.lead_scoring`"""

import sys

import uvloop

from services.lead_scoring.app import build
from shared.runtime import run

if __name__ == "__main__":
    uvloop.install()
    sys.exit(run(build))
