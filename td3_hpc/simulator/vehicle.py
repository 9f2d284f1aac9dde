"""Vehicle dynamics: a bicycle model on four tyres of limited grip, driven by an engine, leaning on its springs.

Along the vehicle: dv/dt = engine - brakes - drag - g sin(slope). The rear axle follows the vehicle's heading, which
turns at v tan(angle) / wheelbase (kinematic bicycle model: Rajamani, Vehicle Dynamics and Control, 2nd ed., section
2.2; with the understeer of unequal tyres, ibid. section 3.3), as far as the tyres hold: their forces along and across
lie in a circle of friction. A slip of the rear axle and a spin, which only collisions and clients bring about, are
rubbed off by the tyres.
"""

import math
from collections.abc import Iterable

from td3_hpc.simulator.actors import AT_REST, Vehicle
from td3_hpc.simulator.drive_train import choose_gear, drive, engage, stand
from td3_hpc.simulator.geometry import Pose
from td3_hpc.simulator.physics import GRAVITY, ROAD_GRIP, value_at
from td3_hpc.simulator.suspension import lean
from td3_hpc.simulator.towns.town import Ground, Town
from td3_hpc.simulator.tyres import braking, hold_of, within_grip

ROLLING_RESISTANCE = 0.12
"""Of tyres under their full load, m/s²."""
YAW_ACCELERATION = 8.0
"""How fast the tyres turn a vehicle in or stop its spin on a dry road, rad/s²."""
_ROAD_HOLD = ROAD_GRIP * GRAVITY
_CREEPING = 0.1  # m/s, below which a turn is not limited by the tyres
_LEAST_LENGTH = 0.2  # of the wheelbase, that oversteer leaves
_ON_GROUND = 0.05  # Above the surface, m, and still in touch with it.
_DROP = 0.3  # Steps in the ground that a wheel follows within one step, m.


_Move = tuple[Vehicle, tuple[float, float, float], float, float, float, float, float, bool]
"""Where a vehicle gets to in one step, before the ground there is known: the vehicle; its new x, y and old z; cosine
and sine of its new yaw; its velocity along x and y; its spin; whether it stood on the ground."""


def step_vehicles(vehicles: Iterable[Vehicle], town: Town, dt: float) -> None:
    """Advance vehicles by `dt` seconds on the town's ground."""
    moves = []
    for vehicle in vehicles:
        vehicle.velocity_before = vehicle.velocity
        if vehicle.simulates_physics:
            move = _drive(vehicle, town, dt)
            if move is not None:
                moves.append(move)
        elif vehicle.ground is None:
            pose = vehicle.pose
            _stand(vehicle, town, pose, town.ground(pose.x, pose.y, pose.z))
    for move, ground in zip(moves, town.grounds([move[1] for move in moves])):
        _arrive(move, ground, town, dt)


