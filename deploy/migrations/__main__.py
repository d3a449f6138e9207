"""`python -m deploy.migrations`: bring the database of WAYBILL_DATABASE_URL up to date."""

import os
import sys

from deploy.migrations import migrate, passwords_from

url = os.environ.get("WAYBILL_DATABASE_URL")
if not url:
    sys.exit("WAYBILL_DATABASE_URL is not set: the URL of the database, as a superuser")
applied = migrate(url, passwords_from(os.environ))
print(f"applied {', '.join(applied)}" if applied else "the database is up to date")
