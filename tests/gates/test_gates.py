"""Every gate fails on a real run that deserves it, names the cause and suggests a change that can be applied."""

import json

import pytest
import yaml

from td3_hpc.config import apply_overrides, dump_yaml, load_stage
from td3_hpc.config.gates import GatesConfig
from td3_hpc.driving.reward import COMPONENTS, FINES
from td3_hpc.gates import GATES
from td3_hpc.gates.verdict import judge

#: Gates that each bad run must miss, with a word of the cause.
BROKEN = {
    "exploration_and_learning": "no update is in the record",
    "evaluation_and_resume": "no complete cycle at step 40",
    "buffer_operations": "not ended",
    "total_steps": "20 of 40 steps",
    "critic_updates": "0 updates",
    "actor_updates": "0 actor updates",
    "evaluations": "1 of 2 cycles",
    "finite": "NaN or infinity in update",
    "checkpoints_saved": "could not be written",
}
DIVERGED = {
    "observations_normalised": "the camera shows nothing",
    "reward_components": "the weight of comfort is 0",
    "q_magnitude": "times what the reward allows",
    "progress_dominance": "progress makes up",
    "pixels_reach_heads": "features vary 0",
}
ALTERED = {
    "no_dimension_errors": "another shape or type",
    "actor_updates": "20 actor updates in the record where 10 were due",
    "clipped_double_q": "not r + γ min(Q1', Q2')",
    "delayed_policy": "where 2 were due",
    "target_smoothing": "the noise reached",
    "action_saturation": "is at the end of its range",
    "actions_take_effect": "does not go with it (rank correlation of ",
}
SLOW = {"steps_per_second": "steps/s", "route_completion": "ended by", "collisions_per_km": "ended by"}
#: Gates that the kept run is too short for; tests/gates/test_driving.py has the records that miss them.
LONGER = {"above_constant", "routes_completed", "policy_moves", "overestimation", "picture_matters"}
EXPLODED = {
    "actor_cnn_gradient": "times the limit",
    "actor_cnn_growth": "exponential growth, which is beyond the limit",
}


def results(run_dir):
    return {result.name: result for result in judge(run_dir).gates}


def set_gates(run_dir, **gates):
    (run_dir / "gates.yaml").write_text(yaml.safe_dump(gates))


def must_miss(run_dir, name, cause):
    """The gate is missed for that cause; what it suggests can be applied and changes something."""
    result = results(run_dir)[name]
    assert result.status in ("fail", "watch"), f"{name} is {result.status}: {result.achieved}"
    assert cause in result.cause, result.cause
    assert 0 < result.confidence <= 1
    assert result.why
    assert result.evidence
    assert any(item.count for item in result.evidence), "a missed gate rests on events of the record"
    config = load_stage(run_dir / "config.yaml")
    options = [f"{key}={json.dumps(value)}" for key, value in result.change.items()]
    changed = load_stage(run_dir / "config.yaml", options)
    assert not options or changed != config, "the change changes nothing"
    assert apply_overrides({}, options) is not None
    return result


@pytest.mark.parametrize("name", BROKEN)
def test_a_run_that_breaks_off_misses(broken_run, name):
    assert broken_run.code == 1, broken_run.output
    must_miss(broken_run.run_dir, name, BROKEN[name])


def test_a_run_that_breaks_off_has_a_report_and_no_verdict(broken_run):
    assert "report: run/report.md" in broken_run.output
    assert (broken_run.run_dir / "report.html").is_file()
    assert not (broken_run.run_dir / "verdict.json").exists()


@pytest.mark.parametrize("name", DIVERGED)
def test_a_run_with_bad_settings_misses(diverging_run, name):
    assert diverging_run.code == 3, diverging_run.output
    result = must_miss(diverging_run.run_dir, name, DIVERGED[name])
    assert result.change or name == "progress_dominance", "a setting was the cause: the gate must name it"


def test_the_cure_of_a_diverging_critic_is_its_settings(diverging_run):
    change = results(diverging_run.run_dir)["q_magnitude"].change
    assert change["agent.learning_rates.critic"] == 3e-4
    assert change["agent.clip_norms.critic"] == 10.0


