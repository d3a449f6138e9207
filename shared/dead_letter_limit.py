"""How many dead letters are too many: the policy that keeps a bad release from draining a topic into its dead letters. Pure; time is an argument.

Within a window, more than `letters_max` letters that are also at least `ratio_min` of all messages handled mean that not the messages are bad but
the code is. The letters that would go beyond are not kept: their messages stay where they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

PUBLIC_TOPICS_FACTOR = 100  # strangers' mistakes are expected on the public topics; on internal ones every dead letter is a defect


@dataclass(frozen=True)
class Limit:
    """`letters_max` 0: no limit."""

    letters_max: int = 100
    ratio_min: float = 0.5
    window_seconds: int = 300

    def public(self) -> "Limit":
        """The same for a topic that strangers write to."""
        return replace(self, letters_max=self.letters_max * PUBLIC_TOPICS_FACTOR)


@dataclass(frozen=True)
class Second:
    """What one second brought: messages handled, dead letters among them."""

    at: int
    handled: int
    letters: int


@dataclass(frozen=True)
class Window:
    """The last seconds in which something came, oldest first; at most `window_seconds` of them."""

    seconds: Sequence[Second] = field(default_factory=tuple)

    @property
    def handled(self) -> int:
        return sum(s.handled for s in self.seconds)

    @property
    def letters(self) -> int:
        return sum(s.letters for s in self.seconds)


def forget(window: Window, limit: Limit, now: float) -> Window:
    """Without what is older than the window."""
    if not window.seconds or window.seconds[0].at > now - limit.window_seconds:
        return window
    return Window(tuple(s for s in window.seconds if s.at > now - limit.window_seconds))


def count(window: Window, limit: Limit, now: float, handled: int, letters: int) -> Window:
    """With `handled` messages more, `letters` of them dead. A clock that went back counts into the newest second."""
    kept = forget(window, limit, now).seconds
    second = max(int(now), kept[-1].at) if kept else int(now)
    if kept and kept[-1].at == second:
        last = kept[-1]
        return Window((*kept[:-1], Second(second, last.handled + handled, last.letters + letters)))
    return Window((*kept, Second(second, handled, letters)))


def too_many(window: Window, limit: Limit) -> bool:
    """Whether what the window holds is beyond the limit."""
    if limit.letters_max == 0 or window.letters <= limit.letters_max:
        return False
    return window.letters >= limit.ratio_min * window.handled
