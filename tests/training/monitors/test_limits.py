import math

from td3_hpc.config import load_stage
from td3_hpc.config.monitors import ACTOR_CNN_GRADIENT_LIMIT
from td3_hpc.training.monitors.limits import limits
from tests.paths import ROOT

STAGE = ROOT / "configs" / "stages" / "1k.yaml"


def named(*overrides):
    return {limit.name: limit for limit in limits(load_stage(STAGE, overrides))}


def test_the_bound_on_q_follows_from_reward_and_discount():
    config = load_stage(STAGE)
    bound = 2 * config.environment.reward.bound / (1 - config.agent.discount)
    assert math.isclose(named()["q_magnitude"].highest, bound)
    assert math.isclose(named("environment.reward.scale=1000")["q_magnitude"].highest, 1000 * bound)
    assert math.isclose(named("monitors.q_factor=3")["q_magnitude"].highest, 1.5 * bound)


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