@pytest.mark.parametrize("name", ALTERED)
def test_a_run_of_wrong_code_misses(altered_run, name):
    assert altered_run.code == 3, altered_run.output
    must_miss(altered_run.run_dir, name, ALTERED[name])


@pytest.mark.parametrize("name", EXPLODED)
def test_a_run_whose_gradient_explodes_misses(exploding_run, name):
    assert exploding_run.code == 3, exploding_run.output
    result = must_miss(exploding_run.run_dir, name, EXPLODED[name])
    assert result.change == {
        "environment.reward.scale": 1.0,
        "agent.clip_norms.actor_cnn": 1.0,
        "agent.learning_rates.actor_cnn": 1e-5,
    }


@pytest.mark.parametrize("name", SLOW)
def test_limits_are_settings(healthy_run, name):
    """The kept run up to its first evaluation cycle, held against limits that it does not reach."""
    limit = 0.1 if name == "collisions_per_km" else 100.0
    record = healthy_run / "record.jsonl"
    lines = record.read_text().splitlines(keepends=True)
    record.write_text("".join(line for line in lines if '"evaluation", "step": 1000' not in line))
    set_gates(healthy_run, **{name: {"limit": limit}})
    assert must_miss(healthy_run, name, SLOW[name]).status == "watch"
    set_gates(healthy_run, **{name: {"limit": limit, "severity": "blocking"}})
    assert must_miss(healthy_run, name, SLOW[name]).status == "fail"
    assert judge(healthy_run).verdict == "NO-GO"


def test_a_policy_that_hardly_drives_is_told_what_the_shipped_stages_learn_with(healthy_run):
    set_gates(healthy_run, route_completion={"limit": 100.0})
    result = must_miss(healthy_run, "route_completion", "ended by")
    assert result.remedy == "the shipped stages learn to drive in 5,000 steps: train as long"
    assert result.change["agent.saturation_penalty"] == 0.3
    assert result.change["agent.encoder"] == "steady"


#: Actor-CNN gradient norms of the validation run that started this project, at updates 100 to 500.
EXPLOSION = (5_191, 130_486, 826_256, 2_860_755, 7_475_702)


