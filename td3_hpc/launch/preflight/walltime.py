"""Does the run get anywhere within its time limits, and is there time to save when one is near?"""

import math
from dataclasses import dataclass
from pathlib import Path

from td3_hpc.checkpoint_names import newest_step
from td3_hpc.formatting import duration
from td3_hpc.gates.verdict import read_gates
from td3_hpc.launch.preflight.finding import Doubt, Mistake, NotLearnt
from td3_hpc.launch.preflight.plan import Plan
from td3_hpc.record import RECORD_FILE, CheckpointSaved, Interval, read_events
from td3_hpc.training.evaluation.picture import decisions_at_most

START_S = 30.0
"""From a job's start to its first step, where it was not measured: container, PyTorch, simulators."""
MARGIN_S = 15.0
"""From Slurm's signal to the beginning of the save, at most: the signal's way, and the step in flight."""
REFERENCE_DRIVERS = 12
"""Ten constant ones, a random one and pure pursuit drive the last cycle's episodes at a stage's end."""
REFERENCE_DECISIONS = 2_000
"""Of all of them together for one episode, as measured in Brookfield: most end long before `max_decisions`."""


@dataclass(frozen=True)
class Rate:
    """Environment steps a second."""

    exploring: float
    learning: float
    source: str


def known_rate(plan: Plan) -> Rate | None:
    """Steps a second: as stated, as this run has recorded, or as the doctor measured with this kind of simulator."""
    if plan.stated_steps_per_s:
        return Rate(plan.stated_steps_per_s, plan.stated_steps_per_s, "stated")
    recorded = recorded_rate(plan.run_dir)
    if recorded:
        return Rate(recorded, recorded, "this run's record")
    doctor = plan.doctor_result
    if doctor and doctor.simulation and doctor.learning and doctor.simulator == plan.stage.simulator.kind:
        batch, measured = plan.stage.agent.batch_size, doctor.learning.batch_size
        source = f"measured {doctor.age} on {doctor.node}, batch {measured}"
        source += f" and not {batch}: `td3-hpc doctor --stage` measures this stage" if measured != batch else ""
        exploring, updates = doctor.simulation.steps_per_s, plan.stage.training.updates_per_step
        return Rate(exploring, min(exploring, doctor.learning.steps_per_s / updates), source)  # measured with one
    return None


def recorded_rate(run_dir: Path) -> float | None:
    """Steps a second in the newest interval of a run's record."""
    intervals = read_events(run_dir / RECORD_FILE, Interval)
    rates = [interval.steps_per_second for interval in intervals if interval.steps_per_second]
    return rates[-1] if rates else None


def seconds_left(plan: Plan, rate: Rate) -> float:
    """What the rest of the run takes, with every episode of evaluation and of the picture's test at its longest, and no
    episode of the reference drivers in the cache."""
    stage, done = plan.stage, newest_step(plan.run_dir)
    total, starts = stage.training.total_steps, stage.training.learning_starts
    exploring = max(0, starts - done)
    learning = max(0, total - max(done, starts))
    cycles = len(stage.evaluations_after(done))
    more = stage.episodes_of_cycle(total) - stage.evaluation.episodes if cycles else 0
    driven: float = (cycles * stage.evaluation.episodes + more) * stage.environment.max_decisions
    if done < total:
        of_references = min(REFERENCE_DECISIONS, REFERENCE_DRIVERS * stage.environment.max_decisions)
        driven += stage.episodes_of_cycle(total) * of_references / stage.evaluation.simulators
    picture = read_gates(plan.run_dir).picture_matters
    if picture and done < picture.from_step <= total:
        driven += decisions_at_most(stage) / stage.evaluation.simulators
    return exploring / rate.exploring + learning / rate.learning + driven / rate.exploring


def attempt_s(plan: Plan) -> float:
    """Seconds of training in one attempt: the walltime without its start and the time kept for saving."""
    doctor = plan.doctor_result
    start = doctor.simulation.ready_s + 10 if doctor and doctor.simulation else START_S
    return plan.profile.walltime_minutes * 60 - plan.profile.signal_lead_s - start


