"""Makes an organisation, where it is missing, and a new admin key: `python -m services.export_request.bootstrap --org ORG --name NAME`.

Prints one JSON line {"org_id", "api_key"}. A key can't be shown again, so each call makes another; a first start needs just one.
"""

import argparse
import asyncio
import json
import sys

from services.export_request.core import tenancy as checks
from services.export_request.core.limits import Limits
from services.export_request.settings import Settings
from services.export_request.tenancy import Tenancy
from shared.checks import checked
from shared.database import create_pool
from shared.errors import ApiError, TransientError
from shared.outbox import Outbox


async def make(url: str, org_id: str, name: str) -> str:
    """The key. Raises ApiError for a wrong id or name, TransientError where PostgreSQL is away."""
    checked({"org_id": org_id, "name": name}, {"org_id": checks.org_id, "name": checks.name})
    pool = create_pool(url, "bootstrap", 1)
    async with pool:
        return await Tenancy(pool, Outbox(pool, None, "exports"), Limits()).ensure(org_id, name)


def main() -> int:
    parser = argparse.ArgumentParser(description="Make an organisation and an admin key.")
    parser.add_argument("--org", required=True)
    parser.add_argument("--name", required=True)
    given = parser.parse_args()
    try:
        key = asyncio.run(make(Settings().export_request_database_url, given.org, given.name))
    except (ApiError, TransientError) as error:
        print(f"bootstrap: {error}", file=sys.stderr)
        return 1
    print(json.dumps({"org_id": given.org, "api_key": key}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
