"""OpenDRIVE texts of a few straight roads, for tests that need one particular place."""

from collections.abc import Sequence
from typing import NamedTuple

Elevation = tuple[float, float, float, float, float]
"""s, a, b, c, d of z = a + b ds + c ds^2 + d ds^3."""


class Road(NamedTuple):
    """A straight road with one lane each way; y and heading as in OpenDRIVE (right-handed, radians)."""

    x: float
    y: float
    heading: float
    length: float
    elevation: Sequence[Elevation] = ((0.0, 0.0, 0.0, 0.0, 0.0),)
    middle: tuple[str, str] = ("broken", "yellow")
    edge: tuple[str, str] = ("solid", "white")
    sidewalk: bool = False


def ramp(start: float, stop: float, low: float, high: float) -> list[Elevation]:
    """A smooth rise from `low` to `high`, level before and after it."""
    run, rise = stop - start, high - low
    return [
        (0.0, low, 0.0, 0.0, 0.0),
        (start, low, 0.0, 3.0 * rise / run**2, -2.0 * rise / run**3),
        (stop, high, 0.0, 0.0, 0.0),
    ]


def hill(start: float, top: float, stop: float, height: float) -> list[Elevation]:
    """Level ground, a smooth hill whose top is at `top`, level ground again."""
    down = stop - top
    return [
        *ramp(start, top, 0.0, height)[:2],
        (top, height, 0.0, -3.0 * height / down**2, 2.0 * height / down**3),
        (stop, 0.0, 0.0, 0.0, 0.0),
    ]


def opendrive_text(roads: Sequence[Road]) -> str:
    """The whole document."""
    body = "".join(_road(number, road) for number, road in enumerate(roads, start=1))
    header = '<header revMajor="1" revMinor="4" name="test" version="1.00" north="0" south="0" east="0" west="0"/>'
    return f'<?xml version="1.0" standalone="yes"?><OpenDRIVE>{header}{body}</OpenDRIVE>'


CROSSWALK = (
    '<objects><object type="crosswalk" name="SimpleCrosswalk" id="900001" s="10" t="0" zOffset="0" orientation="none" '
    'length="3" width="8" hdg="0" pitch="0" roll="0"><outline><cornerLocal u="-1.5" v="-4" z="0"/>'
    '<cornerLocal u="1.5" v="-4" z="0"/><cornerLocal u="1.5" v="4" z="0"/><cornerLocal u="-1.5" v="4" z="0"/>'
    '<cornerLocal u="-1.5" v="-4" z="0"/></outline></object></objects>'
)


def with_crosswalk(text: str) -> str:
    """The document with a crosswalk on its first road, where no road has objects."""
    return text if "<object " in text else text.replace("</lanes>", "</lanes>" + CROSSWALK, 1)


def _road(number: int, road: Road) -> str:
    heights = "".join(f'<elevation s="{s}" a="{a}" b="{b}" c="{c}" d="{d}"/>' for s, a, b, c, d in road.elevation)
    geometry = (
        f'<geometry s="0" x="{road.x}" y="{road.y}" hdg="{road.heading}" length="{road.length}"><line/></geometry>'
    )
    left = _lanes(road, 1)
    right = _lanes(road, -1)
    middle = f'<lane id="0" type="none" level="false">{_mark(*road.middle)}</lane>'
    return (
        f'<road name="" length="{road.length}" id="{number}" junction="-1"><link/>'
        f"<planView>{geometry}</planView><elevationProfile>{heights}</elevationProfile><lateralProfile/>"
        f'<lanes><laneSection s="0"><left>{left}</left><center>{middle}</center><right>{right}</right></laneSection>'
        "</lanes></road>"
    )


def _lanes(road: Road, side: int) -> str:
    driving = f'<lane id="{side}" type="driving" level="false"><link/>{_width(3.5)}{_mark(*road.edge)}</lane>'
    walk = f'<lane id="{2 * side}" type="sidewalk" level="false"><link/>{_width(2.0)}{_mark("none", "white")}</lane>'
    lanes = [driving, walk] if road.sidewalk else [driving]
    return "".join(lanes if side < 0 else reversed(lanes))


def _width(metres: float) -> str:
    return f'<width sOffset="0" a="{metres}" b="0" c="0" d="0"/>'


def _mark(kind: str, colour: str) -> str:
    return f'<roadMark sOffset="0" type="{kind}" weight="standard" color="{colour}" width="0.15" laneChange="none"/>'
