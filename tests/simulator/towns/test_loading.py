"""Which towns there are, and loading them: our own, a folder's, a CARLA installation's, any file."""

import re
from pathlib import Path

import pytest

from td3_hpc.errors import BadInput
from td3_hpc.simulator.towns import available_towns, load_town, parse_town
from tests.simulator.opendrive_text import Road, opendrive_text

STREET = opendrive_text([Road(0.0, 0.0, 0.0, 300.0)])
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


def test_a_file_on_which_the_client_library_crashes(tmp_path: Path, carla_maps: Path):
    text = (carla_maps / "Town01.xodr").read_text()
    (tmp_path / "cut.xodr").write_text(re.sub(r"<connection .*?</connection>", "", text, count=1, flags=re.S))
    with pytest.raises(BadInput, match=r"cut\.xodr: damaged, the client library crashes on its roads"):
        load_town(str(tmp_path / "cut.xodr"), None)


def test_carlas_towns(carla_maps: Path):
    """Lights, signs, limits, hills of two towns that CARLA publishes."""
    first, fourth = load_town("Town01", carla_maps), load_town("Town04", carla_maps)
    assert len(first.traffic_lights) == 36  # as many as CARLA shows
    assert all(len(group.phases) > 1 for group in first.signal_groups)
    heights = [pose.z for pose in fourth.spawn_points]
    assert max(heights) - min(heights) > 9.0
    limits = {fourth.speed_limit_kmh(w.road_id, w.lane_id, w.s) for w, _ in fourth.map.get_topology()}
    assert {30.0, 90.0} <= limits
