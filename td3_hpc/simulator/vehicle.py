"""Vehicle dynamics: a bicycle model with throttle, brake, drag, gradient and tyres of limited grip.

Along the vehicle: dv/dt = traction - brakes - drag - g sin(slope). The rear axle follows the vehicle's heading, which
turns at v tan(angle) / wheelbase (kinematic bicycle model: Rajamani, Vehicle Dynamics and Control, 2nd ed., section
2.2), as far as the tyres hold: |v * yaw rate| <= GRIP * g. A slip of the rear axle and a spin, which only collisions
and clients bring about, are rubbed off by the tyres.
"""

import itertools
import math
from collections.abc import Iterable

from td3_hpc.simulator.actors import AT_REST, Vehicle, VehicleControl
from td3_hpc.simulator.blueprints import VehicleModel
from td3_hpc.simulator.geometry import Pose
from td3_hpc.simulator.towns.town import Ground, Town

GRAVITY = 9.81
GRIP = 0.9
"""Largest lateral acceleration, in g."""
PEAK_ACCELERATION = {"car": 5.0, "van": 3.5, "truck": 2.5, "bus": 2.0, "motorcycle": 6.0, "bicycle": 1.5}
"""At full throttle from standstill, m/s²; beyond, engine power limits it."""
DRIVE_EFFICIENCY = 0.85
"""Share of the engine's power that reaches the road."""
PEAK_BRAKING = 8.5
"""At full brake, m/s²."""
HAND_BRAKING = 5.0
ROLLING_RESISTANCE = 0.12
"""m/s²"""
ENGINE_BRAKING = 0.4
"""With the throttle released above 3 m/s, m/s²."""
REVERSE_SHARE = 0.6
"""Traction in reverse, of that ahead."""
AIR_DENSITY = 1.2
STEERING_SHARE = 0.5
"""Of the lock that the bicycle model's one front wheel turns by at full steer: the inner wheel turns farther than the
outer one, and both slip."""
YAW_ACCELERATION = 8.0
"""How fast the tyres turn a vehicle in or stop its spin, rad/s²."""
WHEELBASE_SHARE = 0.6
"""Of a vehicle's length; its axles lie symmetrically."""
_ARM = 0.5 * WHEELBASE_SHARE
_HOLD = GRIP * GRAVITY
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
    yaw = math.radians(degrees)
    cos, sin = math.cos(yaw), math.sin(yaw)
    vx, vy, _ = vehicle.velocity
    arm = _ARM * vehicle.model.length  # from the rear axle to the middle
    spin = vehicle.yaw_rate
    forward, slip = vx * cos + vy * sin, vy * cos - vx * sin - spin * arm
    if vehicle.constant_velocity is not None and vehicle.constant_velocity[2] > 0.0:
        vehicle.airborne = True
    grounded = z <= ground.z + _ON_GROUND and not vehicle.airborne
    if vehicle.constant_velocity is not None:
        forward, slip, _ = vehicle.constant_velocity
        spin = steady_yaw_rate(vehicle, forward)
    elif grounded:
        slope = math.atan(ground.slope_x * cos + ground.slope_y * sin)
        forward = _speed_after(vehicle, forward, slope, dt)
        slip = _towards_zero(slip, _HOLD * dt)
        spin += _within(steady_yaw_rate(vehicle, forward) - spin, YAW_ACCELERATION * dt)
        if forward == slip == spin == 0.0 and ground is vehicle.ground and z == ground.z:
            # It stands, and what was found out about its place holds.
            vehicle.velocity, vehicle.yaw_rate = AT_REST, 0.0
            return None

    middle, after = yaw + 0.5 * spin * dt, yaw + spin * dt
    ahead, right = forward * dt, slip * dt
    along, across = math.cos(middle), math.sin(middle)
    x = x - arm * cos + ahead * along - right * across
    y = y - arm * sin + ahead * across + right * along
    cos, sin = math.cos(after), math.sin(after)
    x, y, sideways = x + arm * cos, y + arm * sin, slip + spin * arm
    vx, vy = forward * cos - sideways * sin, forward * sin + sideways * cos
    return vehicle, (x, y, z), cos, sin, vx, vy, spin, grounded