def check_walltime(plan: Plan) -> str:
    """Steps against time limits: how many attempts the run takes."""
    profile, usable = plan.profile, attempt_s(plan)
    if usable <= 0:
        raise Mistake(
            f"of walltime_minutes {profile.walltime_minutes}, nothing is left after the start and signal_lead_s "
            f"{profile.signal_lead_s}",
            f"raise walltime_minutes in {plan.profile_file}",
        )
    steps = plan.stage.training.total_steps
    rate = known_rate(plan)
    if rate is None:
        raise NotLearnt(
            f"{steps} steps at an unknown rate", f"{plan.run_doctor}, or give --steps-per-second where you know it"
        )
    seconds = seconds_left(plan, rate)
    attempts = max(1, math.ceil(seconds / usable))
    found = (
        f"{steps - newest_step(plan.run_dir)} steps at {rate.learning:.1f}/s ({rate.source}) and evaluation: about "
        f"{duration(seconds)}"
    )
    if not profile.queued:
        return found
    found += f", {attempts} attempt{'s' if attempts > 1 else ''} of {profile.walltime_minutes} minutes"
    if profile.requeue == "chain" and attempts > profile.chain_length:
        raise Mistake(
            f"{found}, but the chain has {profile.chain_length} jobs",
            f"raise chain_length to {attempts + attempts // 5 + 1}, or walltime_minutes, in {plan.profile_file}",
        )
    return found


def check_checkpoint_interval(plan: Plan) -> str:
    """A checkpoint is due within one attempt: otherwise a lost node costs everything since the first."""
    checkpoint, usable, rate = plan.stage.checkpoint, attempt_s(plan), known_rate(plan)
    interval = checkpoint.every_minutes * 60
    if rate:
        interval = min(interval, checkpoint.every_steps / rate.learning)
    found = f"at most {duration(interval)} between two, in attempts of {plan.profile.walltime_minutes} minutes"
    if interval >= usable:
        kind = Mistake if rate else Doubt  # at an unknown rate, every_steps may come sooner
        raise kind(
            f"{found}: no checkpoint would be written before the time limit's warning",
            f"lower checkpoint.every_minutes ({checkpoint.every_minutes:g}), or raise walltime_minutes",
        )
    return found


def check_evaluation_cycle(plan: Plan) -> str:
    """An evaluation cycle fits into an attempt, since one that is interrupted is driven again from its start."""
    stage, usable, rate = plan.stage, attempt_s(plan), known_rate(plan)
    episodes = max(stage.evaluation.episodes, stage.episodes_of_cycle(stage.training.total_steps))
    side_by_side = min(stage.evaluation.simulators, episodes)
    asked = f"{episodes} episodes of at most {stage.environment.max_decisions} decisions"
    if rate is None:
        raise NotLearnt(f"{asked} at an unknown rate", f"{plan.run_doctor}, or give --steps-per-second")
    longest = -(-episodes // side_by_side) * stage.environment.max_decisions / rate.exploring
    found = f"{asked}: at most {duration(longest)}, in attempts of {plan.profile.walltime_minutes} minutes"
    if longest >= usable:
        raise Doubt(
            f"{found}, and an interrupted cycle begins anew",
            "lower evaluation.episodes and final_episodes, or raise evaluation.simulators or walltime_minutes",
        )
    return found


def check_signal_lead(plan: Plan) -> str:
    """The warning before the time limit against the time that a checkpoint takes."""
    lead = plan.profile.signal_lead_s
    seconds, source = checkpoint_seconds(plan)
    needed = 2 * seconds + MARGIN_S  # one save may be in progress already
    found = f"{lead} s for a checkpoint that takes {seconds:.1f} s ({source})"
    if lead < needed:
        raise Mistake(found, f"raise signal_lead_s to at least {math.ceil(needed)} in {plan.profile_file}")
    return found


def checkpoint_seconds(plan: Plan) -> tuple[float, str]:
    """Seconds that a checkpoint takes, and whence that is known. Raises NotLearnt."""
    saved = read_events(plan.run_dir / RECORD_FILE, CheckpointSaved)
    recorded = [event.seconds for event in saved if event.seconds is not None]
    if recorded:
        return max(recorded[-10:]), "this run's record"
    saving = plan.doctor.saving
    if saving is None:
        raise NotLearnt(f"the time of a checkpoint: {plan.doctor.errors.get('saving', 'not measured')}", "")
    return saving.seconds, f"measured {plan.doctor.age}"
