"""Vehicle dynamics: a bicycle model with throttle, brake, drag, gradient and tyres of limited grip.

Longitudinal: m dv/dt = traction - brake - drag - m g sin(slope). Lateral: the yaw rate that the steering asks for,
v tan(delta) / L (Rajamani, Vehicle Dynamics and Control, 2nd ed., section 2.2), as far as the tyres' grip allows:
|v * yaw rate| <= GRIP * g. A sideways velocity, which only a collision or a client brings, is rubbed off by the tyres.
"""

import itertools
import math

from td3_hpc.simulator.actors import Vehicle
from td3_hpc.simulator.geometry import Pose
from td3_hpc.simulator.town import Town

GRAVITY = 9.81
GRIP = 0.9
"""Largest lateral acceleration, in g."""
PEAK_ACCELERATION = 5.0
"""At full throttle from standstill, m/s²; beyond, engine power limits it."""
PEAK_BRAKING = 8.5
HAND_BRAKING = 6.0
ENGINE_BRAKING = 0.3
"""With the throttle released, m/s²."""
AIR_DENSITY, DRAG_AREA_PER_M2 = 1.2, 0.32
STEERING_LOCK_DEG = 70.0
"""CARLA's `max_steer_angle` of the front wheels."""
STEERING_RATIO = 0.5
"""Share of the lock that the bicycle model's single front wheel turns by."""
STEERING_CURVE = ((0.0, 1.0), (20.0, 0.9), (60.0, 0.8), (120.0, 0.7))
"""Speed, km/h, and how much of the steering remains."""
STANDSTILL = 0.05
"""Below this, m/s, friction holds a vehicle whose brake exceeds the slope."""


def step_vehicle(vehicle: Vehicle, town: Town, dt: float) -> None:
    """Advance one vehicle by `dt` seconds on the town's ground."""
    before = vehicle.velocity
    if vehicle.simulates_physics:
        _drive(vehicle, town, dt)
    vehicle.acceleration = (
        (vehicle.velocity[0] - before[0]) / dt,
        (vehicle.velocity[1] - before[1]) / dt,
        (vehicle.velocity[2] - before[2]) / dt,
    )


def _drive(vehicle: Vehicle, town: Town, dt: float) -> None:
    pose = vehicle.pose
    yaw = math.radians(pose.yaw)
    cos, sin = math.cos(yaw), math.sin(yaw)
    vx, vy, vz = vehicle.velocity
    forward, sideways = vx * cos + vy * sin, vy * cos - vx * sin
    ground = town.ground(pose.x, pose.y, pose.z)
    grounded = pose.z <= ground.z + 0.05
    yaw_rate = 0.0
    if vehicle.constant_velocity is not None:
        forward, sideways, _ = vehicle.constant_velocity
        yaw_rate = _yaw_rate(vehicle, forward)
    elif grounded:
        slope = math.atan(ground.slope_x * cos + ground.slope_y * sin)
        forward = _longitudinal(vehicle, forward, slope, dt)
        sideways = _towards_zero(sideways, GRIP * GRAVITY * dt)
        yaw_rate = _yaw_rate(vehicle, forward)
    yaw += yaw_rate * dt
    cos, sin = math.cos(yaw), math.sin(yaw)
    vx, vy = forward * cos - sideways * sin, forward * sin + sideways * cos
    x, y = pose.x + vx * dt, pose.y + vy * dt
    ground = town.ground(x, y, pose.z)
    z, vz = _height(vehicle, pose.z, vz, ground.z, grounded, dt)
    degrees = math.degrees(math.atan2(sin, cos))
    pitch, roll = ground.tilt(degrees) if grounded else (pose.pitch, pose.roll)
    vehicle.pose = Pose(x, y, z, pitch, degrees, roll)
    vehicle.velocity = (vx, vy, vz)
    vehicle.yaw_rate = math.degrees(yaw_rate)
    vehicle.speed_limit_kmh = town.speed_limit_kmh(ground.road_id, ground.lane_id, ground.s)


def _longitudinal(vehicle: Vehicle, v: float, slope: float, dt: float) -> float:
    """The speed after `dt`, m/s, negative backwards; `slope` in radians, positive uphill."""
    throttle, _, brake, hand_brake, reverse = vehicle.control[:5]
    model = vehicle.model
    mass = vehicle.physics[11] if vehicle.physics else model.mass
    drive = throttle * min(PEAK_ACCELERATION, 1000 * model.power_kw / mass / max(abs(v), 0.5))
    if reverse:
        drive = -0.6 * drive
    area = model.width * model.height
    drag = 0.5 * AIR_DENSITY * DRAG_AREA_PER_M2 * area * v * abs(v) / mass
    pull = drive - drag - GRAVITY * math.sin(slope)
    resistance = PEAK_BRAKING * brake + (HAND_BRAKING if hand_brake else 0.0) + 0.1
    if throttle == 0.0:
        resistance += ENGINE_BRAKING
    resistance = min(resistance, 1.1 * GRIP * GRAVITY)
    free = v + pull * dt
    held = _towards_zero(free, resistance * dt)
    # A brake stops a vehicle and holds it; it does not push it backwards.
    return 0.0 if v * held < 0 and throttle == 0.0 and resistance > abs(GRAVITY * math.sin(slope)) else held


def _yaw_rate(vehicle: Vehicle, v: float) -> float:
    """Radians a second."""
    steer = max(-1.0, min(1.0, vehicle.control[1]))
    angle = math.radians(STEERING_LOCK_DEG * STEERING_RATIO) * steer * _steering_share(abs(v) * 3.6)
    rate = v * math.tan(angle) / (0.6 * vehicle.model.length)
    limit = GRIP * GRAVITY / max(abs(v), 0.1)
    return max(-limit, min(limit, rate))


def _steering_share(speed_kmh: float) -> float:
    for (low, high_share), (high, low_share) in itertools.pairwise(STEERING_CURVE):
        if speed_kmh <= high:
            return high_share + (low_share - high_share) * (speed_kmh - low) / (high - low)
    return STEERING_CURVE[-1][1]


def _height(vehicle: Vehicle, z: float, vz: float, ground_z: float, grounded: bool, dt: float) -> tuple[float, float]:
    """Height and vertical speed: on the ground it follows it, above it falls."""
    if not vehicle.gravity:
        return z, 0.0
    if grounded and ground_z > z - 0.3:
        return ground_z, (ground_z - z) / dt
    vz -= GRAVITY * dt
    z += vz * dt
    return (ground_z, 0.0) if z <= ground_z else (z, vz)


def _towards_zero(value: float, amount: float) -> float:
    return max(0.0, value - amount) if value > 0 else min(0.0, value + amount)
