"""Numbers and times as a reader wants them."""

import time


def when(seconds: float) -> str:
    """A time in seconds since 1970 as date and time of day, UTC."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds))


def duration(seconds: float) -> str:
    """Seconds, minutes, hours or days."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 2 * 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 72 * 3600 else f"{seconds / 86400:.1f} days"


def size(count: float) -> str:
    """Bytes, in decimal units."""
    for unit in ("B", "KB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"


def number(value: float) -> str:
    """0.0328, 5,191, 1.1 million."""
    magnitude = abs(value)
    if magnitude != magnitude or magnitude == float("inf"):
        return "NaN" if magnitude != magnitude else "infinite"
    if magnitude >= 1e9:
        return f"{value:.3g}"
    if magnitude >= 1e6:
        return f"{value / 1e6:,.3g} million"
    if magnitude >= 100 or (magnitude >= 1 and value == int(value)):
        return f"{value:,.0f}"
    return f"{value:.3g}"


def plural(count: int, noun: str) -> str:
    """1 episode, 3 episodes."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def percent(share: float) -> str:
    """97%; not 100% for 99.7%."""
    return f"{share:.1%}" if 0.99 < share < 1 else f"{share:.0%}"


def sentence(text: str) -> str:
    """With a capital and a full stop; empty where there is none."""
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def without_brackets(text: str) -> str:
    """A text without the remark in brackets at its end, for where there is little room."""
    return text.partition(" (")[0]