def test_the_explosion_of_the_project_s_first_runs_is_called(healthy_run):
    """Their published norms in the kept run's place, with the learning rate that caused them."""
    events = [json.loads(line) for line in (healthy_run / "record.jsonl").read_text().splitlines()]
    norms = iter(EXPLOSION)
    for event in events:
        if event["event"] == "gradients":
            event["before_clipping"]["actor_cnn"] = next(norms)
    (healthy_run / "record.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    config = (healthy_run / "config.yaml").read_text()
    (healthy_run / "config.yaml").write_text(config.replace("actor_cnn: 1.0e-05", "actor_cnn: 1.0e-04"))
    result = must_miss(healthy_run, "actor_cnn_growth", "exponential growth")
    assert result.change == {"agent.learning_rates.actor_cnn": 1e-5}
    assert judge(healthy_run).verdict == "NO-GO"

    no_alert = load_stage(healthy_run / "config.yaml", ["monitors.gradient_limits.actor_cnn=null"])
    (healthy_run / "config.yaml").write_text(dump_yaml(no_alert))
    must_miss(healthy_run, "actor_cnn_growth", "exponential growth")


def test_a_buffer_that_was_smaller_in_the_stage_before_is_not_held_against_the_run(healthy_run):
    """The kept run as the continuation of one of 400 steps, whose ring held fewer."""
    record = healthy_run / "record.jsonl"
    events = [json.loads(line) for line in record.read_text().splitlines()]
    start, end = events[0], events[-1]
    assert (start["event"], end["event"]) == ("attempt", "finished")
    start |= {"continues_stage": True, "resumed_from": 400}
    for event in events:
        if event["event"] == "interval":
            event["replay/transitions"] -= 150
    end["replay_rows"] -= 150

    def judged():
        record.write_text("".join(json.dumps(event) + "\n" for event in events))
        return results(healthy_run)["buffer_operations"]

    assert judged().status == "pass", judged().cause
    end["replay_rows"] -= 300
    assert "rows where" in judged().cause, "fewer than its own steps filled"


def test_bfloat16_is_suggested_only_where_the_run_s_hardware_computes_it(healthy_run):
    set_gates(healthy_run, steps_per_second={"limit": 1e6})
    record = healthy_run / "record.jsonl"
    for hardware, change in (("computed", {"agent.precision": "bfloat16"}), ("imitated", {}), (None, {})):
        events = [json.loads(line) for line in record.read_text().splitlines()]
        for event in events:
            if event["event"] == "attempt":
                event["environment"] = {} if hardware is None else {"bfloat16": hardware}
        record.write_text("".join(f"{json.dumps(event)}\n" for event in events))
        assert results(healthy_run)["steps_per_second"].change == change


def test_every_gate_has_a_run_that_fails_it():
    assert set(GatesConfig.model_fields) == {*BROKEN, *DIVERGED, *ALTERED, *SLOW, *EXPLODED, *LONGER}


def test_every_gate_of_the_schema_has_its_function():
    assert set(GATES) == set(GatesConfig.model_fields)


def test_a_healthy_run_passes_every_blocking_gate_that_its_version_could_answer(healthy_run):
    blocking = {name: result for name, result in results(healthy_run).items() if result.severity == "blocking"}
    unknown = blocking.pop("action_saturation")
    assert (unknown.status, unknown.why) == ("not_judged", "an earlier version's record, of both components together")
    assert {name for name, result in blocking.items() if result.status == "not_judged"} == {
        *LONGER,
        "actions_take_effect",
    }
    missed = {name: result.cause for name, result in blocking.items() if result.status == "fail"}
    assert not missed


def with_intervals(run_dir, read):
    """The kept run's record with more in the intervals in which it learnt: what `read` gives for the n-th of them."""
    record = run_dir / "record.jsonl"
    events = [json.loads(line) for line in record.read_text().splitlines()]
    learning = [event for event in events if event["event"] == "interval" and event.get("updates")]
    for number, interval in enumerate(learning):
        interval |= read(number)
    record.write_text("".join(f"{json.dumps(event)}\n" for event in events))


def saturation(steering, pedal):
    shares = {"steering": steering, "pedal": pedal, "worst": max(steering, pedal)}
    return {f"policy_saturation_{name}": share for name, share in shares.items()}


def test_one_saturated_component_is_enough_and_the_last_quarter_counts(healthy_run):
    with_intervals(healthy_run, lambda number: saturation(0.0, 1.0) if number == 4 else saturation(0.0, 0.0))
    result = must_miss(healthy_run, "action_saturation", "the pedal is at the end of its range in 100%")
    assert (result.status, result.severity) == ("fail", "blocking")
    assert result.change == {
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
    with_intervals(healthy_run, lambda number: saturation(0.5, 0.4) if number == 4 else saturation(1.0, 1.0))
    assert results(healthy_run)["action_saturation"].status == "pass"
    assert results(healthy_run)["action_saturation"].achieved == "steering 50%, pedal 40%"


@pytest.mark.parametrize(
    ("after_standing", "share", "status"),
    [(10, 0.4, "pass"), (10, 0.6, "fail"), (10, 1.0, "fail"), (None, 0.4, "fail"), (None, 0.0, "pass")],
)
def test_random_actions_may_be_half_of_what_learning_does_where_a_standing_car_has_them(
    healthy_run, after_standing, share, status
):
    config = healthy_run / "config.yaml"
    values = yaml.safe_load(config.read_text())
    values["training"]["explore_after_standing"] = after_standing
    config.write_text(yaml.safe_dump(values))
    random = round(100 * share)
    with_intervals(healthy_run, lambda number: {"random_actions": random, "policy_actions": 100 - random})
    assert results(healthy_run)["exploration_and_learning"].status == status


@pytest.mark.parametrize(
    ("readings", "status"),
    [
        ({100: 0.9, 200: 0.9, 400: 0.1}, "pass"),
        ({100: 0.4, 200: 0.5, 400: 0.9}, "fail"),
        ({400: 0.4}, "fail"),
        ({600: 0.1, 700: 0.1}, "not_judged"),  # its first updates were another version's, which read nothing
    ],
)
def test_actions_are_judged_by_the_updates_on_mostly_random_ones(healthy_run, readings, status):
    with (healthy_run / "record.jsonl").open("a") as record:
        for update, value in readings.items():
            effects = {"speed": value, "heading": 0.9, "waypoints": 0.9}
            record.write(json.dumps({"event": "effects", "step": 500 + update, "update": update, **effects}) + "\n")
    result = results(healthy_run)["actions_take_effect"]
    assert (result.status, result.severity) == (status, "blocking")
    assert status != "fail" or "the pedal and the change of speed" in result.cause


def test_q_is_held_against_the_bound_on_its_own_side(healthy_run):
    assert results(healthy_run)["q_magnitude"].achieved.startswith("±"), "an old record tells no sign"
    with_intervals(healthy_run, lambda number: {"q_min": -300.0, "q_max": 150.0, "q_abs_max": 300.0})
    result = results(healthy_run)["q_magnitude"]
    assert (result.status, result.achieved, result.target) == (
        "pass",
        "-300 to 150",
        "-420 to 200 (2 times what the reward allows)",
    )
    with_intervals(healthy_run, lambda number: {"q_min": -1.0, "q_max": 250.0, "q_abs_max": 250.0})
    must_miss(healthy_run, "q_magnitude", "2.5 times what the reward allows")


def features(spread, drift):
    return {
        "event": "features",
        "step": 1000,
        "update": 500,
        "feature_spread": spread,
        "vector_spread": 0.1,
        "feature_drift": drift,
    }


@pytest.mark.parametrize(
    ("spread", "drift", "cause"),
    [
        ({"actor": 0.1, "critic": 0.002}, {"actor": 1.0, "critic": 1.0}, "the critic's features vary 0.02 times"),
        ({"actor": 0.1, "critic": 0.1}, {"actor": 20.0, "critic": 1.0}, "the actor's features drift by 20 times"),
        ({"actor": 0.004, "critic": 0.1}, {"critic": 1.0}, None),
    ],
)
def test_the_picture_reaches_the_heads_by_features_that_vary_and_stay(healthy_run, spread, drift, cause):
    assert results(healthy_run)["pixels_reach_heads"].status == "not_judged"
    with (healthy_run / "record.jsonl").open("a") as record:
        record.write(json.dumps(features(spread, drift)) + "\n")
    if cause is None:
        assert results(healthy_run)["pixels_reach_heads"].status == "pass"
    else:
        result = must_miss(healthy_run, "pixels_reach_heads", cause)
        assert (result.status, result.severity) == ("fail", "recommended")
        assert result.change == {"agent.encoder": "steady"}


@pytest.mark.parametrize("camera", [{}, {"pitch_deg": -8.0}])
def test_pictures_that_tell_nothing_are_cured_by_the_default_camera(healthy_run, camera):
    config = healthy_run / "config.yaml"
    values = yaml.safe_load(config.read_text())
    values["environment"]["camera"] |= {"pitch_deg": 90.0} if camera else {}
    config.write_text(yaml.safe_dump(values))
    with (healthy_run / "record.jsonl").open("a") as record:
        record.write(json.dumps(features({"actor": 0.0, "critic": 0.1}, {})) + "\n")
    change = must_miss(healthy_run, "pixels_reach_heads", "features vary 0 times").change
    restored = {f"environment.camera.{key}": value for key, value in camera.items()}
    assert change == {**restored, "agent.encoder": "steady"}


def test_pictures_that_are_always_the_same_are_called_though_each_has_contrast(healthy_run):
    gate = "observations_normalised"
    low, high = 2 * 0.006, 2 * 0.03  # the kept run's pictures use nearly the whole range of 2
    assert "pictures" not in results(healthy_run)[gate].achieved, "an old record does not tell"
    with (healthy_run / "record.jsonl").open("a") as record:
        record.write(json.dumps({**features({"actor": 0.1}, {}), "picture_spread": high}) + "\n")
    assert results(healthy_run)[gate].status == "pass"
    assert results(healthy_run)[gate].achieved.endswith("a pixel's spread over pictures 0.06")
    with (healthy_run / "record.jsonl").open("a") as record:
        for _ in range(20):
            record.write(json.dumps({**features({"actor": 0.1}, {}), "picture_spread": low}) + "\n")
    result = results(healthy_run)[gate]
    assert (result.status, result.severity) == ("fail", "blocking")
    assert "all its pictures are nearly the same" in result.cause
    assert "nearly the same picture in 21 sampled updates" in result.achieved
    assert result.remedy, "the camera has its default already"


def test_a_nan_that_a_later_attempt_did_not_meet_again_is_no_fault_of_the_run(healthy_run):
    record = healthy_run / "record.jsonl"
    lines = record.read_text().splitlines(keepends=True)
    start = next(line for line in lines if '"event": "attempt"' in line)
    failed = json.dumps({"event": "failed", "step": 420, "code": "non_finite", "reason": "NaN", "cause": "NaN"}) + "\n"
    record.write_text("".join([start, failed, *lines]))
    assert (results(healthy_run)["finite"].status, results(healthy_run)["finite"].achieved) == (
        "pass",
        "0; 1 earlier attempt ended by it",
    )
    record.write_text("".join([*lines, failed]))
    must_miss(healthy_run, "finite", "NaN")


def negated(components):
    return {name: -value for name, value in components.items()}


def alter_rewards(run_dir, change, episode=None):
    """Each interval's means by component are what `change` makes of them, and add up; each episode's what `episode`
    does."""
    record = run_dir / "record.jsonl"
    events = [json.loads(line) for line in record.read_text().splitlines()]
    for event in events:
        if event["event"] == "interval":
            changed = change({name: event[f"reward/{name}"] for name in COMPONENTS})
            event |= {f"reward/{name}": value for name, value in changed.items()} | {"reward": sum(changed.values())}
        elif event["event"] == "episode" and episode:
            event["reward_components"] = episode(event["reward_components"])
    record.write_text("".join(json.dumps(event) + "\n" for event in events))


@pytest.mark.parametrize("fine", FINES)
def test_a_fine_that_is_paid_out_has_the_wrong_sign(healthy_run, fine):
    assert results(healthy_run)["reward_components"].status == "pass"
    alter_rewards(healthy_run, lambda rewards: {**rewards, fine: -rewards[fine]})
    result = must_miss(healthy_run, "reward_components", f"{fine}, which can only take away, was paid in ")
    assert "progress" not in result.cause
    assert result.remedy


def test_a_way_gained_that_is_fined_has_the_wrong_sign(healthy_run):
    alter_rewards(healthy_run, lambda rewards: rewards, negated)
    cause = must_miss(healthy_run, "reward_components", "progress was negative in ").cause
    assert "comfort" not in cause


def test_a_reward_of_the_wrong_sign_is_told_by_all_that_shows_it(healthy_run):
    alter_rewards(healthy_run, negated, negated)
    cause = must_miss(healthy_run, "reward_components", "comfort, which can only take away").cause
    assert "progress was negative in " in cause


def test_a_gate_that_is_off_is_not_judged(healthy_run):
    set_gates(healthy_run, total_steps=False)
    assert "total_steps" not in results(healthy_run)


def test_confidence_grows_with_the_evidence(healthy_run, kept_run):
    many, few = results(healthy_run)["no_dimension_errors"], results(kept_run("diverging"))["no_dimension_errors"]
    assert many.status == few.status == "pass"
    assert many.confidence == pytest.approx(0.05 ** (1 / 1000), abs=1e-4)
    assert few.confidence == pytest.approx(0.05 ** (1 / 40), abs=1e-4)
    assert "none among 1,000 observations" in many.why


def test_what_is_absent_is_not_judged_and_says_why(healthy_run):
    record = healthy_run / "record.jsonl"
    lines = record.read_text().splitlines(keepends=True)
    record.write_text("".join(line for line in lines if '"event": "mechanisms"' not in line))
    for name in ("clipped_double_q", "delayed_policy", "target_smoothing"):
        result = results(healthy_run)[name]
        assert (result.status, result.confidence) == ("not_judged", 0.0)
        assert "none of them sampled" in result.why
