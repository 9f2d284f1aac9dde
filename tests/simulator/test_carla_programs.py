"""CARLA's own examples and utilities on the simulator: docs/simulators.md says what works, and the others name why not.

TD3_HPC_CARLA_API names the folder PythonAPI of CARLA 0.9.16. Its programs are copied and changed in the port alone;
their packages go into an environment of their own, which takes PyPI. There is no window: SDL draws into none.
"""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest

from tests.conftest import SimulatorServer, StartServer
from tests.simulator.carla_api import folder_of_api, make_interpreter, table
from tests.simulator.protocol import RawClient

TOWN = "Town10HD"  # CARLA's own choice
PACKAGES = (
    "carla==0.9.16", "numpy", "networkx", "shapely", "pygame", "matplotlib", "Pillow", "open3d", "psutil", "py-cpuinfo",
    "GPUtil", "python-tr", "imageio", "future",
)  # fmt: skip
LONGEST_S = 240.0
"""For what a program is to say first, on a machine that is busy."""
ENDS_IN_S = 60.0
"""After Ctrl-C."""


class Program(NamedTuple):
    """How a program is run, and how one sees that it does what it is for."""

    arguments: str = ""
    says: str = ""
    """A regular expression of its output, for which is waited."""
    seconds: float = 10.0
    """How long it goes on then; it is ended by Ctrl-C, unless it has ended itself."""


HUD = Program("--res 320x240", "listening to server")
"""Programs with a window: they draw what the camera sees until they are closed."""
PROGRAMS: dict[str, Program] = {
    "examples/V2XDemo.py": HUD,
    "examples/automatic_control.py": Program("--res 320x240 --sync", "listening to server", 20.0),
    "examples/bounding_boxes.py": Program("--res 320x240", "Bounding boxes script", 30.0),
    "examples/client_bounding_boxes.py": Program("", "Hello from the pygame", 20.0),
    "examples/draw_skeleton.py": Program("--res 320x240"),
    "examples/dynamic_weather.py": Program("", r"Sun\(alt: .*Storm\(clouds"),
    "examples/generate_traffic.py": Program("-n 10 -w 5 --tm-port 8321", "spawned 10 vehicles and"),
    "examples/get_component_test.py": Program(),
    "examples/invertedai_traffic.py": Program(),
    "examples/lidar_to_camera.py": Program("--frames 20"),
    "examples/manual_control.py": HUD,
    "examples/manual_control_carsim.py": HUD,
    "examples/manual_control_chrono.py": HUD,
    "examples/manual_control_fisheye.py": HUD,
    "examples/manual_control_steeringwheel.py": HUD,
    "examples/no_rendering_mode.py": Program("--res 320x240", "listening to server"),
    "examples/open3d_lidar.py": Program(),
    "examples/sensor_synchronization.py": Program(),
    "examples/show_recorder_actors_blocked.py": Program(),
    "examples/show_recorder_collisions.py": Program(),
    "examples/show_recorder_file_info.py": Program(),
    "examples/start_recording.py": Program(),
    "examples/start_replaying.py": Program(),
    "examples/synchronous_mode.py": Program("", "Hello from the pygame", 20.0),
    "examples/test_addsecondvx.py": Program(),
    "examples/tutorial.py": Program("", "destroying actors\ndone", 0.0),
    "examples/tutorial_gbuffer.py": Program(),
    "examples/vehicle_gallery.py": Program("", r"vehicle\.\w+\.\w+\nvehicle\.\w+\.\w+", 1.0),
    "examples/vehicle_physics.py": Program("", r"Adding a Force .*", 30.0),
    "examples/visualize_multiple_sensors.py": Program(),
    "util/apply_texture.py": Program("-d texture.png -o scenery_1", "scenery_1"),
    "util/check_collisions_substepping.py": Program("", r"(Testing Determinism(.|\n)*){7}", 5.0),
    "util/check_lidar_bb.py": Program(),
    "util/check_map.py": Program("", r"Crosswalks found: \d+", 1.0),
    "util/check_raycast_sensors_determinism.py": Program(),
    "util/config.py": Program("--inspect --list --no-rendering", "sync mode:(.|\n)*available maps", 2.0),
    "util/environment.py": Program("--sun sunset --weather rain --cars All", "", 20.0),
    "util/extract_spawn_points.py": Program("-o .", "map spawn points extractor", 20.0),
    "util/lane_explorer.py": Program("-i", "Initial location"),
    "util/osm_to_xodr.py": Program("-i map.osm -o map.xodr", "", 20.0),
    "util/performance_benchmark.py": Program(
        "--maps Town01 --sensors 0 --weather 0 --ticks 20 --render_mode", r"'fps_mean': np.float64\(\d*[1-9]", 20.0
    ),
    "util/raycast_sensor_testing.py": Program("-ln 0 --res 320x240", "Hello from the pygame", 20.0),
    "util/test_connection.py": Program("--timeout 20", "CARLA 0.9.16 connected", 2.0),
    "util/vehicle_physics_tester.py": Program("--filter model3 --accel"),
}
OSM = """<?xml version="1.0" encoding="UTF-8"?>
<osm version="0.6"><bounds minlat="52.0" minlon="4.0" maxlat="52.01" maxlon="4.01"/>
<node id="1" lat="52.001" lon="4.001"/><node id="2" lat="52.002" lon="4.002"/><node id="3" lat="52.004" lon="4.003"/>
<way id="1"><nd ref="1"/><nd ref="2"/><nd ref="3"/><tag k="highway" v="residential"/></way></osm>
"""
"""One road, to be converted."""


