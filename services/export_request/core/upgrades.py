"""What isn't taken while processes of an older release run: they would pass it over without a word."""

from collections.abc import Iterable

from shared.errors import Detail, unprocessable

MESSAGE = "is not taken while processes of an older release run, which know nothing of it: ask again after the upgrade"


def refuse(upgrading: bool, fields: Iterable[tuple[str, bool]]) -> None:
    """`fields`: names, and whether each is given. Raises ApiError 422 that names those that are."""
    given = [Detail(name, MESSAGE) for name, is_given in fields if is_given]
    if upgrading and given:
        raise unprocessable(*given)
