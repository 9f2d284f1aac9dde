"""What the tyres hold: each carries a load and holds its coefficient of friction times that."""

import math

from td3_hpc.simulator.actors import Vehicle

Loads = tuple[float, float, float, float]


def loads_of(vehicle: Vehicle, weight: float) -> Loads:
    """What each wheel carries, divided by the vehicle's mass, m/s²: its share of the weight, and what the centre of
    mass, above the ground, shifts to it under the tyres' forces of the last step."""
    mechanics, (ahead, right) = vehicle.mechanics, vehicle.tyre_force
    (a, b, c, d), dive, sway = mechanics.shares, mechanics.dive * ahead, mechanics.sway * right
    loads = (
        a * weight - dive + sway, b * weight - dive - sway, c * weight + dive + sway, d * weight + dive - sway,
    )  # fmt: skip
    if min(loads) >= 0.0:
        return loads
    a, b, c, d = (max(load, 0.0) for load in loads)
    return a, b, c, d


def hold_of(vehicle: Vehicle, weight: float) -> float:
    """What all tyres hold together, of the mass, m/s²."""
    mechanics = vehicle.mechanics
    if mechanics.even_grip:
        return mechanics.grips[0] * weight
    return sum(grip * load for grip, load in zip(mechanics.grips, loads_of(vehicle, weight)))


def braking(vehicle: Vehicle, weight: float, push: float) -> float:
    """What the brakes hold, of the mass, m/s²: each wheel's no more than its tyre holds, and its share of what the
    engine pushes, m/s², against them."""
    mechanics, control = vehicle.mechanics, vehicle.control
    pedal, held = control.brake, 0.0
    if pedal == 0.0 and not control.hand_brake:
        return held
    push = 0.25 * push if push > 0.0 else 0.0
    hands = mechanics.hand_brakes if control.hand_brake else _RELEASED
    for brake, hand, grip, load in zip(mechanics.brakes, hands, mechanics.grips, loads_of(vehicle, weight)):
        torque, tyre = pedal * brake + hand, grip * load + push
        held += torque if torque < tyre else tyre
    return held


def within_grip(ahead: float, right: float, hold: float) -> tuple[float, float]:
    """Forces along and across that the tyres have together, of those asked for (circle of friction)."""
    right = hold if right > hold else -hold if right < -hold else right
    asked = math.hypot(ahead, right)
    share = min(1.0, hold / asked) if asked > 0.0 else 0.0
    return ahead * share, right * share


_RELEASED = (0.0, 0.0, 0.0, 0.0)
