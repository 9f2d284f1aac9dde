"""Reading OpenDRIVE text that may be damaged, before the client library, which trusts its input, sees it."""

import math
import xml.etree.ElementTree as ET
from pathlib import Path

from td3_hpc.errors import BadInput

MAX_BYTES = 256 * 2**20

_NUMBERS = {
    "road": ("length",),
    "geometry": ("s", "x", "y", "hdg", "length"),
    "arc": ("curvature",),
    "spiral": ("curvStart", "curvEnd"),
    "elevation": ("s", "a", "b", "c", "d"),
    "superelevation": ("s", "a", "b", "c", "d"),
    "laneOffset": ("s", "a", "b", "c", "d"),
    "laneSection": ("s",),
    "width": ("sOffset", "a", "b", "c", "d"),
    "signal": ("s", "t"),
    "signalReference": ("s", "t"),
    "object": ("s", "t"),
    "poly3": ("a", "b", "c", "d"),
    "paramPoly3": ("aU", "bU", "cU", "dU", "aV", "bV", "cV", "dV"),
}
"""Attributes that must be finite numbers."""
_SHAPES = frozenset({"line", "arc", "spiral", "poly3", "paramPoly3"})
_GAP = 1.0  # Between the end of one geometry and the next one's start, metres.
_REACH = 1e6  # Farther from the origin, metres, single precision no longer resolves a lane.


