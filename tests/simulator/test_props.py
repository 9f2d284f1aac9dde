"""CARLA's props: found, spawned, met and seen."""

import pytest

from td3_hpc.simulator.geometry import Pose
from td3_hpc.simulator.props import FLAT, PROPS, size_of
from tests.conftest import SimulatorServer
from tests.simulator.protocol import run_client
from tests.simulator.worlds import car_at, flat_world


def test_every_prop_of_carla_is_spawned_with_its_box(hamlet_server: SimulatorServer):
    told = run_client(
        """
world = client.reload_world(False)
place = world.get_map().get_spawn_points()[0]
found = {}
for number, blueprint in enumerate(world.get_blueprint_library().filter("static.prop.*")):
    place.location.z += 30.0
    prop = world.spawn_actor(blueprint, place)
    size, extent = blueprint.get_attribute("size"), prop.bounding_box.extent
    found[prop.type_id] = [[extent.x, extent.y, extent.z], str(size.as_str()), size.is_modifiable]
tell(found)
""",
        hamlet_server.port,
    )
    assert len(told) == 98
    for name, sides in PROPS.items():
        extent, size, modifiable = told[f"static.prop.{name}"]
        assert [2.0 * half for half in extent] == pytest.approx(sides, abs=1e-6)
        assert (size, modifiable) == (size_of(name), False)


def test_a_prop_is_seen_as_its_box(hamlet_server: SimulatorServer):
    told = run_client(
        """
world = client.reload_world(False)
library, place = world.get_blueprint_library(), world.get_map().get_spawn_points()[0]
place.location.z -= 0.3
eye = library.find("sensor.camera.depth")
for name, value in (("image_size_x", "21"), ("image_size_y", "21"), ("fov", "10")):
    eye.set_attribute(name, value)
camera = world.spawn_actor(eye, carla.Transform(place.location + carla.Location(z=1.0), place.rotation))
pictures = collect(camera)
away = carla.Transform(place.location + 12.0 * place.get_forward_vector(), place.rotation)
machine = world.spawn_actor(library.find("static.prop.vendingmachine"), away)
world.tick()
blue, green, red, _ = bytes(pictures.get(timeout=20).raw_data)[4 * (10 * 21 + 10):][:4]
tell(1000.0 * (red + 256 * green + 65536 * blue) / (256 ** 3 - 1))
camera.stop()
""",
        hamlet_server.port,
    )
    assert told == pytest.approx(12.0 - PROPS["vendingmachine"][0] / 2.0, abs=0.1)


@pytest.mark.parametrize("name", ["streetbarrier", "vendingmachine", "dirtdebris01", "brokentile02"])
def test_a_car_meets_what_stands_and_drives_over_what_lies(name: str):
    world = flat_world()
    car_at(world, 100.0, speed=10.0)
    prop = world.spawn([0, f"static.prop.{name}", []], Pose(110.0, 1.75, 0.0))
    met = False
    for _ in range(60):
        world.step()
        met = met or any(contact.other is prop for contact in world.contacts)
    assert met == (PROPS[name][2] > FLAT)
