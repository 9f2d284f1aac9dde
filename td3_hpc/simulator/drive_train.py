"""Engine, clutch and gears.

The engine turns a moment of inertia against its damping; a clutch passes on what its slip times its strength gives, and
the tyres what their slip times their stiffness gives; the wheels have no inertia of their own (PhysX's vehicle has, and
the same parameters: PhysX 3.4, User's Guide, Vehicles). Engine and vehicle are solved together, implicitly: no step is
too long for the stiffest clutch.
"""

from td3_hpc.simulator.actors import Vehicle
from td3_hpc.simulator.physics import Mechanics, value_at

_ROUNDING_S = 1e-6
_TURNING_OVER = 0.01  # rad/s of an engine that stands
_LEAST_SPEED = 1.0  # m/s, of which the slip of a vehicle that hardly moves is a share


def choose_gear(vehicle: Vehicle, dt: float) -> None:
    """The gear of the next step: what the driver engages at once, else what the automatic box finds.

    While the box shifts, nothing drives the wheels.
    """
    control, mechanics = vehicle.control, vehicle.mechanics
    vehicle.shifting_s = vehicle.shifting_s - dt if vehicle.shifting_s > dt + _ROUNDING_S else 0.0
    if control.manual_gear_shift:
        vehicle.gear, vehicle.shifting_s = max(-1, min(len(mechanics.shifts), control.gear)), 0.0
    elif control.reverse:
        vehicle.gear, vehicle.shifting_s = -1, 0.0
    elif vehicle.gear < 1:
        vehicle.gear = 1
    elif mechanics.autobox and vehicle.shifting_s == 0.0:
        gear, speed = min(vehicle.gear, len(mechanics.shifts)), vehicle.engine_speed
        low, high = mechanics.shifts[gear - 1]
        shifted = gear + 1 if speed > high and gear < len(mechanics.shifts) else gear - 1 if speed < low else gear
        vehicle.gear = shifted if shifted > 0 else 1
        vehicle.shifting_s = mechanics.switch_time if vehicle.gear != gear else 0.0


def engage(vehicle: Vehicle, speed: float) -> None:
    """Gear and engine of a vehicle that is given a speed in m/s at once: as if it had come to it by driving."""
    mechanics = vehicle.mechanics
    if mechanics.autobox and vehicle.gear > 0 and not vehicle.control.manual_gear_shift:
        slow = (at for at, (_, high) in enumerate(mechanics.shifts, 1) if mechanics.turns[at + 1] * speed <= high)
        vehicle.gear = next(slow, len(mechanics.shifts))
    vehicle.engine_speed, vehicle.shifting_s = mechanics.turns[vehicle.gear + 1] * speed, 0.0


def drive(vehicle: Vehicle, speed: float, hold: float, dt: float) -> float:
    """The engine's acceleration of the vehicle, m/s², at most `hold`; turns the engine.

    `speed` in m/s is what the vehicle would have after the step without it.
    """
    mechanics, throttle, before = vehicle.mechanics, vehicle.control.throttle, vehicle.engine_speed
    turns = mechanics.turns[vehicle.gear + 1]
    inertia = mechanics.moi / dt
    if vehicle.shifting_s > 0.0:
        vehicle.engine_speed = turns * speed  # the box matches it to the gear to come
        return 0.0
    torque = throttle * value_at(mechanics.torque, before) if throttle > 0.0 and before <= mechanics.fastest else 0.0
    if turns == 0.0:
        damping = mechanics.damping_neutral + (mechanics.damping_full - mechanics.damping_neutral) * throttle
        _turn(vehicle, (inertia * before + torque) / (inertia + damping))
        return 0.0
    damping = mechanics.damping_released + (mechanics.damping_full - mechanics.damping_released) * throttle
    clutch = _coupling(mechanics, turns, speed)
    resisting, impulse, body = inertia + damping + clutch, inertia * before + torque, mechanics.mass / dt
    pull = turns * clutch
    share = body + turns * pull * (1.0 - clutch / resisting)
    after = (body * speed + pull * impulse / resisting) / share
    turned = (impulse + pull * after) / resisting
    if torque > 0.0 and turned > mechanics.fastest:  # the limiter takes as much torque as exceeds the highest speed
        spared = (turned - mechanics.fastest) * resisting * share / (share + turns * pull * clutch / resisting)
        torque = spared if spared < torque else torque
        after -= pull * torque / resisting / share
        turned = (impulse - torque + pull * after) / resisting
    gained = (after - speed) / dt
    if gained > hold or gained < -hold:
        gained = hold if gained > hold else -hold
        _turn(vehicle, (impulse - mechanics.mass * gained / turns) / (inertia + damping))
    else:
        vehicle.engine_speed = turned
    return gained


def stand(vehicle: Vehicle, dt: float) -> None:
    """The engine of a vehicle that brakes hold comes to rest with it; in neutral it turns on."""
    if vehicle.gear == 0:
        drive(vehicle, 0.0, 0.0, dt)
    else:
        _turn(vehicle, 0.5 * vehicle.engine_speed)


def full_throttle(vehicle: Vehicle) -> float:
    """Acceleration that the engine's torque gives in the present gear, its own inertia taken off, m/s²; positive."""
    mechanics = vehicle.mechanics
    turns = abs(mechanics.turns[vehicle.gear + 1]) or mechanics.turns[2]
    torque = value_at(mechanics.torque, min(vehicle.engine_speed, mechanics.fastest))
    return torque * turns / (mechanics.mass + mechanics.moi * turns * turns)


def _turn(vehicle: Vehicle, speed: float) -> None:
    """The engine turns freely, up to its highest speed or to what it has."""
    limit = max(vehicle.engine_speed, vehicle.mechanics.fastest)
    vehicle.engine_speed = limit if speed > limit else 0.0 if -_TURNING_OVER < speed < _TURNING_OVER else speed


def _coupling(mechanics: Mechanics, turns: float, speed: float) -> float:
    """Clutch and tyres in a row, as the clutch's strength, N m s."""
    clutch, tyres = mechanics.clutch, mechanics.slip_force
    moving = speed if speed > _LEAST_SPEED else -speed if speed < -_LEAST_SPEED else _LEAST_SPEED
    return clutch * tyres / (tyres + clutch * turns * turns * moving) if tyres > 0.0 else 0.0
