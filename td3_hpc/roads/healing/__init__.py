"""Healing: what is valid OpenDRIVE, or nearly, and yet harms the client library, is written so that it does not.

No healing moves a road or a lane by more than a hair's breadth. Each is done once, in the text that is served, and
each kind is told in one line.

naming.py   namespaces; ids that the client library cannot read or takes for each other
shapes.py   geometries, lengths, elevations
lanes.py    layers, sections, borders, widths, markings
links.py    what follows what: roads and lanes
junctions.py  junctions, direct ones too;  stubs.py  the shortest of roads, between two others
signals.py  signals, references, controllers
"""

import xml.etree.ElementTree as ET
from typing import NamedTuple

from td3_hpc.errors import BadInput
from td3_hpc.roads.faults import find_fault, find_left_traffic
from td3_hpc.roads.healing.lanes import heal_lanes, heal_layers
from td3_hpc.roads.healing.links import heal_links
from td3_hpc.roads.healing.naming import heal_names
from td3_hpc.roads.healing.shapes import heal_shapes
from td3_hpc.roads.healing.signals import heal_signals
from td3_hpc.roads.notes import Notes, one_line
from td3_hpc.roads.reading import parse_opendrive

__all__ = ["OpenDrive", "heal_opendrive"]


class OpenDrive(NamedTuple):
    """OpenDRIVE text that the client library can read."""

    text: str
    """As it is served: the original where nothing had to be healed."""
    root: ET.Element
    """Of `text`."""
    healed: tuple[str, ...]
    """What was healed, a line for each kind."""


def heal_opendrive(text: str, source: str) -> OpenDrive:
    """The text, healed. Raises BadInput, naming `source`, the road and what to do, for what cannot be healed."""
    root = parse_opendrive(text, source)
    notes = Notes()
    for heal in (heal_names, heal_layers, heal_shapes, heal_lanes):
        heal(root, notes)
    left_traffic = find_left_traffic(root)
    for heal in (heal_links, heal_signals):
        heal(root, notes)
    fault = find_fault(root) or left_traffic
    if fault:
        raise BadInput(f"{source}: {one_line(fault)}")
    if not notes:
        return OpenDrive(text, root, ())
    return OpenDrive('<?xml version="1.0"?>\n' + ET.tostring(root, encoding="unicode"), root, notes.lines())