class Row(NamedTuple):
    """What is said of a program."""

    file: str
    passes: bool
    reasons: tuple[str, ...]
    """Each is in what a program prints that does not pass."""


def rows() -> list[Row]:
    """The table of docs/simulators.md."""
    found = table(r"`((?:examples|util)/\w+\.py)` \| (yes|no)")
    return [Row(file, verdict == "yes", reasons) for (file, verdict), reasons in found]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of CARLA's folder."""
    named = folder_of_api("programs", "examples/tutorial.py")
    copy = Path(shutil.copytree(named, tmp_path_factory.mktemp("carla") / "PythonAPI"))
    (copy / "util" / "map.osm").write_text(OSM)
    cv2.imwrite(str(copy / "util" / "texture.png"), np.full((4, 4, 4), 255, np.uint8))
    return copy


@pytest.fixture(scope="module")
def interpreter(api: Path) -> Path:
    """A Python with the client library and what the programs ask for."""
    return make_interpreter(api.parent / "venv", PACKAGES)


@pytest.fixture(scope="module")
def server(api: Path, carla_maps: Path, simulator_server: StartServer) -> Iterator[SimulatorServer]:
    """A server of CARLA's towns, started as a user starts it, and its port in the programs."""
    started = simulator_server(TOWN, carla_maps, options=())
    for file in PROGRAMS:
        text = (api / file).read_text()
        (api / file).write_text(re.sub(r"(Client\(.*?, *|default='?)2000\b", rf"\g<1>{started.port}", text))
    yield started
    started.stop()


def test_the_table_has_every_program(api: Path) -> None:
    there = [f"{folder}/{file.name}" for folder in ("examples", "util") for file in (api / folder).glob("*.py")]
    assert sorted(row.file for row in rows()) == sorted(there) == sorted(PROGRAMS)


def run(row: Row, api: Path, interpreter: Path) -> tuple[str, bool]:
    """What a program says until it has done enough, or has said why it does not; and whether it ended."""
    program, output = PROGRAMS[row.file], api / "output"
    environment = {
        **os.environ, "SDL_VIDEODRIVER": "dummy", "SDL_AUDIODRIVER": "dummy", "MPLBACKEND": "Agg",
        "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(api / "carla"),
    }  # fmt: skip
    file = api / row.file
    command = [str(interpreter), file.name, *program.arguments.split()]
    former = signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background it may be ignored
    try:
        with output.open("wb") as into:
            process = subprocess.Popen(
                command, cwd=file.parent, env=environment, stdin=subprocess.DEVNULL, stdout=into, stderr=into
            )
    finally:
        signal.signal(signal.SIGINT, former)

    def enough() -> bool:
        text = output.read_text(errors="replace")
        return bool(re.search(program.says, text)) if row.passes else all(why in text for why in row.reasons)

    _wait(lambda: process.poll() is not None or enough(), LONGEST_S)
    _wait(lambda: process.poll() is not None, program.seconds if row.passes else 0.0)
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    ended = _wait(lambda: process.poll() is not None, ENDS_IN_S)
    process.kill()
    process.wait()
    return output.read_text(errors="replace"), ended


def _wait(over: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not over():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def raised(text: str) -> list[str]:
    """The exceptions of the tracebacks in a text, but for that of Ctrl-C."""
    found = re.findall(r"^Traceback .*\n(?:[ \t].*\n|\n)*(.+)$", text, re.M)
    return [line for line in found if not line.startswith("KeyboardInterrupt")]


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("row", rows(), ids=lambda row: row.file)
def test_a_program_does_what_the_table_says(
    row: Row, api: Path, interpreter: Path, server: SimulatorServer, carla_maps: Path
) -> None:
    there = [why for why in row.reasons if (carla_maps / f"{why}.xodr").exists()]
    if there and not row.passes:
        pytest.skip(f"the table is of a folder without {', '.join(there)}")
    with RawClient(server.port) as client:
        client.call("load_new_episode", TOWN, True)
    text, ended = run(row, api, interpreter)
    if row.passes:
        assert raised(text) == [], text
        assert "terminate called after" not in text, text  # without an exception: at exit, with a callback that runs
        assert re.search(PROGRAMS[row.file].says, text), text
        assert ended, f"it does not end on Ctrl-C: {text}"
    else:
        assert row.reasons, "the table gives no reason"
        assert [why for why in row.reasons if why not in text] == [], text
