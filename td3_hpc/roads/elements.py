"""Numbers and ids of OpenDRIVE elements, as the client library reads them: C's numbers, not Python's."""

import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Collection, Iterator

_NUMBER = re.compile(r"\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
MAX_ID = 2**31 - 1


def number(element: ET.Element, name: str) -> float | None:
    """An attribute that is a finite number; None for any other, or none."""
    text = element.get(name)
    if text is None or _NUMBER.fullmatch(text) is None:
        return None
    value = float(text)
    return value if math.isfinite(value) else None


def is_id(text: str | None) -> bool:
    """Whether the client library reads a road's or a junction's id as what it is: 0 to 2147483647, no zeros before."""
    return (
        text is not None and text.isascii() and text.isdigit() and str(int(text[:20])) == text and int(text) <= MAX_ID
    )


def fresh_ids(taken: Collection[str]) -> Iterator[str]:
    """Ids for roads and junctions that nobody has, above those that somebody has where there is room."""
    start = max((int(name) for name in taken), default=0) + 1
    start = start if start < 2**30 else 1
    return (str(value) for value in range(start, 2**31) if str(value) not in taken)


def lane_id(element: ET.Element) -> int | None:
    """The id of a <lane>, or of a link to one; None where it is no lane's."""
    return lane_number(element.get("id"))


def lane_number(text: str | None) -> int | None:
    """A lane's id as some attribute tells it; None where it is no lane's."""
    text = (text or "").strip()
    digits = text.removeprefix("-").removeprefix("+")
    value = int(text) if digits.isascii() and digits.isdigit() and len(digits) < 4 else None
    return value if value is not None and abs(value) < 256 else None


def sections_of(road: ET.Element) -> list[ET.Element]:
    """A road's lane sections, in the order of the file."""
    return road.findall("lanes/laneSection")


def lanes_of(section: ET.Element) -> Iterator[ET.Element]:
    """A section's lanes, from all sides."""
    return section.iterfind("*/lane")


def lane_numbers(section: ET.Element) -> set[int]:
    """The ids of a section's lanes."""
    return {found for lane in lanes_of(section) if (found := lane_id(lane)) is not None}


def written(value: float) -> str:
    """A number with all its digits."""
    return repr(float(value))
