"""The gates on driving, on records made by hand: the kept 1K run with another last cycle and a constant driver's."""

import json

import numpy as np
import pytest

from td3_hpc.config import load_stage
from td3_hpc.gates.verdict import judge

STEP = 1000


def episodes(completions, ends="off_road"):
    """Summaries as a record has them; a whole route is a completed one."""
    return [
        {
            "route": route,
            "end_reason": "route_completed" if completion >= 1 else ends,
            "return": 100.0 * completion,
            "length": 100,
            "route_completion": float(completion),
            "route_length_m": 300.0,
            "distance_m": 300.0 * completion,
            "mean_speed_kmh": 30.0,
            "collisions": 0,
            "lane_invasions": 0,
            "reward_components": {"comfort": -0.5},
        }
        for route, completion in enumerate(completions)
    ]


@pytest.fixture
def record(healthy_run):
    """`record(own, constant, **fields)` gives the run's last cycle other episodes and fields, and a reference drive;
    an earlier cycle at step 750, too. Returns the gates' results by name."""

    def rewrite(own, constant=None, throttle=0.3, before=750, **fields):
        path = healthy_run / "record.jsonl"
        events = [json.loads(line) for line in path.read_text().splitlines()]
        last = next(event for event in events if event["event"] == "evaluation" and event["step"] == STEP)
        place = events.index(last)
        earlier = {**last, "step": before}
        last |= {"episodes": episodes(own), **fields}
        added = (
            []
            if constant is None
            else [
                {
                    "event": "reference",
                    "step": STEP,
                    "time": last["time"],
                    "policy": "constant",
                    "throttle": throttle,
                    "episodes": episodes(constant),
                    "seconds": 1.0,
                }
            ]
        )
        events[place:place] = [earlier]
        events[place + 2 : place + 2] = added
        path.write_text("".join(f"{json.dumps(event)}\n" for event in events))
        return {result.name: result for result in judge(healthy_run).gates}

    return rewrite


def spread(mean, count=20, width=0.1, seed=0):
    """Completions around a mean, in [0, 1]."""
    return np.clip(mean + width * np.random.default_rng(seed).standard_normal(count), 0, 1)


# ---- above the constant driver
def test_a_policy_as_good_as_one_that_never_steers_is_called(record):
    result = record(spread(0.28), spread(0.30, seed=1))["above_constant"]
    assert (result.status, result.severity) == ("fail", "blocking")
    assert "never steers at throttle 0.3 completes 30." in result.cause
    assert result.interval[0] < 0


def test_one_that_is_better_on_the_same_routes_passes_though_routes_differ_much(record):
    """Paired: the routes spread by 30 points, the gain of 8 is seen on each."""
    constant = spread(0.5, width=0.3)
    result = record(np.clip(constant + 0.08, 0, 1), constant)["above_constant"]
    assert result.status == "pass"
    assert result.interval[0] > 0
    assert result.value == pytest.approx(8, abs=2)


def test_a_few_good_routes_are_not_enough(record):
    constant = np.full(20, 0.3)
    own = constant.copy()
    own[:2] = 1.0
    own[2:] -= 0.02
    assert record(own, constant)["above_constant"].status == "fail"


def test_the_same_record_gives_the_same_interval(record, healthy_run):
    one = record(spread(0.6), spread(0.3, seed=1))["above_constant"].interval
    again = {result.name: result for result in judge(healthy_run).gates}["above_constant"].interval
    assert one == again


@pytest.mark.parametrize("count", [3, 19])
def test_too_few_episodes_are_not_judged_and_block_nothing(record, healthy_run, count):
    result = record(np.zeros(count), np.ones(count))["above_constant"]
    assert result.status == "not_judged"
    assert result.why == f"the stage has {count} episodes, 20 are needed: evaluation.final_episodes"


def test_without_the_driver_or_on_other_routes_it_is_not_judged(record):
    assert record(spread(0.5))["above_constant"].status == "not_judged"
    assert "other routes" in record(spread(0.5), spread(0.3, count=21))["above_constant"].why


# ---- routes completed
def test_a_route_must_be_driven_to_its_end(record):
    none = record(np.full(20, 0.9))["routes_completed"]
    assert (none.status, none.severity, none.achieved) == ("fail", "blocking", "0 of 20")
    assert "off road" in none.cause


def test_one_route_is_enough_and_nine_episodes_are_too_few(record):
    assert record([1.0] + [0.1] * 9)["routes_completed"].status == "pass"


def test_nine_episodes_are_too_few_to_miss_one(record):
    result = record(np.zeros(9))["routes_completed"]
    assert (result.status, result.why[:24]) == ("not_judged", "the stage has 9 episodes")


