"""The reward of one decision: five bounded components, each with a weight (docs/environment.md has the reasons).

With v the forward speed (m/s), v* the target speed, v' the speed wanted (v*; less where the reward heeds hazards and
one is ahead), d the lateral deviation (m), ψ the heading error (degrees), Δt the seconds of one decision, a its mean
acceleration Δv / Δt and a' the lateral one v Δyaw / Δt, before the weights:

    efficiency    E(v) + g (E(v) - E(v - Δv)), with E(v) = 1 - |v - v'| / v* clipped to [-1, 1], and g `speed_gain`
    lane_keeping  min(1, |v| / v*) (1 - min(2, |d| / 1 m + |ψ| / 45°))    in [-1, 1]
    comfort       -(min(1, |a| / 5 m/s²) + min(1, |a'| / 5 m/s²)) / 2     in [-1, 0]
    safety        -1 collision or off the road or route, or a red light run where the reward heeds hazards; else -0.5
                  over a solid line, -0.2 over another; in [-1, 0]
    progress      metres gained along the route / (v* Δt)                 clipped to [-1, v' / v*]

The second term of efficiency is potential-based shaping (Ng, Harada, Russell 1999): a decision changes the speed by a
tenth of v* or so, whose worth would else come in over the following ones. Over an episode it adds up to
g (E at its end - E at its start), however it was driven. A crash loses g E(v - Δv), and gains nothing by slowing down.

Nothing of an earlier decision enters that the policy could not see.
"""

from dataclasses import dataclass

from td3_hpc.config.environment import RewardConfig

COMPONENTS = ("efficiency", "lane_keeping", "comfort", "safety", "progress")
FINES = ("comfort", "safety")
"""The components that can only take away."""
LATERAL_SCALE = 1.0
"""Metres of lateral deviation that use up the reward of lane keeping."""
HEADING_SCALE = 45.0
"""Degrees of heading error that do the same."""
ACCELERATION_SCALE = 5.0
"""m/s², along or across, that is fully uncomfortable."""
SOLID_LINE, BROKEN_LINE = -0.5, -0.2


@dataclass(frozen=True)
class Motion:
    """What one decision did to the ego."""

    seconds: float
    """Length of the decision."""
    speed: float
    """m/s, forward; negative backwards."""
    acceleration: float
    """m/s²: the decision's mean, forward."""
    lateral_acceleration: float
    """m/s²: speed times the decision's mean yaw rate."""
    lateral: float
    """Metres from the route."""
    heading_error: float
    """Degrees."""
    advance: float
    """Metres gained along the route."""
    safe_speed: float
    """m/s that what is ahead allows; infinite for a free way, and where the reward does not heed hazards."""
    crash: bool
    """A collision, or off the road or the route."""
    solid_line: bool
    """The ego crossed a solid lane marking."""
    other_line: bool
    """The ego crossed another lane marking."""
    ran_light: bool
    """The ego crossed a stop line at red, where the reward heeds hazards."""


def reward_components(motion: Motion, config: RewardConfig) -> dict[str, float]:
    """The weighted and scaled components by name; their sum is the reward, at most `config.bound` in absolute value."""
    target = config.target_speed_kmh / 3.6
    wanted = min(motion.safe_speed, target)
    speed_before = motion.speed - motion.acceleration * motion.seconds
    before, efficient = (efficiency(speed, wanted, target) for speed in (speed_before, motion.speed))
    gained = min(0.0, -before) if motion.crash else efficient - before
    weights = (config.efficiency, config.lane_keeping, config.comfort, config.safety, config.progress)
    values = (
        efficient + config.speed_gain * gained,
        lane_keeping(motion.speed, target, motion.lateral, motion.heading_error),
        comfort(motion.acceleration, motion.lateral_acceleration),
        safety(motion.crash or motion.ran_light, motion.solid_line, motion.other_line),
        progress(motion.advance, wanted * motion.seconds, target * motion.seconds),
    )
    return {
        name: config.scale * weight * value for name, weight, value in zip(COMPONENTS, weights, values, strict=True)
    }


def efficiency(speed: float, wanted: float, target: float) -> float:
    """1 at the speed wanted, less by 1 for each target speed that lies between, never below -1."""
    return max(-1.0, 1.0 - abs(speed - wanted) / target)


def lane_keeping(speed: float, target: float, lateral: float, heading_error: float) -> float:
    """1 in the middle of the lane and along it, 0 standing, -1 far off; grows with speed up to the target's."""
    deviation = abs(lateral) / LATERAL_SCALE + abs(heading_error) / HEADING_SCALE
    return min(1.0, abs(speed) / target) * (1.0 - min(2.0, deviation))


def comfort(acceleration: float, lateral_acceleration: float) -> float:
    """0 at a steady speed straight ahead, -1 for hard braking while the car is thrown round."""
    along, across = abs(acceleration) / ACCELERATION_SCALE, abs(lateral_acceleration) / ACCELERATION_SCALE
    return -0.5 * (min(1.0, along) + min(1.0, across))


def safety(crash: bool, solid_line: bool, other_line: bool) -> float:
    """-1 for a crash or a red light, a smaller fine for a lane marking crossed, else 0."""
    if crash:
        return -1.0
    return SOLID_LINE if solid_line else BROKEN_LINE if other_line else 0.0


def progress(advance: float, wanted: float, full: float) -> float:
    """Metres gained along the route, as far as they are wanted, as a share of what the target speed gains; in
    [-1, 1]."""
    return max(-1.0, min(advance, wanted) / full)