def _drive(vehicle: Vehicle, town: Town, dt: float) -> _Move | None:
    """None where it stands and stays."""
    x, y, z, _, degrees, _ = vehicle.pose
    ground = vehicle.ground or town.ground(x, y, z)
    if vehicle.held_with is not None and _stays(vehicle, ground, z):
        return None
    yaw = math.radians(degrees)
    cos, sin = math.cos(yaw), math.sin(yaw)
    vx, vy, _ = vehicle.velocity
    arm = 0.5 * vehicle.mechanics.wheelbase  # from the rear axle to the middle
    spin = vehicle.yaw_rate
    forward, slip = vx * cos + vy * sin, vy * cos - vx * sin - spin * arm
    if vehicle.constant_velocity is not None and vehicle.constant_velocity[2] > 0.0:
        vehicle.airborne = True
    grounded = z <= ground.z + _ON_GROUND and not vehicle.airborne
    choose_gear(vehicle, dt)
    if vehicle.constant_velocity is not None:
        forward, slip, _ = vehicle.constant_velocity
        spin, vehicle.tyre_force = steady_yaw_rate(vehicle, forward), (0.0, 0.0)
        engage(vehicle, forward)
        lean(vehicle, dt)
    elif grounded:
        rise = ground.slope_x * cos + ground.slope_y * sin
        forward, slip, spin = _roll(vehicle, forward, slip, spin, rise, dt)
        rests = lean(vehicle, dt) and forward == slip == spin == vehicle.engine_speed == 0.0
        if rests and ground is vehicle.ground and z == ground.z:
            # It stands, and what was found out about its place holds.
            vehicle.velocity, vehicle.yaw_rate, vehicle.tilting = AT_REST, 0.0, (0.0, 0.0)
            vehicle.held_with = _held(vehicle)
            return None

    vehicle.held_with = None
    middle, after = yaw + 0.5 * spin * dt, yaw + spin * dt
    ahead, right = forward * dt, slip * dt
    along, across = math.cos(middle), math.sin(middle)
    x = x - arm * cos + ahead * along - right * across
    y = y - arm * sin + ahead * across + right * along
    cos, sin = math.cos(after), math.sin(after)
    x, y, sideways = x + arm * cos, y + arm * sin, slip + spin * arm
    vx, vy = forward * cos - sideways * sin, forward * sin + sideways * cos
    return vehicle, (x, y, z), cos, sin, vx, vy, spin, grounded


def _held(vehicle: Vehicle) -> tuple[float, bool, bool, bool, int] | None:
    """What of the control may move a vehicle at rest; None where it does."""
    held = vehicle.control
    if held.throttle:
        return None
    return held.brake, held.hand_brake, held.reverse, held.manual_gear_shift, held.gear


def _stays(vehicle: Vehicle, ground: Ground, z: float) -> bool:
    """Whether nothing has changed for a vehicle at rest."""
    return (
        vehicle.held_with == _held(vehicle)
        and vehicle.velocity == AT_REST
        and vehicle.yaw_rate == 0.0
        and ground is vehicle.ground
        and z == ground.z
        and vehicle.gravity
        and vehicle.constant_velocity is None
    )


def _roll(
    vehicle: Vehicle, speed: float, slip: float, spin: float, rise: float, dt: float
) -> tuple[float, float, float]:
    """Speed, slip of the rear axle and yaw rate after one step on the ground, which rises by `rise` m/m ahead."""
    across = 1.0 / math.sqrt(1.0 + rise * rise)
    weight = GRAVITY * across if vehicle.gravity else 0.0
    hold = hold_of(vehicle, weight)
    freely = speed - (drag(vehicle, speed) + weight * rise) * dt
    rolls = rolling(vehicle, speed)
    if speed == 0.0 and vehicle.control.throttle == 0.0 and abs(freely) <= (braking(vehicle, weight, 0.0) + rolls) * dt:
        after = 0.0  # the brakes hold it
        stand(vehicle, dt)
    else:
        # Brakes slow a vehicle down and hold it on a slope; they never push it.
        pull = drive(vehicle, freely, hold, dt)
        held = braking(vehicle, weight, pull if speed >= 0.0 else -pull) + rolls
        after = _towards_zero(freely + pull * dt, held * dt)
    rate = steady_yaw_rate(vehicle, after)
    ahead, right = (after - freely) / dt, after * rate
    if ahead * ahead + right * right > hold * hold:
        ahead, right = within_grip(ahead, right, hold)
        after = freely + ahead * dt
        rate = right / after if abs(after) > _CREEPING else _within(rate, hold / _CREEPING)
    slip = _towards_zero(slip, hold * dt)
    spin += _within(rate - spin, YAW_ACCELERATION * hold / _ROAD_HOLD * dt)
    vehicle.tyre_force = (ahead, after * spin)
    return after, slip, spin


