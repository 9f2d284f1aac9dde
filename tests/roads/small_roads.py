"""Small OpenDRIVE texts, put together from pieces that a test may change."""

MARK = '<roadMark sOffset="0" type="solid" color="white" width="0.1"/>'
CENTRE = '<center><lane id="0" type="none" level="false"><roadMark sOffset="0" type="none"/></lane></center>'
WIDTH = '<width sOffset="0" a="3.5" b="0" c="0" d="0"/>'


def lane(number: int, link: str = "", width: str = WIDTH, mark: str = MARK, kind: str = "driving") -> str:
    """One lane; `link` holds its predecessor and successor."""
    return f'<lane id="{number}" type="{kind}" level="false"><link>{link}</link>{width}{mark}</lane>'


def to(number: int) -> str:
    """A lane's successor."""
    return f'<successor id="{number}"/>'


def back(number: int) -> str:
    """A lane's predecessor."""
    return f'<predecessor id="{number}"/>'


def section(s: float, left: str, right: str, centre: str = CENTRE) -> str:
    """One lane section."""
    lefts = f"<left>{left}</left>" if left else ""
    return f'<laneSection s="{s}">{lefts}{centre}<right>{right}</right></laneSection>'


BOTH = section(0, lane(1), lane(-1))
"""One lane each way."""


def road(
    number: int | str,
    length: float,
    sections: str = BOTH,
    link: str = "",
    signals: str = "",
    junction: int | str = -1,
    shape: str = "<line/>",
    x: float = 0.0,
    y: float = 0.0,
    heading: float = 0.0,
    elevation: str = "",
) -> str:
    """A road of one geometry."""
    return (
        f'<road name="r" length="{length}" id="{number}" junction="{junction}"><link>{link}</link>'
        f'<planView><geometry s="0" x="{x}" y="{y}" hdg="{heading}" length="{length}">{shape}</geometry></planView>'
        f"<elevationProfile>{elevation}</elevationProfile><lateralProfile/><lanes>{sections}</lanes>"
        f"<signals>{signals}</signals></road>"
    )


def next_road(number: int | str, contact: str = "start", kind: str = "road", side: str = "successor") -> str:
    """A road's link."""
    point = f' contactPoint="{contact}"' if contact else ""
    return f'<{side} elementType="{kind}" elementId="{number}"{point}/>'


def signal(number: str, kind: str, s: float, more: str = "", value: str = "-1") -> str:
    """A signal for lane -1."""
    return (
        f'<signal id="{number}" name="s" s="{s}" t="-4" zOffset="2" orientation="+" dynamic="no" country="OpenDRIVE" '
        f'type="{kind}" value="{value}" height="1" width="1" {more or "subtype=" + chr(34) + "-1" + chr(34)}>'
        '<validity fromLane="-1" toLane="-1"/></signal>'
    )


def town(*parts: str, attributes: str = "") -> str:
    """The whole text."""
    header = '<header revMajor="1" revMinor="4" name="m" version="1" north="0" south="0" east="0" west="0"/>'
    return f'<?xml version="1.0"?><OpenDRIVE{attributes}>{header}{"".join(parts)}</OpenDRIVE>'
