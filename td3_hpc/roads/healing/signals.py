"""Signals at a road's end, references to none, and the codes of signs in the words that the client library knows.

The client library knows four types: 1000001 (a traffic light), 206 (stop), 205 (yield) and 274 (a speed limit, its
value in km/h). `SignalType::GetTypes` lists others, which it never asks for.
"""

import re
import xml.etree.ElementTree as ET

from td3_hpc.roads.elements import lane_id, lanes_of, number, sections_of, written
from td3_hpc.roads.notes import Notes

LIGHT, STOP, YIELD, SPEED = "1000001", "206", "205", "274"
_INSET = 0.01  # Before a road's end, where the client library finds its lanes, m.
_BEYOND = 5.0  # A signal farther outside its road than this is not the road's, m.

#: Of OpenDRIVE (its signal base): lights of two and three lamps for vehicles, with and without arrows. Lights for
#: pedestrians, bicycles and trams, and single lamps, stop no car. German signs have numbers, US signs MUTCD's codes.
_KNOWN = {
    **dict.fromkeys(("1000001", "1000009", "1000010", "1000011"), LIGHT),
    **dict.fromkeys(("206", "R1-1"), STOP),
    **dict.fromkeys(("205", "R1-2"), YIELD),
    **dict.fromkeys(("274", "R2-1"), SPEED),
}
_KMH = {"": 1.0, "km/h": 1.0, "kmh": 1.0, "kph": 1.0, "mph": 1.609344, "m/s": 3.6}
#: The German catalogue until 2017 numbered the limits: 274-53 is 30 km/h. Since then a subtype is its limit.
_CODED_KMH = {50 + tens: 10.0 * tens for tens in range(1, 14)}
_FASTEST_KMH = 400.0
_NEAR = 30.0  # A junction that is nearer than this is the one that a light is about, m.


def heal_signals(root: ET.Element, notes: Notes) -> None:
    """Every signal on its road and in the client library's words; references only to signals that are there."""
    _name_signals(root, notes)
    kinds = {signal.get("id"): signal for signal in root.iter("signal")}
    for road in root.findall("road"):
        _heal_objects(road, notes)
        length, signals = number(road, "length"), road.find("signals")
        if signals is None or length is None:
            continue
        for signal in list(signals):
            place = f"road {road.get('id')} signal {signal.get('id')}"
            if _place_on_road(signal, length, notes, place):
                _translate(signal, notes, place)
                _add_validity(signal, kinds, road, notes, place)
            else:
                signals.remove(signal)
                notes.add("signals beyond their road's ends are left out", place)
    _drop_references(root, notes)


def _heal_objects(road: ET.Element, notes: Notes) -> None:
    """Of objects the client library reads crosswalks alone."""
    objects, length = road.find("objects"), number(road, "length")
    if objects is None:
        return
    for item in objects.findall("object"):
        place, s = f"road {road.get('id')} object {item.get('id')}", number(item, "s")
        if s is None or number(item, "t") is None:
            objects.remove(item)
            notes.add("objects whose place is no number are left out", place)
        elif item.get("type") == "crosswalk":
            if unwrap_outline(item):
                notes.add("crosswalks have the outline where OpenDRIVE 1.4 has it", place)
            elif item.find("outline") is None:
                ET.SubElement(item, "outline")  # Else the client library gives it the corners of the one before.
                notes.add("crosswalks without an outline have an empty one", place)
            if length is not None and not 0.0 <= s <= length:
                item.set("s", written(min(max(s, 0.0), length)))
                notes.add("crosswalks beyond their road's ends stand at the end", place)


def unwrap_outline(item: ET.Element) -> bool:
    """Give an object its first outline as a child, where 1.4 and the client library have it; whether it had not."""
    outlines = item.find("outlines")
    if outlines is None or item.find("outline") is not None:
        return False
    item[list(item).index(outlines) : list(item).index(outlines) + 1] = outlines.findall("outline")[:1]
    return True


def _name_signals(root: ET.Element, notes: Notes) -> None:
    """An id of its own for every signal that has none, or another's: the client library keeps one signal of an id.

    Lights of one id stay one light, which stops the traffic of several roads.
    """
    taken = {signal.get("id") for signal in root.iter("signal")}
    free = (str(count) for count in range(1, 10**9) if str(count) not in taken)
    first: dict[str, ET.Element] = {}
    for road in root.findall("road"):
        for signal in road.findall("signals/signal"):
            name = signal.get("id")
            if not name:
                signal.set("id", next(free))
                notes.add("signals without an id got one", f"road {road.get('id')} signal {signal.get('id')}")
            elif name in first and not (_is_light(signal) and _is_light(first[name])):
                signal.set("id", next(free))
                notes.add("signals with another one's id got one", f"road {road.get('id')} signal {name}")
            else:
                first.setdefault(name, signal)


def _is_light(signal: ET.Element) -> bool:
    return _KNOWN.get(_code_of(signal)) == LIGHT


def _code_of(signal: ET.Element) -> str:
    """A signal's type in capitals; OpenDRIVE 1.3 wrote 1.000.001 for 1000001."""
    code = (signal.get("type") or "").strip().upper()
    return code.replace(".", "") if re.fullmatch(r"1\.000\.\d{3}", code) else code


