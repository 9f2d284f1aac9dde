"""Boxes in which tyres have another friction, as CARLA's `static.trigger.friction`."""

from collections.abc import Sequence
from dataclasses import replace

from td3_hpc.simulator.actors import FrictionTrigger, Vehicle
from td3_hpc.simulator.collisions import touches


def apply_friction(triggers: Sequence[FrictionTrigger], vehicles: Sequence[Vehicle]) -> None:
    """Give the tyres of each vehicle that touches a trigger its friction, of several the last one's; give them back
    what they had once it touches none. A friction that a client sets inside lasts until then, as in CARLA."""
    for vehicle in vehicles:
        if triggers or vehicle.outer_friction is not None:
            touched = [trigger for trigger in triggers if touches(trigger, vehicle)]
            _enter(vehicle, touched[-1] if touched else None)


def _enter(vehicle: Vehicle, trigger: FrictionTrigger | None) -> None:
    """Only what changes counts: inside the same trigger nothing is set anew."""
    if trigger is vehicle.friction_trigger:
        return
    wheels, outer = vehicle.physics.wheels, vehicle.outer_friction
    if outer is None:
        outer = tuple(wheel.tire_friction for wheel in wheels)
    frictions = outer if trigger is None else (trigger.friction,) * len(wheels)
    given = tuple(wheel._replace(tire_friction=friction) for wheel, friction in zip(wheels, frictions))
    vehicle.obey(replace(vehicle.physics, wheels=given))
    vehicle.friction_trigger = trigger
    vehicle.outer_friction = None if trigger is None else outer