def read_opendrive(path: Path) -> str:
    """The text of an OpenDRIVE file. Raises BadInput naming the file and the reason where it cannot be read."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BadInput(f"{path}: larger than {MAX_BYTES >> 20} MiB, no OpenDRIVE file")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: damaged, not UTF-8 text at byte {error.start}") from None


def parse_opendrive(text: str, source: str) -> ET.Element:
    """The root element of OpenDRIVE text whose roads can be built.

    Raises BadInput, naming `source` and what is wrong: no XML, another format, no road, a number missing or not
    finite, a piece of a road or what something refers to (a road, lane, junction, signal) that is not there.
    """
    if len(text) > MAX_BYTES:
        raise BadInput(f"{source}: larger than {MAX_BYTES >> 20} MiB, no OpenDRIVE file")
    if "<!DOCTYPE" in text or "<!ENTITY" in text or "\0" in text:
        raise BadInput(f"{source}: document type declarations and NUL characters are not allowed in OpenDRIVE")
    try:
        root = ET.fromstring(text)
    except (ET.ParseError, ValueError) as error:
        raise BadInput(f"{source}: damaged, not well-formed XML ({error})") from None
    if root.tag != "OpenDRIVE":
        raise BadInput(f"{source}: not OpenDRIVE, its root element is <{root.tag[:40]}>")
    fault = _numbers_fault(root) or _roads_fault(root)
    if fault:
        raise BadInput(f"{source}: damaged, {fault}")
    return root


def _numbers_fault(root: ET.Element) -> str | None:
    for tag, names in _NUMBERS.items():
        for element in root.iter(tag):
            for name in names:
                if not _is_finite(element.get(name)):
                    return f"{name}={element.get(name)!r} of a <{tag}> is not a finite number"
    return None


def _is_finite(value: str | None) -> bool:
    try:
        return value is not None and math.isfinite(float(value))
    except ValueError:
        return False


def _roads_fault(root: ET.Element) -> str | None:
    roads: dict[str, ET.Element] = {}
    for road in root.findall("road"):
        name = road.get("id", "")
        if not _is_id(name):
            return f"id={name!r} of a <road> is not a number"
        if name in roads:
            return f"two roads have the id {name}"
        roads[name] = road
    if not roads:
        return "it has no road"
    junctions = [junction.get("id", "") for junction in root.findall("junction")]
    for name in junctions:
        if not _is_id(name):
            return f"id={name!r} of a <junction> is not a number"
    for name, road in roads.items():
        fault = _shape_fault(road) or _lanes_fault(road) or _links_fault(road, roads, set(junctions))
        if fault:
            return f"road {name}: {fault}"
    return _junctions_fault(root, roads) or _controllers_fault(root)


def _is_id(text: str | None) -> bool:
    return text is not None and text.isascii() and text.isdigit() and int(text) < 2**31


def _is_lane_id(text: str | None) -> bool:
    return text is not None and _is_id(text.removeprefix("-")) and abs(int(text)) < 256


def _shape_fault(road: ET.Element) -> str | None:
    geometries = road.findall("planView/geometry")
    if not geometries or float(road.attrib["length"]) <= 0.0:
        return "it has no length"
    for geometry in geometries:
        if not any(child.tag in _SHAPES for child in geometry):
            return "a <geometry> has no shape"
        if max(abs(float(geometry.attrib[key])) for key in ("x", "y", "length")) > _REACH:
            return f"a <geometry> lies more than {_REACH / 1000:g} km away"
        if float(geometry.attrib["length"]) < 0.0:
            return "a <geometry> has a negative length"
    end = 0.0
    for geometry in geometries:
        if abs(float(geometry.attrib["s"]) - end) > _GAP:
            return f"between s={end:g} and s={geometry.attrib['s']} it has no <geometry>, or two"
        end = float(geometry.attrib["s"]) + float(geometry.attrib["length"])
    if abs(end - float(road.attrib["length"])) > _GAP:
        return f"its length is {road.attrib['length']}, but its geometries end at s={end:g}"
    return None


def _lanes_fault(road: ET.Element) -> str | None:
    sections = road.findall("lanes/laneSection")
    if not sections:
        return "it has no lanes"
    for section in sections:
        lanes = section.findall("*/lane")
        ids = [lane.get("id") for lane in lanes]
        if not lanes:
            return "a lane section has no lanes"
        if not all(_is_lane_id(name) for name in ids):
            return "a lane has no number"
        numbers = sorted(int(name or 0) for name in ids)
        if numbers != list(range(numbers[0], numbers[-1] + 1)) or 0 not in numbers:
            return f"its lanes {', '.join(map(str, numbers))} are not numbered without gaps from the middle"
        for lane in lanes:
            if lane.get("id") != "0" and lane.find("width") is None:
                return f"lane {lane.get('id')} has no width"
    return None


def _links_fault(road: ET.Element, roads: dict[str, ET.Element], junctions: set[str]) -> str | None:
    if road.get("junction", "-1") not in junctions | {"-1"}:
        return f"its junction {road.get('junction')} is not there"
    for link in road.findall("link/predecessor") + road.findall("link/successor"):
        target, kind = link.get("elementId"), link.get("elementType")
        if target not in (junctions if kind == "junction" else roads):
            return f"its {link.tag}, {kind} {target}, is not there"
    for link in road.findall(".//lane/link/*"):
        if not _is_lane_id(link.get("id")):
            return f"the {link.tag} of a lane is no lane number"
    return None


def _junctions_fault(root: ET.Element, roads: dict[str, ET.Element]) -> str | None:
    for junction in root.findall("junction"):
        for connection in junction.findall("connection"):
            for role in ("incomingRoad", "connectingRoad"):
                if connection.get(role) not in roads:
                    return f"junction {junction.get('id')}: its {role} {connection.get(role)} is not there"
            for link in connection.findall("laneLink"):
                if not (_is_lane_id(link.get("from")) and _is_lane_id(link.get("to"))):
                    return f"junction {junction.get('id')}: a lane link has no lane numbers"
    return None


def _controllers_fault(root: ET.Element) -> str | None:
    signals = {signal.get("id") for signal in root.iter("signal")}
    for controller in root.findall("controller"):
        for control in controller.findall("control"):
            if control.get("signalId") not in signals:
                return f"controller {controller.get('id')}: its signal {control.get('signalId')} is not there"
    return None
