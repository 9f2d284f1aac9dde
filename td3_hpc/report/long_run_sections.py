"""What a run says about the long one that is to follow: risks, milestones, next actions."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import Literal

from td3_hpc.config import CONFIG_FILE
from td3_hpc.formatting import duration, number, size
from td3_hpc.gates import GateResult
from td3_hpc.gates.history import RunHistory
from td3_hpc.gates.verdict import GATES_FILE, Verdict
from td3_hpc.record import AttemptStarted, CheckpointFailed, CheckpointSaved, SimulatorChanged
from td3_hpc.replay.rows import row_bytes
from td3_hpc.report.document import Block, Cell, Chip, Code, Items, Section, Table, Text, linked, overrides

LONG_RUN = 1_000_000
DAY_S = 86_400
Level = Literal["low", "medium", "high"]
CHIPS = {"low": Chip("pass", "low"), "medium": Chip("watch", "medium"), "high": Chip("fail", "high")}


@dataclass(frozen=True)
class Risk:
    """One line of the risk table."""

    level: Level
    title: str
    why: str
    answer: str


def risks(history: RunHistory, verdict: Verdict) -> Section:
    """Each risk of the long run, its level computed from this run's numbers; the highest first."""
    gates = {result.name: result for result in verdict.gates}
    found = sorted(_risks(history, gates), key=lambda risk: ("high", "medium", "low").index(risk.level))
    rows: list[list[Cell]] = [[CHIPS[risk.level], risk.title, risk.why, risk.answer] for risk in found]
    return Section("Risks of the 1M-step run", "risks", [Table(["Level", "Risk", "Because", "Answer"], rows)])


def _risks(history: RunHistory, gates: dict[str, GateResult]) -> Iterator[Risk]:
    for names, title, answer in (
        (
            ("actor_cnn_gradient", "actor_cnn_growth"),
            "Gradient explosion",
            "clipping per group; the growth monitor calls it",
        ),
        (("q_magnitude",), "Q values run away", "alert at the limit; the shipped learning rates and clipping"),
        (("finite",), "NaN or infinity", "the run stops at once and keeps its last good checkpoint"),
        (
            ("clipped_double_q", "delayed_policy", "target_smoothing"),
            "TD3 implementation",
            "sampled updates are recomputed all along",
        ),
        (("no_dimension_errors", "observations_normalised"), "Observations", "checked at every step"),
        (("evaluation_and_resume",), "Evaluation stops the run", "a simulator of its own, watched by its supervisor"),
        (("progress_dominance",), "One reward drowns the others", "look again after 100,000 steps"),
        (
            ("action_saturation",),
            "The policy saturates",
            "agent.saturation_penalty (docs/learning.md)",
        ),
        (("pixels_reach_heads",), "The policy does not see", "agent.encoder: steady"),
    ):
        judged = [gates[name] for name in names if name in gates]
        if judged:
            yield Risk(_level(judged), title, _because(judged), answer)
    yield _checkpoint_risk(history)
    yield _simulator_risk(history)
    yield _time_risk(history)


def _level(results: list[GateResult]) -> Level:
    statuses = {result.status for result in results}
    if "fail" in statuses:
        return "high"
    return "medium" if statuses & {"watch", "not_judged"} else "low"


def _because(results: list[GateResult]) -> str:
    worst = next((result for result in results if result.status != "pass"), results[0])
    reading = linked(worst.achieved, worst.name) if worst.achieved != "–" else linked("not judged", worst.name)
    return f"{worst.title}: {reading} (target: {worst.target})"


def _checkpoint_risk(history: RunHistory) -> Risk:
    failed = history.of(CheckpointFailed)
    resumed = [attempt for attempt in history.of(AttemptStarted) if attempt.resumed_from is not None]
    written = linked(f"{len(history.of(CheckpointSaved)):,} written", "checkpoints_saved")
    answer = "stop this run once with Ctrl-C and continue it; `td3-hpc checkpoint verify`"
    if failed:
        return Risk("high", "Checkpoints", f"{written}, {len(failed):,} failed: {failed[-1].error}", answer)
    if not resumed:
        return Risk("medium", "Checkpoints", f"{written}, but no resume in this run", answer)
    exact = "exact" if not resumed[-1].not_exact else "not exact"
    return Risk("low", "Checkpoints", f"{written}, resumed {len(resumed):,} times, {exact}", "none needed")


def _simulator_risk(history: RunHistory) -> Risk:
    lost = [event for event in history.of(SimulatorChanged) if event.state in ("died", "hung", "lost")]
    steps = max(1, history.step)
    answer = "its supervisor restarts it and the episode is rebuilt; `simulator.restarts_per_hour` bounds that"
    if not lost:
        bound = 3 / steps * LONG_RUN
        return Risk(
            "low" if bound < 1000 else "medium",
            "Simulator dies or hangs",
            f"never in {linked(f'{steps:,} steps', 'incidents')}: fewer than {bound:,.0f} times in 1M steps, at 95 %",
            answer,
        )
    rate = len(lost) / steps
    level: Level = "high" if rate > 1e-3 else "medium"
    return Risk(
        level, "Simulator dies or hangs", f"{len(lost):,} times in {linked(f'{steps:,} steps', 'incidents')}", answer
    )


