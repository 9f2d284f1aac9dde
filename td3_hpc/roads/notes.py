"""What healing did to a text, told once for each kind."""

from collections.abc import Iterable

_SHOWN = 3  # Places named of each kind.


class Notes:
    """Kinds of healing with the places where they were done."""

    def __init__(self) -> None:
        self._places: dict[str, list[str]] = {}

    def add(self, kind: str, place: str) -> None:
        """`kind`: what was done, in words; `place`: the road, lane, junction or signal."""
        self._places.setdefault(kind, []).append(one_line(place))

    def __bool__(self) -> bool:
        return bool(self._places)

    def lines(self) -> tuple[str, ...]:
        """One for each kind, with its first places, in the order of healing."""
        return tuple(f"{kind} ({listed(places)})" for kind, places in self._places.items())


def one_line(text: str) -> str:
    """Text with names from a file in it, on one line and without what a terminal would obey."""
    return "".join(letter if letter.isprintable() else " " for letter in " ".join(text.split()))[:200]


def listed(places: Iterable[str], most: int = _SHOWN) -> str:
    """The first places, each once, and how many more there are."""
    unique = list(dict.fromkeys(places))
    more = f" and {len(unique) - most} more" if len(unique) > most else ""
    return ", ".join(unique[:most]) + more
