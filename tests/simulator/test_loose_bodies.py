"""Walkers and props whose physics is simulated, against closed forms."""

import math

import pytest

from td3_hpc.simulator.actors import Actor
from td3_hpc.simulator.collisions import PROP_MASS
from td3_hpc.simulator.geometry import Pose
from td3_hpc.simulator.loose_bodies import FRICTION
from td3_hpc.simulator.vehicle import GRAVITY
from td3_hpc.simulator.world import World
from tests.conftest import SimulatorServer
from tests.simulator.protocol import run_client
from tests.simulator.worlds import DT, flat_world, run, slope_world


def body(world: World, z: float = 0.0, kind: str = "static.prop.box01") -> Actor:
    made = world.spawn([0, kind, []], Pose(100.0, 1.75, world.town.ground(100.0, 1.75, 0.0).z + z))
    made.simulates_physics = True
    return made


@pytest.mark.parametrize("kind", ["static.prop.box01", "walker.pedestrian.0001"])
def test_it_falls_as_long_as_a_stone_and_stays_on_the_ground(kind: str):
    world = slope_world(0.05)
    made = body(world, 10.0, kind)
    below = made.extent[2] - made.centre[2]
    steps = 0
    while made.velocity[2] < 0.0 or steps == 0:
        world.step()
        steps += 1
    assert steps * DT == pytest.approx(math.sqrt(2 * (10.0 - below) / GRAVITY), abs=2 * DT)
    run(world, 1.0)
    assert made.pose.z == pytest.approx(made.pose.x * 0.05 + below)
    assert made.velocity == (0.0, 0.0, 0.0)


def test_it_slides_as_far_as_friction_lets_it():
    world = flat_world()
    made = body(world)
    made.velocity = (6.0, 0.0, 0.0)
    run(world, 4.0)
    assert made.pose.x - 100.0 == pytest.approx(6.0**2 / (2 * FRICTION * GRAVITY), abs=6.0 * DT)
    assert made.velocity == (0.0, 0.0, 0.0)


def test_without_gravity_it_flies_straight_on():
    world = flat_world()
    made = body(world, 3.0)
    made.gravity = False
    made.velocity, made.yaw_rate = (1.0, 0.0, 0.5), math.radians(90.0)
    run(world, 2.0)
    assert made.pose[:3] == pytest.approx((102.0, 1.75, 4.0))
    assert abs(made.pose.yaw) == pytest.approx(180.0)


def test_a_client_pushes_what_simulates_physics_and_nothing_else(hamlet_server: SimulatorServer):
    told = run_client(
        """
world = client.reload_world(False)
library = world.get_blueprint_library()
points = world.get_map().get_spawn_points()
point = points[0]
point.location.z += 4.0
prop = world.spawn_actor(library.find("static.prop.box01"), point)
points[5].location.z += 1.0
walker = world.spawn_actor(library.find("walker.pedestrian.0001"), points[5])
world.tick()
impulse = carla.Vector3D(0.0, 0.0, 100.0)
push = carla.command.ApplyImpulse
refused = [response.error for response in client.apply_batch_sync([push(prop, impulse), push(walker, impulse)])]
for _ in range(10):
    world.tick()
hung = prop.get_location().z - point.location.z
for body in (prop, walker):
    body.set_simulate_physics(True)
    body.add_impulse(impulse)
world.tick()
speeds = [prop.get_velocity().z, walker.get_velocity().z]
for _ in range(60):
    world.tick()
tell([refused, hung, speeds, prop.get_location().z - points[1].location.z])
""",
        hamlet_server.port,
    )
    refused, hung, speeds, fallen = told
    assert [text.partition(":")[0] for text in refused] == ["add_impulse"] * 2
    assert all("does not simulate physics" in text for text in refused)
    assert hung == pytest.approx(0.0, abs=1e-4)
    assert speeds == pytest.approx([100.0 / PROP_MASS - GRAVITY * DT, 100.0 / 80.0 - GRAVITY * DT], abs=0.01)
    assert fallen < 1.0


def test_angular_impulses_and_torques_are_in_carlas_units(hamlet_server: SimulatorServer):
    """kg cm² degrees/s and, for one step, kg cm² degrees/s²; the client's `add_torque` sends an angular impulse."""
    told = run_client(
        """
world = client.reload_world(False)
point = world.get_map().get_spawn_points()[0]
point.location.z += 4.0
prop = world.spawn_actor(world.get_blueprint_library().find("static.prop.box01"), point)
prop.set_simulate_physics(True)
prop.set_enable_gravity(False)
world.tick()
extent, rates = prop.bounding_box.extent, []
prop.add_angular_impulse(carla.Vector3D(0.0, 0.0, 1e6))
world.tick()
rates.append(prop.get_angular_velocity().z)
client.apply_batch_sync([carla.command.ApplyTorque(prop, carla.Vector3D(0.0, 0.0, 1e6))])
world.tick()
tell([extent.x, extent.y, *rates, prop.get_angular_velocity().z])
""",
        hamlet_server.port,
    )
    half_length, half_width, first, second = told
    inertia = PROP_MASS * (half_length**2 + half_width**2) / 3.0 * 1e4
    assert first == pytest.approx(1e6 / inertia, rel=1e-3)
    assert second - first == pytest.approx(1e6 * DT / inertia, rel=1e-3)
