"""Only `make test-compose` runs these: they look at containers, and `make test` may have none."""

import os

from tests.e2e.conftest import cases, organisation, sample

__all__ = ["cases", "organisation", "sample"]  # the fixtures of the end-to-end tests
collect_ignore_glob = [] if "WAYBILL_TEST_COMPOSE" in os.environ else ["test_*.py"]
