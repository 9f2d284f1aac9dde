"""Which towns there are, and loading one: our own two, a folder's (`--maps`), or any OpenDRIVE file."""

import difflib
from functools import partial
from importlib import resources
from pathlib import Path

import carla

from td3_hpc.errors import BadInput
from td3_hpc.roads.client_map import ClientLanes
from td3_hpc.roads.healing import OpenDrive, heal_opendrive
from td3_hpc.roads.lanes import lane_graph
from td3_hpc.roads.reading import parse_opendrive, read_opendrive
from td3_hpc.simulator.towns.edges import find_edge_objects
from td3_hpc.simulator.towns.signals import find_give_way, find_signal_groups, find_signs, find_traffic_lights
from td3_hpc.simulator.towns.spawn_points import find_spawn_points
from td3_hpc.simulator.towns.speed_limits import SpeedLimits
from td3_hpc.simulator.towns.town import Facts, Town
from td3_hpc.simulator.towns.trial import try_town

#: Where CARLA keeps its towns' roads: large maps, and those of imported packages, have folders of their own.
_IN_CARLA = "CarlaUE4/Content/*/Maps/**/OpenDrive/*.xodr"
_OWN = Path(str(resources.files("td3_hpc.simulator") / "own_towns"))


def available_towns(maps: Path | None) -> list[str]:
    """Names of the towns on offer, in alphabetical order. Raises BadInput for a folder without OpenDRIVE files."""
    return sorted(_files(maps))


def load_town(name_or_path: str, maps: Path | None) -> Town:
    """The town of that name, or in that OpenDRIVE file.

    Raises BadInput, naming the town and what there is, or the file and what is wrong in it.
    """
    if name_or_path.endswith(".xodr"):
        path = Path(name_or_path)
        return parse_foreign_town(path.stem, read_opendrive(path), str(path))
    files = _files(maps)
    # CARLA's maps in layers have the roads of the town whose name they carry.
    file = files.get(name_or_path) or files.get(name_or_path.removesuffix("_Opt"))
    if file is None:
        near = difflib.get_close_matches(name_or_path, files, 1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise BadInput(
            f"town {name_or_path}: there is none of this name; {hint}there are {', '.join(sorted(files))}; "
            "or give the path of an .xodr file"
        )
    if file.parent != _OWN:
        return parse_foreign_town(name_or_path, read_opendrive(file), str(file))
    text = read_opendrive(file)
    return _town(name_or_path, OpenDrive(text, parse_opendrive(text, str(file)), ()), str(file))


def parse_foreign_town(name: str, text: str, source: str = "the OpenDRIVE text") -> Town:
    """As `parse_town`, for text that may be damaged: tried first in a process of its own."""
    try_town(text, source)
    return parse_town(name, text, source)


def parse_town(name: str, text: str, source: str = "the OpenDRIVE text") -> Town:
    """A town from OpenDRIVE text, healed. Raises BadInput naming `source`, what is wrong and what to do."""
    return _town(name, heal_opendrive(text, source), source)


def _town(name: str, opendrive: OpenDrive, source: str) -> Town:
    try:
        road_map = carla.Map(name, opendrive.text)
    except RuntimeError as error:
        raise BadInput(f"{source}: the client library cannot build its roads ({error})") from None
    lanes = ClientLanes(road_map, lane_graph(opendrive.root))
    if not lanes.starts:
        raise BadInput(f"{source}: it has no driving lane; give a lane the type driving")
    lights, signs = find_traffic_lights(road_map, lanes), find_signs(road_map, lanes)
    limits = [
        (place.road_id, place.lane_id, place.s, float(sign.kind.rpartition(".")[2]))
        for sign in signs
        if sign.kind.startswith("traffic.speed_limit.")
        for place in sign.stop_places
    ]
    return Town(
        name,
        opendrive,
        road_map,
        Facts(
            find_spawn_points(lanes),
            lights,
            find_signal_groups(opendrive.root, lights),
            signs,
            find_give_way(road_map, lanes, signs, lights),
            partial(find_edge_objects, road_map, lanes),
            SpeedLimits(opendrive.root, road_map, lanes, limits).at,
        ),
    )


def _files(maps: Path | None) -> dict[str, Path]:
    files = {path.stem: path for path in sorted(_OWN.glob("*.xodr"))}
    if maps is not None:
        found = {path.stem: path for path in sorted(maps.glob(_IN_CARLA)) or sorted(maps.glob("*.xodr"))}
        if not found:
            raise BadInput(f"--maps {maps}: no OpenDRIVE (.xodr) files there, nor in {maps / _IN_CARLA}")
        files.update(found)
    return files