def _arrive(move: _Move, ground: Ground, town: Town, dt: float) -> None:
    vehicle, (x, y, z), cos, sin, vx, vy, spin, grounded = move
    if grounded and ground.z > z - _DROP:
        z, vz = ground.z, ground.slope_x * vx + ground.slope_y * vy
    else:
        z, vz, grounded = _fall(vehicle, ground, grounded, dt)
    degrees = math.degrees(math.atan2(sin, cos))
    pitch, roll = ground.tilt(degrees) if grounded else (vehicle.pose.pitch, vehicle.pose.roll)
    vehicle.velocity = (vx, vy, vz)
    vehicle.yaw_rate = spin
    # Not Pose(...), which takes three times as long.
    _stand(vehicle, town, tuple.__new__(Pose, (x, y, z, pitch, degrees, roll)), ground)


def _stand(vehicle: Vehicle, town: Town, pose: Pose, ground: Ground) -> None:
    vehicle.pose, vehicle.ground = pose, ground
    vehicle.speed_limit_kmh = town.speed_limit_kmh(ground.road_id, ground.lane_id, ground.s)


def _speed_after(vehicle: Vehicle, v: float, slope: float, dt: float) -> float:
    """The speed after `dt`, m/s, negative backwards; `slope` in radians, positive uphill."""
    control = vehicle.control
    pull = traction(vehicle, control, v) - drag(vehicle, v) - GRAVITY * math.sin(slope)
    resistance = PEAK_BRAKING * control.brake + (HAND_BRAKING if control.hand_brake else 0.0)
    resistance = (resistance if resistance < _HOLD else _HOLD) + ROLLING_RESISTANCE
    if control.throttle == 0.0:
        resistance += ENGINE_BRAKING * min(1.0, abs(v) / 3.0)
    # Brakes slow a vehicle down and hold it on a slope; they never push it.
    return _towards_zero(v + pull * dt, resistance * dt)


def traction(vehicle: Vehicle, control: VehicleControl, v: float) -> float:
    """Acceleration by the engine at a speed in m/s, m/s², negative in reverse."""
    model, speed = vehicle.model, abs(v)
    power = 1000.0 * DRIVE_EFFICIENCY * model.power_kw / vehicle.mass
    drive = control.throttle * min(PEAK_ACCELERATION[model.base_type], power / (speed if speed > 0.5 else 0.5))
    gear = control.engaged
    if gear == 0:
        return 0.0
    return -REVERSE_SHARE * drive if gear < 0 else drive


def drag(vehicle: Vehicle, v: float) -> float:
    """Deceleration by the air at a speed in m/s, m/s²: rho/2 Cd A v² / m."""
    area = vehicle.model.width * vehicle.model.height
    return 0.5 * AIR_DENSITY * vehicle.drag_coefficient * area * v * abs(v) / vehicle.mass


def wheel_angle(vehicle: Vehicle, v: float) -> float:
    """The bicycle model's front wheel, radians, positive to the right, at a speed in m/s."""
    share = STEERING_SHARE * _steering_left(vehicle.steering_curve, abs(v) * 3.6)
    return math.radians(vehicle.steering_lock_deg) * share * vehicle.control.steer


def steady_yaw_rate(vehicle: Vehicle, v: float) -> float:
    """The yaw rate that steering and tyres lead to at a speed in m/s, rad/s."""
    rate, speed = v * math.tan(wheel_angle(vehicle, v)) / (WHEELBASE_SHARE * vehicle.model.length), abs(v)
    return _within(rate, _HOLD / (speed if speed > 0.1 else 0.1))


def wheelbase(model: VehicleModel) -> float:
    """Distance of the axles, metres."""
    return WHEELBASE_SHARE * model.length


def _steering_left(curve: tuple[tuple[float, float], ...], speed_kmh: float) -> float:
    """The curve's value at a speed, between its points linearly."""
    for (low, share_low), (high, share_high) in itertools.pairwise(curve):
        if speed_kmh <= high:
            return share_low + (share_high - share_low) * max(speed_kmh - low, 0.0) / (high - low)
    return curve[-1][1] if curve else 1.0


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
