"""Worlds in the tests' own process, without sockets."""

from dataclasses import replace

from td3_hpc.simulator.actors import Vehicle, VehicleControl
from td3_hpc.simulator.drive_train import engage
from td3_hpc.simulator.geometry import Pose
from td3_hpc.simulator.streams import Streams
from td3_hpc.simulator.towns import parse_town
from td3_hpc.simulator.world import World
from tests.simulator.opendrive_text import Road, opendrive_text

DT = 0.05


def flat_world(length: float = 1000.0) -> World:
    """One straight level road along x; y of the lane that leads along x is 1.75."""
    return road_world(Road(0.0, 0.0, 0.0, length))


def slope_world(rise: float, length: float = 1000.0) -> World:
    """One straight road that rises by `rise` metres per metre along x."""
    return road_world(Road(0.0, 0.0, 0.0, length, elevation=((0.0, 0.0, rise, 0.0, 0.0),)))


def road_world(road: Road) -> World:
    """A road with nothing beside it."""
    town = parse_town("Road", opendrive_text([road]))
    town.edge_objects, town._edges, town._beside = (), {}, set()
    return World(town, Streams())


def car_at(
    world: World, x: float, y: float = 1.75, yaw: float = 0.0, z: float | None = None, **more: object
) -> Vehicle:
    """A vehicle on the road (`kind` names the model); `speed` is along its heading."""
    ground = world.town.ground(x, y, 0.0).z
    kind = str(more.pop("kind", "vehicle.tesla.model3"))
    pitch = world.town.ground(x, y, ground).tilt(yaw)[0]
    pose = Pose(x, y, ground if z is None else z, pitch, yaw, 0.0)
    vehicle = world.spawn([0, kind, []], pose)
    assert isinstance(vehicle, Vehicle)
    speed = float(str(more.pop("speed", 0.0)))
    ahead = Pose(0.0, 0.0, 0.0, 0.0, yaw).ahead(speed)
    vehicle.velocity = (ahead.x, ahead.y, 0.0)
    vehicle.control = VehicleControl(**more)  # type: ignore[arg-type]
    if speed:
        engage(vehicle, speed)
    return vehicle


def run(world: World, seconds: float) -> None:
    for _ in range(round(seconds / DT)):
        world.step()


def give(car: Vehicle, **values: object) -> None:
    """Have it obey other values of its physics; `wheels` maps fields of all four wheels, or holds the wheels."""
    wheels = values.get("wheels")
    if isinstance(wheels, dict):
        values["wheels"] = tuple(wheel._replace(**wheels) for wheel in car.physics.wheels)
    car.obey(replace(car.physics, **values))  # type: ignore[arg-type]
