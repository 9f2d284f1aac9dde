"""The reward's formulas at points worked out by hand, and its bound everywhere."""

import itertools
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from td3_hpc.config import RewardConfig
from td3_hpc.driving import reward
from td3_hpc.driving.reward import COMPONENTS, Motion, reward_components

numbers = st.floats(-1e6, 1e6)
weights = st.just(0.0) | st.floats(1e-6, 100)
motions = st.builds(
    Motion,
    seconds=st.floats(0.01, 2.0),
    speed=numbers,
    acceleration=numbers,
    lateral_acceleration=numbers,
    lateral=numbers,
    heading_error=st.floats(-180, 180),
    advance=numbers,
    safe_speed=st.floats(0.0, 1e3) | st.just(math.inf),
    crash=st.booleans(),
    solid_line=st.booleans(),
    other_line=st.booleans(),
    ran_light=st.booleans(),
)
configs = st.builds(
    RewardConfig,
    efficiency=weights,
    speed_gain=weights,
    lane_keeping=weights,
    comfort=weights,
    safety=weights,
    progress=weights,
    target_speed_kmh=st.floats(1, 200),
    scale=st.floats(1e-3, 1e3),
)
TARGET = RewardConfig().target_speed_kmh / 3.6
PERFECT = Motion(0.1, TARGET, 0.0, 0.0, 0.0, 0.0, TARGET * 0.1, math.inf, False, False, False, False)


@given(motions, configs)
def test_never_exceeds_its_bounds(motion, config):
    components = reward_components(motion, config)
    margin = 1e-9 * config.bound
    assert config.lowest - margin <= sum(components.values()) <= config.highest + margin
    for name in COMPONENTS:
        gain = config.largest_gain if name == "efficiency" else 0.0
        assert abs(components[name]) <= (config.scale * getattr(config, name) + gain) * (1 + 1e-9)


@given(motions, configs)
def test_comfort_and_safety_only_take_away(motion, config):
    components = reward_components(motion, config)
    assert components["comfort"] <= 0
    assert components["safety"] <= 0


def test_a_perfect_decision_earns_all_that_there_is_to_earn():
    config = RewardConfig()
    components = reward_components(PERFECT, config)
    assert sum(components.values()) == pytest.approx(config.highest - config.largest_gain)
    assert components == pytest.approx(
        {
            "efficiency": config.efficiency,
            "lane_keeping": config.lane_keeping,
            "comfort": 0.0,
            "safety": 0.0,
            "progress": config.progress,
        }
    )


def test_the_worst_decision_earns_the_lowest_reward():
    """From its best speed to fast backwards, off its lane and past a red light."""
    config = RewardConfig()
    worst = Motion(0.1, -3 * TARGET, -40 * TARGET, 90.0, 9.0, 90.0, -90.0, math.inf, False, False, False, True)
    assert sum(reward_components(worst, config).values()) == pytest.approx(config.lowest)
    assert config.bound == -config.lowest


def test_standing_earns_nothing():
    standing = Motion(0.1, 0.0, 0.0, 0.0, 0.3, 5.0, 0.0, math.inf, False, False, False, False)
    assert sum(reward_components(standing, RewardConfig()).values()) == pytest.approx(0.0)


@given(st.floats(0.01, 1.0))
def test_a_route_is_worth_the_same_at_any_speed_below_the_target(share):
    """Otherwise an agent would gain by dawdling before the goal, which ends the episode."""
    speed = share * TARGET
    per_decision = reward_components(
        Motion(0.1, speed, 0.0, 0.0, 0.0, 0.0, speed * 0.1, math.inf, False, False, False, False), RewardConfig()
    )
    decisions = 1 / share
    assert sum(per_decision.values()) * decisions == pytest.approx(
        sum(reward_components(PERFECT, RewardConfig()).values())
    )


@pytest.mark.parametrize(
    ("speed", "value"), [(-5, -0.5), (0, 0), (5, 0.5), (10, 1), (15, 0.5), (20, 0), (30, -1), (99, -1)]
)
def test_efficiency(speed, value):
    assert reward.efficiency(speed, 10, 10) == pytest.approx(value)


@given(st.lists(st.floats(-2 * TARGET, 3 * TARGET), min_size=2, max_size=30))
def test_what_speed_gains_adds_up_to_the_end_less_the_start_however_it_was_driven(speeds):
    """Potential-based: nothing is gained by speeding up and braking again."""
    gaining, plain = RewardConfig(speed_gain=10.0), RewardConfig(speed_gain=0.0)
    total = 0.0
    for before, after in itertools.pairwise(speeds):
        motion = replace(PERFECT, speed=after, acceleration=(after - before) / PERFECT.seconds)
        gained, without = (reward_components(motion, config)["efficiency"] for config in (gaining, plain))
        total += gained - without
    start, end = (reward.efficiency(speed, TARGET, TARGET) for speed in (speeds[0], speeds[-1]))
    assert total == pytest.approx(10 * gaining.efficiency * (end - start), abs=1e-6)