def _arrive(move: _Move, ground: Ground, town: Town, dt: float) -> None:
    vehicle, (x, y, z), cos, sin, vx, vy, spin, grounded = move
    if grounded and ground.z > z - _DROP:
        z, vz = ground.z, ground.slope_x * vx + ground.slope_y * vy
    else:
        z, vz, grounded = _fall(vehicle, ground, grounded, dt)
    degrees = math.degrees(math.atan2(sin, cos))
    if grounded:
        pitch, roll = ground.tilt(degrees)
        pitched, pitching, rolled, rolling_over = vehicle.lean
        pitch, roll = pitch + math.degrees(pitched), roll + math.degrees(rolled)
        # Unreal Engine's turns are left-handed: about the right axis nose down, about the one ahead right side up.
        vehicle.tilting = (pitching * sin - rolling_over * cos, -pitching * cos - rolling_over * sin)
    else:
        _, _, _, pitch, _, roll = vehicle.pose
    vehicle.velocity = (vx, vy, vz)
    vehicle.yaw_rate = spin
    # Not Pose(...), which takes three times as long.
    _stand(vehicle, town, tuple.__new__(Pose, (x, y, z, pitch, degrees, roll)), ground)


def _stand(vehicle: Vehicle, town: Town, pose: Pose, ground: Ground) -> None:
    vehicle.pose, vehicle.ground = pose, ground
    vehicle.speed_limit_kmh = town.speed_limit_kmh(ground.road_id, ground.lane_id, ground.s)


def rolling(vehicle: Vehicle, speed: float) -> float:
    """Deceleration by the rolling of tyres and wheels at a speed in m/s, m/s²."""
    return ROLLING_RESISTANCE + vehicle.mechanics.rolling * abs(speed)


def drag(vehicle: Vehicle, speed: float) -> float:
    """Deceleration by the air at a speed in m/s, m/s²: rho/2 Cd A v² / m."""
    return vehicle.mechanics.air * speed * abs(speed)


def wheel_angle(vehicle: Vehicle, speed: float) -> float:
    """The bicycle model's front wheel, radians, positive to the right, at a speed in m/s."""
    steer, mechanics = vehicle.control.steer, vehicle.mechanics
    return mechanics.lock * value_at(mechanics.steering, abs(speed)) * steer if steer else 0.0


def steady_yaw_rate(vehicle: Vehicle, speed: float) -> float:
    """The yaw rate that steering leads to at a speed in m/s, where the tyres hold, rad/s."""
    angle, mechanics = wheel_angle(vehicle, speed), vehicle.mechanics
    if angle == 0.0:
        return 0.0
    length = mechanics.wheelbase + mechanics.understeer * speed * speed
    least = _LEAST_LENGTH * mechanics.wheelbase
    return speed * math.tan(angle) / (length if length > least else least)


def _fall(vehicle: Vehicle, ground: Ground, grounded: bool, dt: float) -> tuple[float, float, bool]:
    """Height, vertical speed and whether it stands, of a vehicle above the ground."""
    z = vehicle.pose.z
    vz = before = vehicle.velocity[2]
    if vehicle.constant_velocity is not None and vehicle.constant_velocity[2] > 0.0:
        vz = before = vehicle.constant_velocity[2]
    elif vehicle.gravity or grounded:
        vz -= GRAVITY * dt
    # Exactly a parabola for what is thrown; a mere drop keeps the way in which it has always been added up.
    z += (before + vz) / 2.0 * dt if vehicle.airborne else vz * dt
    if z > ground.z:
        return z, vz, False
    vehicle.airborne = False
    return ground.z, 0.0, True


def _towards_zero(value: float, amount: float) -> float:
    # Comparisons, for Python's min and max take longer than the arithmetic, and this is asked often.
    after = value - amount if value > 0.0 else value + amount
    return after if (after > 0.0) == (value > 0.0) else 0.0


def _within(value: float, limit: float) -> float:
    return limit if value > limit else -limit if value < -limit else value
