"""Rate limits as callers meet them: the header fields of the IETF draft "RateLimit header fields for HTTP" (draft-ietf-httpapi-ratelimit-headers-10), and the 429."""

import math
from dataclasses import dataclass

from shared.errors import ApiError


@dataclass(frozen=True)
class Policy:
    """`quota` requests in any `window_seconds`; `name` is what the header fields call it."""

    name: str
    quota: int
    window_seconds: int


@dataclass(frozen=True)
class Taken:
    """What became of one request under a policy: let through or not, how many are left now, and in how many seconds one more will be."""

    allowed: bool
    remaining: int
    reset_seconds: float


def headers(policy: Policy, taken: Taken) -> dict[str, str]:
    """`RateLimit-Policy: "cursor";q=3;w=1` and `RateLimit: "cursor";r=2;t=1`; whole seconds, rounded up."""
    return {
        "RateLimit-Policy": f'"{policy.name}";q={policy.quota};w={policy.window_seconds}',
        "RateLimit": f'"{policy.name}";r={taken.remaining};t={_seconds(taken)}',
    }


def rate_limited(policy: Policy, taken: Taken, of_what: str) -> ApiError:
    """429 with Retry-After; `of_what` says whose limit it is ("for this endpoint and API key")."""
    each = "a second" if policy.window_seconds == 1 else f"in {policy.window_seconds} seconds"
    message = f"More than {policy.quota} requests {each} {of_what}."
    return ApiError(429, "rate_limited", message, headers={**headers(policy, taken), "Retry-After": str(max(1, _seconds(taken)))})


def _seconds(taken: Taken) -> int:
    return max(0, math.ceil(taken.reset_seconds))
