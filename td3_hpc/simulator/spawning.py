"""Makes actors: from blueprints for clients, from a town's signals for its own."""

from typing import Any

from td3_hpc.simulator.actors import Actor, FrictionTrigger, Sensor, TrafficLight, TrafficSign, Vehicle, Walker
from td3_hpc.simulator.blueprints import FRICTION_TRIGGER, VEHICLES, is_true, label_of, library
from td3_hpc.simulator.found_blueprints import FOUND
from td3_hpc.simulator.geometry import OrientedBox, Pose, angle_between
from td3_hpc.simulator.labels import CityObjectLabel
from td3_hpc.simulator.props import FLAT, PROPS
from td3_hpc.simulator.towns.town import SignSite, TrafficLightSite
from td3_hpc.simulator.wire import Refused

_WALKER_EXTENT = (0.19, 0.19, 0.93)
CLIENT_SIDE = "sensor.other.lane_invasion"
"""The client computes this sensor's events itself, from the vehicle's box and the map."""


def make_actor(description: list[Any], pose: Pose) -> Actor:
    """What an `ActorDescription` ([uid, id, attributes]) says, not in the world yet. Raises Refused."""
    _, type_id, attributes = description[:3]
    blueprint = library().get(type_id)
    if blueprint is None:
        raise Refused(f"Spawn failed because of invalid actor description: no blueprint {type_id!r}")
    try:
        values = blueprint.values(attributes)
    except (ValueError, TypeError) as error:
        raise Refused(f"Spawn failed because of invalid actor description: {error}") from None
    if type_id in FOUND:
        raise Refused(f"Spawn failed: {type_id}: this simulator has no {FOUND[type_id].missing}")
    actor = _of_kind(type_id, pose)
    if isinstance(actor, Vehicle):
        actor.is_sticky = is_true(values["sticky_control"])
    if isinstance(actor, FrictionTrigger):
        x, y, z = (abs(float(values[f"extent_{axis}"])) / 100.0 for axis in "xyz")
        actor.extent, actor.friction = (x, y, z), float(values["friction"])
    actor.uid, actor.attributes = blueprint.uid, values
    actor.attributes_sent = [[each.id, each.type, values[each.id]] for each in blueprint.attributes]
    return actor


def _of_kind(type_id: str, pose: Pose) -> Actor:
    family, _, name = type_id.partition(".")
    if family == "sensor":
        return Sensor(0, type_id, pose)
    if family == "walker":
        return Walker(0, type_id, pose, extent=_WALKER_EXTENT, tags=bytes([CityObjectLabel.PEDESTRIANS]))
    if family == "vehicle":
        model = VEHICLES[name]
        vehicle = Vehicle(0, type_id, pose, tags=bytes([label_of(model)]), model=model)
        _stand(vehicle, model.length, model.width, model.height)
        return vehicle
    if type_id == FRICTION_TRIGGER:
        return FrictionTrigger(0, type_id, pose)
    prop = Actor(0, type_id, pose, tags=bytes([CityObjectLabel.STATIC]))
    length, width, height = PROPS[name.removeprefix("prop.")]
    _stand(prop, length, width, height)
    prop.collides = height > FLAT
    return prop


def _stand(actor: Actor, length: float, width: float, height: float) -> None:
    """The box of an actor whose origin is on the ground."""
    actor.extent, actor.centre = (length / 2, width / 2, height / 2), (0.0, 0.0, height / 2)


def make_light(site: TrafficLightSite, number: int) -> TrafficLight:
    """The actor of a traffic light."""
    tags = bytes([CityObjectLabel.TRAFFIC_LIGHT])
    pose = site.pose._replace(yaw=site.actor_yaw)
    light = TrafficLight(0, "traffic.traffic_light", pose, tags=tags, signal_id=site.signal_id, pole_index=number)
    _set_trigger(light, site.trigger)
    return light


def make_sign(site: SignSite) -> TrafficSign:
    """The actor of a sign."""
    pose, tags = site.pose._replace(yaw=site.actor_yaw), bytes([CityObjectLabel.TRAFFIC_SIGNS])
    sign = TrafficSign(0, site.kind, pose, tags=tags, signal_id=site.signal_id)
    _set_trigger(sign, site.trigger)
    return sign


def _set_trigger(actor: Actor, box: OrientedBox) -> None:
    """The actor's bounding box is its trigger volume, in its own frame: scripts take its half length along the actor's
    x axis and look at nothing else."""
    ahead, right = actor.pose.offset_of(box.centre.x, box.centre.y)
    turned = angle_between(box.centre.yaw, actor.pose.yaw)
    quarters = round(turned / 90.0)
    length, width, height = box.extent
    actor.centre = (ahead, right, box.centre.z - actor.pose.z)
    actor.extent = (width, length, height) if quarters % 2 else (length, width, height)
    actor.box_yaw = turned - 90.0 * quarters
