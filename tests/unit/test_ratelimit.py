"""What callers are told of a rate limit."""

import pytest

from shared.ratelimit import Policy, Taken, headers, rate_limited

POLICY = Policy("cursor", 3, 1)


@pytest.mark.parametrize(
    ("taken", "told"),
    [
        (Taken(True, 2, 1.0), '"cursor";r=2;t=1'),
        (Taken(True, 0, 0.2), '"cursor";r=0;t=1'),
        (Taken(False, 0, 0.0), '"cursor";r=0;t=0'),
        (Taken(True, 1, -0.1), '"cursor";r=1;t=0'),
    ],
)
def test_the_header_fields(taken: Taken, told: str) -> None:
    assert headers(POLICY, taken) == {"RateLimit-Policy": '"cursor";q=3;w=1', "RateLimit": told}


def test_a_refusal_says_what_and_when() -> None:
    error = rate_limited(Policy("rows", 100, 60), Taken(False, 0, 12.3), "of this organisation")
    assert (error.status, error.code, error.headers["Retry-After"]) == (429, "rate_limited", "13")
    assert error.message == "More than 100 requests in 60 seconds of this organisation."
    assert rate_limited(POLICY, Taken(False, 0, 0.0), "").headers["Retry-After"] == "1"