def _place_on_road(signal: ET.Element, length: float, notes: Notes, place: str) -> bool:
    """Move a signal at, or a little beyond, a road's end onto the road; False for one that is nowhere near it.

    There the client library finds no lane (carla issue 2942, Scenic PR 16).
    """
    s = number(signal, "s")
    if s is None or signal.tag not in ("signal", "signalReference"):
        return True
    if s < -_BEYOND or s > length + _BEYOND:
        return False
    inset = min(_INSET, length / 4.0)
    if not 0.0 <= s <= length - inset / 2.0:
        signal.set("s", written(length - inset) if s > 0.0 else "0")
        notes.add("signals at a road's end stand a little before it", place)
    return True


def _translate(signal: ET.Element, notes: Notes, place: str) -> None:
    code = _code_of(signal)
    subtype = (signal.get("subtype") or "").strip()
    catalogued = re.fullmatch(r"(205|206|274)[-.](\d+)", code)
    if catalogued:
        code, subtype = catalogued.groups()
    known = _KNOWN.get(code)
    if known is None:
        return
    if known != signal.get("type"):
        notes.add("signals have the type that the client library knows them by", f"{place}: {signal.get('type')}")
        signal.set("type", known)
    if known == SPEED:
        _translate_limit(signal, subtype, code, notes, place)


def _translate_limit(signal: ET.Element, subtype: str, code: str, notes: Notes, place: str) -> None:
    """The limit's value in km/h; a sign that tells none stays without effect."""
    unit = (signal.get("unit") or ("mph" if code == "R2-1" else "")).strip().lower()
    value, coded = number(signal, "value"), _coded(subtype)
    if unit == "" and value is not None and coded is not None and abs(value * _KMH["m/s"] - coded) < 1.0:
        unit, value = "km/h", coded  # OpenDRIVE's m/s, as its subtype confirms
    limit = value * _KMH.get(unit, 1.0) if value is not None and value > 0.0 else coded
    if limit is None or not 0.0 < limit < _FASTEST_KMH:
        notes.add("speed limits that tell no speed are without effect", place)
        signal.set("type", "-1")
    elif abs(limit - (number(signal, "value") or 0.0)) > 1e-9:
        signal.set("value", written(limit))
        signal.set("unit", "km/h")
        notes.add("speed limits are written in km/h", f"{place}: {limit:.0f}")


def _coded(subtype: str) -> float | None:
    code = int(subtype) if subtype.isascii() and subtype.isdigit() and len(subtype) < 4 else 0
    if code % 10 == 0:
        return float(code) or None
    return _CODED_KMH.get(code)


def _add_validity(
    signal: ET.Element, kinds: dict[str | None, ET.Element], road: ET.Element, notes: Notes, place: str
) -> None:
    """The lanes of a signal that names none: those on its orientation's side.

    The client library takes those of the other side (`MapBuilder::GenerateDefaultValiditiesForSignalReferences`). Where
    the road leads into a junction near by, a light, stop or yield sign is for the lanes that lead there: some tools
    write the orientation that the signal faces.
    """
    original, s = kinds.get(signal.get("id"), signal), number(signal, "s")
    code = original.get("type", "")
    if s is None or code not in _KNOWN or signal.find("validity") is not None:
        return
    lanes = _driving_lanes(road, s)
    ends = {(-1): "successor", 1: "predecessor"}
    left = {-1: (number(road, "length") or 0.0) - s, 1: s}
    towards = [
        side
        for side, link in ends.items()
        if code != SPEED and left[side] < _NEAR and road.find(f"link/{link}[@elementType='junction']") is not None
    ]
    told = {"+": [-1], "-": [1]}.get(signal.get("orientation", ""), [-1, 1])
    for sides in (towards if len(towards) == 1 else told, told, [-1, 1]):
        valid = [[lane for lane in lanes if lane * side > 0] for side in sides]
        if any(valid):
            break
    for side in filter(None, valid):
        ET.SubElement(signal, "validity", {"fromLane": str(min(side)), "toLane": str(max(side))})
        notes.add("signals that name no lanes name those that they are for", place)


def _driving_lanes(road: ET.Element, s: float) -> list[int]:
    before = [section for section in sections_of(road) if (number(section, "s") or 0.0) <= s]
    lanes = lanes_of(before[-1]) if before else ()
    return [found for lane in lanes if lane.get("type") == "driving" and (found := lane_id(lane))]


def _drop_references(root: ET.Element, notes: Notes) -> None:
    signals = {signal.get("id") for signal in root.iter("signal")}
    controllers = {controller.get("id") for controller in root.findall("controller")}
    for road in root.findall("road"):
        _drop(road.find("signals"), "signalReference", "id", signals, notes, f"road {road.get('id')}")
    for controller in root.findall("controller"):
        _drop(controller, "control", "signalId", signals, notes, f"controller {controller.get('id')}")
    for junction in root.findall("junction"):
        _drop(junction, "controller", "id", controllers, notes, f"junction {junction.get('id')}")


def _drop(
    parent: ET.Element | None, tag: str, attribute: str, known: set[str | None], notes: Notes, place: str
) -> None:
    for element in parent.findall(tag) if parent is not None else []:
        if element.get(attribute) not in known and parent is not None:
            parent.remove(element)
            notes.add("references to signals and controllers that are not there are left out", place)
