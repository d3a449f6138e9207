"""Colours of a report: the organisation's, as far as one can read what is written in them."""

from collections.abc import Mapping

DEFAULTS = {"primary": "#1d4f91", "secondary": "#c8641b", "background": "#ffffff", "text": "#1f2933"}
_BLACK, _WHITE = "#000000", "#ffffff"
# WCAG 2.2, 1.4.3 and 1.4.11: the least contrast of text, and of what is large or drawn.
_TEXT, _DRAWN = 4.5, 3.0


def palette(colours: Mapping[str, str]) -> dict[str, str]:
    """Every colour that the report names: those given, else the defaults; what couldn't be told from the background gives way."""
    chosen = DEFAULTS | dict(colours)
    background = chosen["background"]
    text = chosen["text"] if contrast(chosen["text"], background) >= _TEXT else readable_on(background)
    primary, secondary = (c if contrast(c, background) >= _DRAWN else text for c in (chosen["primary"], chosen["secondary"]))
    good, bad = ("#1a7f37", "#b42318") if contrast("#1a7f37", background) >= _TEXT <= contrast("#b42318", background) else (text, text)
    muted = mixed(text, background, 0.3)
    return {
        "primary": primary, "secondary": secondary, "background": background, "text": text, "good": good, "bad": bad, "on_primary": readable_on(primary),
        "muted": muted if contrast(muted, background) >= _TEXT else text, "line": mixed(text, background, 0.85), "tint": mixed(primary, background, 0.93),
    }  # fmt: skip


def readable_on(background: str) -> str:
    """Black or white, whichever has more contrast: 4.58 at least."""
    return max(_BLACK, _WHITE, key=lambda c: contrast(c, background))


def contrast(a: str, b: str) -> float:
    """1 (the same) to 21 (black on white), as WCAG defines it."""
    high, low = sorted((_luminance(a), _luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def mixed(a: str, b: str, part: float) -> str:
    """`a` with `part` of `b` in it."""
    return "#" + "".join(f"{round(x + (y - x) * part):02x}" for x, y in zip(_channels(a), _channels(b), strict=True))


def _channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _luminance(colour: str) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (channel / 255 for channel in _channels(colour))]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