def _time_risk(history: RunHistory) -> Risk:
    rate = speed(history)
    faster = "a GPU or bfloat16 shortens" if history.computes_bfloat16 else "a GPU shortens"
    answer = f"checkpoints and requeueing carry it over any time limit; {faster} it"
    if rate is None:
        return Risk("medium", "Time", "no speed of learning is in the record", answer)
    seconds, updates = LONG_RUN / rate, history.config.training.updates_per_step
    level: Level = "low" if seconds < 3 * DAY_S else "medium" if seconds < 14 * DAY_S else "high"
    speed_here = f"{linked(f'{rate:.3g} steps/s', 'resources')}, with {updates:g} updates a step as here,"
    return Risk(level, "Time", f"1M steps at {speed_here} take {duration(seconds)}", answer)


def speed(history: RunHistory) -> float | None:
    """Median steps per second while learning."""
    return median(history.learning_speeds) if history.learning_speeds else None


def milestones(history: RunHistory, verdict: Verdict) -> Section:
    """What to look at in the 1M-step run, and when, from the limits and this run's numbers."""
    rate = speed(history)
    gates = {result.name: result for result in verdict.gates}

    def target(name: str) -> str:
        return gates[name].target if name in gates else "off"

    def reached(step: int) -> str:
        return f"after {duration(step / rate)} at {rate:.3g} steps/s" if rate else "–"

    first_day = f"by then step {number(min(LONG_RUN, DAY_S * rate))} at {rate:.3g} steps/s" if rate else "–"
    rows: list[list[Cell]] = [
        [
            "First 24 hours",
            first_day,
            f"actor CNN gradient {target('actor_cnn_gradient')} and its growth {target('actor_cnn_growth')}",
        ],
        ["", "", f"Q within {target('q_magnitude')}"],
        ["", "", "a checkpoint whenever one is due, and at the first requeue a resume that says exact"],
        ["100,000 steps", reached(100_000), "no delayed growth: gradients and |Q| against their curves here"],
        ["", "", f"progress {target('progress_dominance')}"],
        ["", "", f"route completion above {_completion(gates)}; a policy that does not beat it learns nothing"],
        ["500,000 steps", reached(500_000), "collisions per km falling from cycle to cycle"],
        ["", "", f"actions saturated {target('action_saturation')}"],
        [
            "",
            "",
            f"disk: replay of {size(500_000 * row_bytes())}, where the buffer holds as much, and the kept checkpoints",
        ],
    ]
    return Section("Milestones of the 1M-step run", "milestones", [Table(["When", "Reached", "Look for"], rows)])


def _completion(gates: dict[str, GateResult]) -> str:
    result = gates.get("route_completion")
    return result.achieved if result and result.achieved != "–" else "that of an untrained policy"


def next_actions(history: RunHistory, verdict: Verdict) -> Section:
    """The commands to run now."""
    run = history.run_dir
    again = Code([shlex.join(["td3-hpc", "train", str(run / CONFIG_FILE), "--run-dir", str(run)])])
    if verdict.ends_run and not history.finished:
        blind = (
            "The policy does not use its picture, and the run ended there, with a checkpoint. To go on all the same:"
        )
        line = f"echo 'picture_matters: {{severity: recommended}}' >> {shlex.quote(str(run / GATES_FILE))}"
        where = "In a campaign, put it below `gates` in the campaign's file, and run `td3-hpc campaign resume` instead."
        return _next([Text(blind), Code([line, *again.lines]), Text(where)])
    if history.can_go_on:
        return _next(
            [Text("The run is not complete. The same command continues it from its newest checkpoint:"), again]
        )
    change: dict[str, object] = {}
    for result in verdict.missed("blocking"):
        change.update(result.change)
    if not history.finished and not change:
        return _next([Text("Remove the cause of the failure; the same command then continues the run:"), again])
    if verdict.verdict == "NO-GO":
        corrected = f"{run}-corrected"
        train = shlex.join(["td3-hpc", "train", str(run / CONFIG_FILE), "--run-dir", corrected])
        report = shlex.join(["td3-hpc", "report", corrected, "--compare", str(run)])
        lines = [" \\\n  ".join([train, *overrides(change)]), report]
        text = "Make the blocking changes and run the stage again; the second command shows what they resolved:"
        if not change:
            text = "No change of the configuration cures this: see the causes above, then run the stage again:"
        where = "In a campaign `td3-hpc campaign fix` puts the change into the campaign's file and resumes."
        if not change:
            where = "In a campaign, run `td3-hpc campaign resume` after the correction instead."
        return _next([Text(text), Code(lines), Text(where)])
    rate, items = speed(history), []
    longer = [steps for steps in (5_000, LONG_RUN) if steps > history.config.training.total_steps]
    if longer:
        time = f", about {duration(longer[0] / rate)} at this speed" if rate else ""
        items.append(f"Run the next stage: {longer[0]:,} steps{time}. A campaign's next stage starts by itself.")
    items += [f"Recommended: {result.title.lower()}: {result.cause}." for result in verdict.missed("recommended")]
    items.append("Watch the milestones below with `td3-hpc status --watch` or TensorBoard.")
    return _next([Items(items, ordered=True)])


def _next(blocks: list[Block]) -> Section:
    return Section("Next actions", "next", blocks)
