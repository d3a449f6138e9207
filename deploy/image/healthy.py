"""`python -m deploy.image.healthy`: whether the service of this container is ready; for the container's health check.

Exits 0 where the service that WAYBILL_<SERVICE>_HTTP names answers /health/ready with 200, else 1 with the reason. A container without such
a variable runs no service and is as healthy as its process.
"""

import os
import re
import sys
from collections.abc import Mapping
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, build_opener

TIMEOUT_SECONDS = 4


def address_of(environment: Mapping[str, str]) -> str | None:
    """host:port to ask, on loopback whatever interface the service listens on; None where none is named."""
    named = [value for name, value in sorted(environment.items()) if re.fullmatch(r"WAYBILL_[A-Z_]+_HTTP", name)]
    return f"127.0.0.1:{named[0].rpartition(':')[2]}" if named else None


def why_not(url: str) -> str | None:
    """None when `url` answers well, else why not."""
    try:
        with build_opener(ProxyHandler({})).open(url, timeout=TIMEOUT_SECONDS):
            return None
    except HTTPError as error:
        return f"{error.code}: {error.read(500).decode(errors='replace')}"
    except (URLError, OSError) as error:
        return f"no answer ({error})"


if __name__ == "__main__":
    address = address_of(os.environ)
    sys.exit(why_not(f"http://{address}/health/ready") if address else None)
