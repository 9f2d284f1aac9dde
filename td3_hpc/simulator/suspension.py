"""How a body leans on its springs: a damped oscillator for pitch and one for roll, exact at any step."""

import math
from functools import lru_cache

from td3_hpc.simulator.actors import Vehicle
from td3_hpc.simulator.physics import ANTI_ROLL, DAMPING

LEVEL = (0.0, 0.0, 0.0, 0.0)
_NEAR, _SLOW = 1e-5, 1e-4  # rad and rad/s, at which it comes to rest


def lean(vehicle: Vehicle, dt: float) -> bool:
    """Lean the body as the tyres' force has it, for one step; whether it is at rest now."""
    mechanics, (ahead, right), now = vehicle.mechanics, vehicle.tyre_force, vehicle.lean
    pitch_goal, roll_goal = ahead * mechanics.pitch, -right * mechanics.roll
    if now == (pitch_goal, 0.0, roll_goal, 0.0):
        return True
    pitch, pitching = _swing(now[0] - pitch_goal, now[1], _response(mechanics.spring_rate, dt))
    roll, rolling = _swing(now[2] - roll_goal, now[3], _response(mechanics.spring_rate * math.sqrt(ANTI_ROLL), dt))
    if -_NEAR < pitch < _NEAR and -_NEAR < roll < _NEAR and -_SLOW < pitching < _SLOW and -_SLOW < rolling < _SLOW:
        vehicle.lean = (pitch_goal, 0.0, roll_goal, 0.0)
        return True
    vehicle.lean = (pitch + pitch_goal, pitching, roll + roll_goal, rolling)
    return False


def _swing(away: float, rate: float, response: tuple[float, float, float, float]) -> tuple[float, float]:
    a, b, c, d = response
    return a * away + b * rate, c * away + d * rate


@lru_cache(maxsize=4096)
def _response(rate: float, dt: float) -> tuple[float, float, float, float]:
    """The oscillator's transition over a step, row by row, at a natural frequency in rad/s."""
    decay, swing = DAMPING * rate, rate * math.sqrt(1.0 - DAMPING**2)
    shrink, cos, sin = math.exp(-decay * dt), math.cos(swing * dt), math.sin(swing * dt)
    return (
        shrink * (cos + decay / swing * sin),
        shrink * sin / swing,
        -shrink * rate**2 / swing * sin,
        shrink * (cos - decay / swing * sin),
    )
