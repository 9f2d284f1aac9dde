import math

import pytest

from td3_hpc.config import load_stage
from td3_hpc.config.monitors import ACTOR_CNN_GRADIENT_LIMIT
from td3_hpc.training.monitors.limits import limits, value_bounds, value_reach
from tests.paths import ROOT

STAGE = ROOT / "configs" / "stages" / "1k.yaml"


def named(*overrides):
    return {limit.name: limit for limit in limits(load_stage(STAGE, overrides))}


def test_the_bounds_on_q_are_what_the_reward_can_reach():
    """0.2 efficiency, 0.3 lane keeping, 0.5 progress; below also 0.1 comfort and 1.0 safety; 100 decisions count.
    Speed gains once: ten times efficiency, from its worst to its best."""
    weights = "environment.reward={efficiency: 0.2, lane_keeping: 0.3, comfort: 0.1, safety: 1.0, progress: 0.5}"
    assert value_bounds(load_stage(STAGE, [weights, "agent.discount=0.99"])) == pytest.approx((-214, 104))
    scaled = load_stage(STAGE, [weights, "environment.reward.scale=1000", "agent.discount=0.9"])
    assert value_bounds(scaled) == pytest.approx((-25_000, 14_000))


def test_values_are_held_against_the_bound_on_their_own_side():
    config = load_stage(STAGE)
    low, high = value_bounds(config)
    assert value_reach(config, 0.5 * low, 0.25 * high) == pytest.approx(0.5)
    assert value_reach(config, 0.5 * low, 3 * high) == pytest.approx(3)
    assert value_reach(config, high, high) == pytest.approx(1), "no value below zero"
    assert math.isnan(value_reach(config, 0.0, math.nan))
    nothing = load_stage(STAGE, ["environment.reward={efficiency: 0, lane_keeping: 0, progress: 0}"])
    assert value_reach(nothing, 0.0, 1.0) > 1e6, "nothing can be earned"
    assert named("monitors.q_factor=3")["q_magnitude"].highest == 3
    assert f"Q is outside {2 * low:g} to {2 * high:g}" in named()["q_magnitude"].meaning


def test_the_actor_cnn_is_limited_and_its_growth_watched_unless_told_otherwise():
    assert named()["actor_cnn_gradient"].highest == ACTOR_CNN_GRADIENT_LIMIT == 10_000
    assert "actor_cnn_growth" in named()
    assert "critic_growth" not in named()
    changed = named("monitors.gradient_limits.actor_cnn=null", "monitors.gradient_limits.critic=5e6")
    assert changed["critic_gradient"].highest == 5_000_000
    assert not {"actor_cnn_gradient", "actor_cnn_growth"} & changed.keys()


def test_every_limit_says_what_its_crossing_means():
    watched = limits(load_stage(STAGE))
    assert len({limit.name for limit in watched}) == len(watched)
    assert all(len(limit.meaning) > 40 for limit in watched)
