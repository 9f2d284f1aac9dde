"""Which towns there are, and loading them: our own, a folder's, a CARLA installation's, any file."""

import math
import re
from pathlib import Path

import pytest

from td3_hpc.errors import BadInput
from td3_hpc.simulator.towns import available_towns, load_town, parse_town
from tests.roads.small_roads import back, lane, road, section, signal, to, town
from tests.simulator.opendrive_text import Road, opendrive_text

STREET = opendrive_text([Road(0.0, 0.0, 0.0, 300.123)])
IN_CARLA = "CarlaUE4/Content/Carla/Maps/OpenDrive"


@pytest.fixture
def maps(tmp_path: Path) -> Path:
    (tmp_path / "Street.xodr").write_text(STREET)
    return tmp_path


def test_our_own_towns_are_always_there(maps: Path):
    assert available_towns(None) == ["Brookfield", "Hamlet"]
    assert available_towns(maps) == ["Brookfield", "Hamlet", "Street"]


def test_a_folder_offers_its_files_by_name(maps: Path):
    assert load_town("Street", maps).full_name == "Carla/Maps/Street"
    assert load_town("Hamlet", maps).name == "Hamlet"


def test_a_carla_installation_offers_its_own_towns(tmp_path: Path):
    (tmp_path / IN_CARLA).mkdir(parents=True)
    (tmp_path / IN_CARLA / "Town07.xodr").write_text(STREET)
    (tmp_path / "elsewhere.xodr").write_text("not a town")
    assert available_towns(tmp_path) == ["Brookfield", "Hamlet", "Town07"]
    assert len(load_town("Town07", tmp_path).spawn_points) > 10


def test_large_maps_and_imported_packages_of_an_installation_are_offered(tmp_path: Path):
    for folder, name in (("Carla/Maps", "Town07"), ("Carla/Maps/Town12", "Town12"), ("package/Maps/Mine", "Mine")):
        (tmp_path / "CarlaUE4/Content" / folder / "OpenDrive").mkdir(parents=True)
        (tmp_path / "CarlaUE4/Content" / folder / "OpenDrive" / f"{name}.xodr").write_text(STREET)
    assert available_towns(tmp_path) == ["Brookfield", "Hamlet", "Mine", "Town07", "Town12"]
    assert load_town("Town12", tmp_path).full_name == "Carla/Maps/Town12"


def test_a_map_in_layers_is_the_town_under_its_own_name(maps: Path):
    assert load_town("Street_Opt", maps).full_name == "Carla/Maps/Street_Opt"
    assert load_town("Street_Opt", maps).opendrive == load_town("Street", maps).opendrive
    (maps / "Street_Opt.xodr").write_text(opendrive_text([Road(0.0, 0.0, 0.0, 100.0)]))
    assert load_town("Street_Opt", maps).opendrive != load_town("Street", maps).opendrive
    assert available_towns(maps) == ["Brookfield", "Hamlet", "Street", "Street_Opt"]


def test_a_file_needs_no_folder(maps: Path):
    assert load_town(str(maps / "Street.xodr"), None).name == "Street"


def test_a_folders_town_stands_for_ours_of_the_same_name(maps: Path):
    (maps / "Hamlet.xodr").write_text(STREET)
    assert load_town("Hamlet", maps).opendrive == STREET


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Hamlett", "did you mean Hamlet? there are Brookfield, Hamlet, Street; or give the path of an .xodr file"),
        ("Atlantis", "town Atlantis: there is none of this name; there are Brookfield"),
        ("lost.xodr", "lost.xodr: cannot be read (No such file or directory)"),
    ],
)
def test_a_town_that_does_not_exist(maps: Path, name: str, message: str):
    with pytest.raises(BadInput) as caught:
        load_town(name, maps)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("folder", ["empty", "missing"])
def test_a_folder_without_towns(tmp_path: Path, folder: str):
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match=f"--maps .*{folder}: no OpenDRIVE"):
        available_towns(tmp_path / folder)


def test_roads_on_which_nobody_may_drive():
    text = STREET.replace('type="driving"', 'type="sidewalk"')
    with pytest.raises(BadInput, match="it has no driving lane"):
        parse_town("Street", text)


def test_a_town_without_one_of_its_connections(tmp_path: Path, carla_maps: Path):
    """The client library reads beyond an empty list where a lane leads nowhere; nobody here asks it to."""
    text = (carla_maps / "Town01.xodr").read_text()
    (tmp_path / "cut.xodr").write_text(re.sub(r"<connection .*?</connection>", "", text, count=1, flags=re.S))
    assert len(load_town(str(tmp_path / "cut.xodr"), None).spawn_points) > 300


CASES = {
    "two sections": road(
        1, 600.1, section(0, lane(1, to(1)), lane(-1, to(-1))) + section(200, lane(1, back(1)), lane(-1))
    ),
    "a dead end": road(1, 300.1),
    "a stop sign at the road's end": road(1, 100, section(0, "", lane(-1)), signals=signal("7", "206", 100)),
    "a light on a straight road": road(1, 100, signals=signal("7", "1000001", 50)),
    "no marks": road(1, 900.1, section(0, lane(1, mark=""), lane(-1, mark=""))),
    "one lane of 100 m": road(1, 100, section(0, "", lane(-1))),
    "an arc without curvature": road(1, 300.1, shape='<arc curvature="0.0"/>'),
}


@pytest.mark.parametrize("case", CASES)
def test_valid_files_of_every_kind_load(tmp_path: Path, case: str):
    (tmp_path / "Case.xodr").write_text(town(CASES[case]))
    loaded = load_town(str(tmp_path / "Case.xodr"), None)
    assert len(loaded.spawn_points) >= 5
    assert len(loaded.traffic_lights) == (case == "a light on a straight road")
    assert len(loaded.signs) == (case == "a stop sign at the road's end")


def test_spawn_points_lie_on_the_lane_that_they_were_drawn_from():
    """A lane of a road with two sections ends with its section: no two vehicles appear in one place."""
    places = [pose[:2] for pose in parse_town("Case", town(CASES["two sections"])).spawn_points]
    assert min(math.dist(a, b) for i, a in enumerate(places) for b in places[:i]) > 3.0
    assert min(abs(a[0] - b[0]) for i, a in enumerate(places) for b in places[:i] if a[1] == b[1]) > 10.0


@pytest.mark.parametrize("name", ["Town03", "Town10HD", "rr_figure8_lights", "lgsvl_cubetown"])
def test_other_peoples_maps(carla_maps: Path, name: str):
    if not (carla_maps / f"{name}.xodr").is_file():
        pytest.skip(f"no {name}.xodr in {carla_maps}")
    assert len(load_town(str(carla_maps / f"{name}.xodr"), None).spawn_points) > 50


def test_carlas_towns(carla_maps: Path):
    """Lights, signs, limits, hills of two towns that CARLA publishes."""
    first, fourth = load_town("Town01", carla_maps), load_town("Town04", carla_maps)
    assert len(first.traffic_lights) == 36  # as many as CARLA shows
    assert all(len(group.phases) > 1 for group in first.signal_groups)
    heights = [pose.z for pose in fourth.spawn_points]
    assert max(heights) - min(heights) > 9.0
    limits = {fourth.speed_limit_kmh(w.road_id, w.lane_id, w.s) for w, _ in fourth.map.get_topology()}
    assert {30.0, 90.0} <= limits