# ---- the policy moves
def test_a_frozen_policy_is_called(record):
    result = record(spread(0.3), policy_motion=0.0004)["policy_moves"]
    assert (result.status, result.severity) == ("fail", "blocking")
    assert "between steps 750 and 1,000" in result.cause


def test_one_that_moves_passes(record):
    assert record(spread(0.3), policy_motion=0.01)["policy_moves"].status == "pass"


def test_a_policy_that_is_still_the_untrained_one_is_called(record):
    """In the 1K stage the first cycle is the untrained policy's."""
    assert record(spread(0.3), before=500, policy_motion=0.0)["policy_moves"].status == "fail"


def test_few_updates_are_not_judged(record):
    result = record(spread(0.3), before=960, policy_motion=0.0)["policy_moves"]
    why = "40 updates lie between the stage's last two cycles, 100 are needed"
    assert (result.status, result.why) == ("not_judged", why)
    assert "overwritten" in record(spread(0.3), policy_motion=None)["policy_moves"].why


# ---- overestimation
@pytest.mark.parametrize(
    ("expected", "earned", "status"),
    [
        (12.0, 10.0, "pass"),
        (12.6, 10.0, "fail"),
        (-5.0, 10.0, "pass"),
        (9.0, 0.9, "not_judged"),
        (9.0, -30.0, "not_judged"),
    ],
)
def test_values_are_held_against_what_was_earned(record, expected, earned, status):
    fields = {"q_estimate": expected, "discounted_return": earned, "value_states": 90}
    result = record(spread(0.3), **fields)["overestimation"]
    assert (result.status, result.severity) == (status, "blocking")


def test_values_of_a_few_episodes_and_none_at_all_are_not_judged(record):
    fields = {"q_estimate": 50.0, "discounted_return": 5.0, "value_states": 9}
    assert "the stage has 3 episodes" in record(spread(0.3, count=3), **fields)["overestimation"].why


def test_older_records_have_no_such_numbers(healthy_run):
    gates = {result.name: result for result in judge(healthy_run).gates}
    for name in ("above_constant", "routes_completed", "policy_moves", "overestimation"):
        assert gates[name].status == "not_judged"
    assert judge(healthy_run).verdict == "GO"


# ---- what to do
def test_the_change_is_what_was_tried_and_nothing_where_it_is_in_force(record, healthy_run):
    change = record(spread(0.28), spread(0.30, seed=1))["above_constant"].change
    assert change == {
        "agent.saturation_penalty": 0.3,
        "agent.exploration_noise": 0.2,
        "agent.encoder": "steady",
        "agent.discount": 0.95,
        "environment.reward.efficiency": 0.5,
        "environment.reward.speed_gain": 10.0,
        "environment.reward.target_speed_kmh": 16.0,
        "environment.speed_range_kmh": 40.0,
        "training.explore_after_standing": 10,
    }
    config = load_stage(healthy_run / "config.yaml", [f"{key}={value}" for key, value in change.items()])
    assert config.agent.saturation_penalty == 0.3


# ---- the picture matters
@pytest.fixture
def driven(healthy_run):
    """`driven(seeing, blind, **settings)`: the gate's result where so many of 56 situations were got through."""

    def judged(seeing=None, blind=0, **settings):
        if seeing is not None:
            path = healthy_run / "record.jsonl"
            events = [json.loads(line) for line in path.read_text().splitlines()]
            through = {"with_picture": seeing, "without_picture": blind}
            sets = {name: episodes(np.r_[np.ones(count), np.zeros(56 - count)]) for name, count in through.items()}
            events.insert(
                -1, {"event": "picture", "step": STEP, "time": events[-1]["time"], "suite": "must-see", **sets}
            )
            path.write_text("".join(f"{json.dumps(event)}\n" for event in events))
        (healthy_run / "gates.yaml").write_text(json.dumps({"picture_matters": settings}))
        return {result.name: result for result in judge(healthy_run).gates}["picture_matters"]

    return judged


def test_a_policy_that_drives_as_well_without_its_picture_is_called(driven):
    result = driven(30, 28)
    assert (result.status, result.severity) == ("fail", "blocking")
    assert result.achieved.startswith("54 % with it, 50 % without: +4 points")
    assert "drives blindly" in result.cause
    assert "severity: recommended" in result.remedy


def test_one_whose_picture_is_worth_20_points_passes(driven):
    result = driven(40, 20)
    assert (result.status, round(result.value)) == ("pass", 36)


def test_before_its_step_it_is_not_judged_and_says_so_in_one_line(driven):
    result = driven(from_step=4000)
    assert result.status == "not_judged"
    assert result.why == "judged at the first evaluation cycle from step 4,000 on"