@pytest.mark.parametrize(
    ("speed", "acceleration", "pays"), [(0.2, 2, True), (0.2, -2, False), (7, -2, True), (7, 2, False)]
)
def test_coming_nearer_to_the_target_speed_pays_at_once(speed, acceleration, pays):
    changing, steady = (replace(PERFECT, speed=speed, acceleration=a) for a in (acceleration, 0.0))
    config = RewardConfig()
    gain = reward_components(changing, config)["efficiency"] - reward_components(steady, config)["efficiency"]
    assert gain == pytest.approx((1 if pays else -1) * config.efficiency * config.speed_gain * 0.2 / TARGET)


@pytest.mark.parametrize(("share", "loses"), [(0.0, 0.0), (0.5, 0.5), (1.0, 1.0), (1.5, 0.5), (2.0, 0.0), (9.0, 0.0)])
def test_a_crash_loses_what_the_speed_was_worth_and_gains_nothing_by_slowing_down(share, loses):
    config = RewardConfig()
    stopped = replace(PERFECT, speed=TARGET, acceleration=(1 - share) * TARGET / PERFECT.seconds, crash=True)
    gained = reward_components(stopped, config)["efficiency"] - config.efficiency
    assert gained == pytest.approx(-loses * config.efficiency * config.speed_gain)


def test_where_it_must_stop_standing_is_best_and_nothing_is_gained_by_going_on():
    standing = replace(PERFECT, speed=0.0, advance=0.0, safe_speed=0.0)
    creeping = replace(PERFECT, speed=TARGET / 2, advance=TARGET * 0.05, safe_speed=0.0)
    config = RewardConfig()
    at_rest, going = (reward_components(motion, config) for motion in (standing, creeping))
    assert at_rest["efficiency"] == pytest.approx(config.efficiency)
    assert going["efficiency"] == pytest.approx(config.efficiency / 2)
    assert at_rest["progress"] == going["progress"] == 0.0


def test_below_the_speed_that_is_safe_progress_counts_in_full():
    slow = replace(PERFECT, speed=TARGET / 4, advance=TARGET * 0.025, safe_speed=TARGET / 2)
    assert reward_components(slow, RewardConfig())["progress"] == pytest.approx(RewardConfig().progress / 4)


def test_a_red_light_run_costs_as_much_safety_as_a_crash():
    config = RewardConfig()
    ran, crashed = replace(PERFECT, ran_light=True), replace(PERFECT, crash=True)
    assert {reward_components(motion, config)["safety"] for motion in (ran, crashed)} == {-config.safety}


@pytest.mark.parametrize(
    ("speed", "lateral", "heading", "value"),
    [
        (10, 0, 0, 1),
        (10, 0.5, 0, 0.5),
        (10, -0.5, 22.5, 0),
        (10, 3, 0, -1),
        (5, 0, 0, 0.5),
        (0, 0, 0, 0),
        (20, 0, -45, 0),
    ],
)
def test_lane_keeping(speed, lateral, heading, value):
    assert reward.lane_keeping(speed, 10, lateral, heading) == pytest.approx(value)


@pytest.mark.parametrize(
    ("along", "across", "value"),
    [(0, 0, 0), (-5, 0, -0.5), (2.5, 0, -0.25), (0, -1, -0.1), (9, 2.5, -0.75), (-9, 9, -1)],
)
def test_comfort(along, across, value):
    assert reward.comfort(along, across) == pytest.approx(value)


@pytest.mark.parametrize(
    ("crash", "solid", "other", "value"),
    [(False, False, False, 0), (False, False, True, -0.2), (False, True, True, -0.5), (True, True, True, -1)],
)
def test_safety(crash, solid, other, value):
    assert reward.safety(crash, solid, other) == value


@pytest.mark.parametrize(("advance", "value"), [(0, 0), (0.5, 0.5), (1, 1), (3, 1), (-0.5, -0.5), (-9, -1)])
def test_progress(advance, value):
    assert reward.progress(advance, 1.0, 1.0) == pytest.approx(value)


def test_the_scale_multiplies_everything():
    plain, scaled = RewardConfig(), RewardConfig(scale=100.0)
    assert scaled.bound == pytest.approx(100 * plain.bound)
    for name, value in reward_components(PERFECT, scaled).items():
        assert value == pytest.approx(100 * reward_components(PERFECT, plain)[name])
