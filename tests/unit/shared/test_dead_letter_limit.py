"""The limit of dead letters, whatever comes in whatever order."""

from hypothesis import given
from hypothesis import strategies as st

from shared.dead_letter_limit import PUBLIC_TOPICS_FACTOR, Limit, Window, count, forget, too_many

LIMITS = st.builds(Limit, st.integers(0, 20), st.floats(0, 1), st.integers(1, 60))
# Seconds that pass, messages handled, and how many of those are dead letters.
NEWS = st.lists(st.tuples(st.floats(0, 30), st.integers(0, 5), st.integers(0, 5)).map(lambda t: (t[0], t[1] + t[2], t[2])), max_size=80)


def letters_kept(limit: Limit, news: list[tuple[float, int, int]]) -> tuple[list[tuple[float, int]], Window]:
    """As a consumer does it: what would be beyond the limit is not kept, and nothing comes after it."""
    window, now, kept = Window(), 1000.0, []
    for passed, handled, letters in news:
        now += passed
        counted = count(window, limit, now, handled, letters)
        if letters and too_many(counted, limit):
            break
        window = counted
        kept.append((now, letters))
    return kept, window


@given(LIMITS, NEWS)
def test_where_all_is_bad_no_window_holds_more_letters_than_the_limit(limit: Limit, news: list[tuple[float, int, int]]) -> None:
    if limit.letters_max == 0:
        return
    kept, _ = letters_kept(limit, [(passed, letters, letters) for passed, _, letters in news])
    for index, (at, _) in enumerate(kept):
        assert sum(letters for then, letters in kept[: index + 1] if int(then) > at - limit.window_seconds) <= limit.letters_max


@given(LIMITS, NEWS)
def test_few_letters_or_a_small_part_of_all_never_halt(limit: Limit, news: list[tuple[float, int, int]]) -> None:
    window, now = Window(), 0.0
    for passed, handled, letters in news:
        now += passed
        window = count(window, limit, now, handled, letters)
        few = window.letters <= limit.letters_max
        small = window.letters < limit.ratio_min * window.handled
        assert too_many(window, limit) == (limit.letters_max > 0 and not few and not small)


@given(LIMITS, NEWS)
def test_what_is_older_than_the_window_counts_no_more_and_memory_is_bounded(limit: Limit, news: list[tuple[float, int, int]]) -> None:
    window, now = Window(), 0.0
    for passed, handled, letters in news:
        now += passed
        window = count(window, limit, now, handled, letters)
        assert len(window.seconds) <= limit.window_seconds
        assert all(s.at > now - limit.window_seconds for s in window.seconds)
    assert forget(window, limit, now + limit.window_seconds + 1) == Window()


@given(st.lists(st.floats(-100, 100), max_size=40))
def test_a_clock_that_goes_back_loses_nothing(steps: list[float]) -> None:
    window, now = Window(), 1_000_000.0
    limit = Limit(5, 0.5, 86_400)
    for step in steps:
        now += step
        window = count(window, limit, now, 1, 1)
    assert (window.handled, window.letters) == (len(steps), len(steps))


def test_strangers_may_be_wrong_more_often() -> None:
    assert Limit(3).public() == Limit(3 * PUBLIC_TOPICS_FACTOR)
    assert Limit(0).public().letters_max == 0, "no limit stays none"
