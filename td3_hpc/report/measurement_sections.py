"""The sections of a run's report that show the course of the run, each made from its record alone."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from td3_hpc.driving.reward import COMPONENTS
from td3_hpc.formatting import duration, number, plural, size, when
from td3_hpc.gates.history import EventType, RunHistory
from td3_hpc.record import (
    AlertChanged,
    AttemptStarted,
    CheckpointFailed,
    CheckpointSaved,
    EpisodeEnded,
    EpisodeNotReproduced,
    EvaluationCycle,
    Event,
    GradientReading,
    Interval,
    RunFailed,
    RunFinished,
    RunStopped,
    SimulatorChanged,
    WorkerReplaced,
)
from td3_hpc.report.document import Block, Cell, Figures, Section, Strip, Table, Text, linked
from td3_hpc.report.drivers import decision_s
from td3_hpc.report.figures import Drawn
from td3_hpc.training.evaluation.measures import MEASURES, estimates
from td3_hpc.training.evaluation.trace import trace_path

#: Longest table of gradients or evaluation cycles; of more rows some are picked, the largest among them.
MOST_ROWS = 12
MOST_INCIDENTS = 40
#: Comfort is in the rewards already.
SHOWN = tuple(measure for measure in MEASURES if measure.name != "comfort")


def gradients(history: RunHistory, figures: dict[str, Drawn]) -> Section:
    """Norms over time, with the factor by which they grew."""
    readings = history.of(GradientReading)
    if not readings:
        return Section("Gradients and values", "gradients", [Text("No gradient reading is in the record yet.")])
    groups = list(readings[-1].before_clipping)
    shown = _picked(readings, lambda reading: max(reading.before_clipping.values()))
    rows: list[list[Cell]] = []
    before: GradientReading | None = None
    for reading in shown:
        cells = [_norm(reading, before, group) for group in groups]
        growth = reading.growth.get("actor_cnn")
        rows.append([f"{reading.update:,}", f"{reading.step:,}", *cells, f"{growth:.3g}×" if growth else "–"])
        before = reading
    names = [group.replace("_cnn", " CNN") for group in groups]
    table = Table(["Update", "Step", *names, "Fitted growth, actor CNN"], rows, frozenset(range(len(groups) + 3)))
    some = f" {len(shown)} of {len(readings):,} readings, the largest among them." if len(shown) < len(readings) else ""
    note = (
        f"L2 norms before clipping, from {linked(plural(len(readings), 'reading'), 'gradients')}.{some} In brackets: "
        "the factor since the row above; after an arrow: the norm after clipping, where it acted. Fitted growth: per "
        "100 updates."
    )
    return Section(
        "Gradients and values", "gradients", [_figures(figures, "gradients", "values"), table, Text(note, True)]
    )


def _norm(reading: GradientReading, before: GradientReading | None, group: str) -> str:
    norm, clipped = reading.before_clipping.get(group), reading.after_clipping.get(group)
    if norm is None:
        return "–"
    text = number(norm)
    earlier = before.before_clipping.get(group) if before else None
    if earlier and norm / earlier == norm / earlier:
        text += f" ({norm / earlier:.2g}×)"
    return text if clipped is None or not clipped < norm * (1 - 1e-6) else f"{text} → {number(clipped)}"


def rewards(history: RunHistory, figures: dict[str, Drawn]) -> Section:
    """Means and shares of the five components."""
    intervals = [interval for interval in history.intervals if interval.reward is not None]
    if not intervals:
        return Section("Rewards", "rewards", [Text("No interval is complete yet.")])
    steps = sum(interval.steps for interval in intervals)

    def average(read: Callable[[Interval], dict[str, float]], name: str) -> float:
        return sum(interval.steps * read(interval).get(name, 0.0) for interval in intervals) / steps

    magnitudes = {name: average(lambda interval: interval.reward_magnitudes, name) for name in COMPONENTS}
    total = sum(magnitudes.values()) or 1.0
    weights = history.stage.environment.reward if history.stage else None
    last = intervals[-1]
    rows: list[list[Cell]] = [
        [
            name.replace("_", " "),
            f"{getattr(weights, name):g}" if weights else "–",
            linked(f"{average(lambda interval: interval.rewards, name):+.4f}", "rewards"),
            f"{last.rewards.get(name, math.nan):+.4f}",
            f"{magnitudes[name] / total:.0%}",
        ]
        for name in COMPONENTS
    ]
    columns = ["Component", "Weight", "Mean per step", "In the last interval", "Share of magnitude"]
    reasons = Counter(str(episode.end_reason) for episode in history.of(EpisodeEnded))
    listed = ", ".join(f"{count:,} {reason.replace('_', ' ')}" for reason, count in reasons.most_common())
    ended = (
        f"{linked(plural(sum(reasons.values()), 'training episode'), 'episodes')} ended: {listed}." if reasons else ""
    )
    blocks: list[Block] = [_figures(figures, "rewards", "returns"), Table(columns, rows, frozenset({1, 2, 3, 4}))]
    return Section("Rewards", "rewards", [*blocks, *([Text(ended)] if ended else [])])


def evaluation(history: RunHistory, figures: dict[str, Drawn]) -> Section:
    """Each cycle's figures with intervals, and what the first episode looked like."""
    cycles = [cycle for cycle in history.of(EvaluationCycle) if cycle.episodes]
    if not cycles:
        return Section("Evaluation", "evaluation", [Text("No evaluation cycle is complete yet.")])
    rows: list[list[Cell]] = []
    picked = _picked(cycles, lambda cycle: cycle.means["return"])
    figures_of = [estimates(cycle.episodes, decision_s(history)) for cycle in picked]
    shown = [measure for measure in SHOWN if any(measure.name in figure for figure in figures_of)]
    for cycle, figure in zip(picked, figures_of, strict=True):
        cells = [str(figure[measure.name]) if measure.name in figure else "–" for measure in shown]
        rows.append([linked(str(cycle.cycle), "evaluation"), f"{cycle.step:,}", *cells])
    names = [
        f"{measure.name[:1].upper()}{measure.name[1:]}" + (f" ({measure.unit})" if measure.unit else "")
        for measure in shown
    ]
    table = Table(["Cycle", "Step", *names], rows, frozenset(range(len(shown) + 2)))
    usual, count = len(cycles[0].episodes), len(cycles[-1].episodes)
    last = f", {count} in the last" if count != usual else ""
    note = (
        f"The deterministic policy on held-out routes, {plural(usual, 'episode')} a cycle{last}; in brackets the 95 % "
        "bootstrap interval over episodes."
    )
    if count < 10:
        note += " With so few it is wide: `evaluation.episodes` sets the number."
    strips: list[Block] = []
    for step in dict.fromkeys((cycles[0].step, cycles[-1].step)):
        path = trace_path(history.run_dir, step).with_suffix(".png")
        if _is_picture(path):
            strips.append(Strip(path, f"What the policy saw in the first episode of the cycle at step {step:,}"))
    return Section("Evaluation", "evaluation", [table, Text(note, True), _figures(figures, "completion"), *strips])


def _is_picture(path: Path) -> bool:
    try:
        return path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    except OSError:
        return False


def attempts(history: RunHistory) -> Section:
    """When the run was started, stopped and resumed, and what happened to it meanwhile."""
    rows: list[list[Cell]] = []
    every = history.attempts()
    for start, own in every:
        place = start.environment
        begun = "new" if start.resumed_from is None else f"step {start.resumed_from:,}"
        where = place.host + (f", job {place.job}" if place.job else "")
        end = own[-1]
        took = duration(end.time - start.time)
        exact = "–" if begun == "new" else "; ".join(start.not_exact[-1:]) or "exact"
        rows.append(
            [
                linked(str(start.epoch), "attempts"),
                when(start.time),
                where,
                begun,
                f"{end.step:,}",
                took,
                _ending(own, is_last=own is every[-1][1]),
                exact,
            ]
        )
    columns = ["Attempt", "Begun (UTC)", "Where", "From", "Reached step", "Took", "Ended by", "Resumed"]
    incidents = [[when(event.time), f"{event.step:,}", what] for event in history.events if (what := incident(event))]
    blocks: list[Block] = [Table(columns, rows, frozenset({4}))] if rows else [Text("No attempt is in the record.")]
    if incidents:
        shown = incidents[-MOST_INCIDENTS:]
        left_out = (
            f" The last {len(shown)} of {len(incidents):,}; the record has them all." if shown != incidents else ""
        )
        blocks += [
            Text(f"Incidents, from {linked('these events', 'incidents')}.{left_out}"),
            Table(["When (UTC)", "Step", "What"], shown, frozenset({1})),
        ]
    else:
        blocks.append(Text("No incident: no alert, no simulator lost, no checkpoint failed."))
    return Section("Attempts, preemptions, incidents", "attempts", blocks)


def _ending(events: Sequence[Event], is_last: bool) -> str:
    for event in reversed(events):
        if isinstance(event, RunFinished):
            return "its last step"
        if isinstance(event, RunStopped):
            return f"{event.signal}, checkpoint saved"
        if isinstance(event, RunFailed):
            return f"failure: {event.reason}"
    if not is_last:  # the word of a run that was done is cut away where it is made longer
        return "nothing in the record: killed, or its last step before the run was made longer"
    return "nothing in the record: still running, or killed"


def incident(event: Event) -> str:
    """What an event reports of trouble, in words; empty where it is none."""
    if isinstance(event, SimulatorChanged) and event.state not in ("started", "ready"):
        return f"{event.purpose} simulator {event.state}: {event.detail}".strip(": ")
    if isinstance(event, WorkerReplaced):
        return f"{event.purpose} worker lost: {event.reason}"
    if isinstance(event, AlertChanged):
        state = "on" if event.active else "over"
        return f"{event.level}: {event.name} {state} at {number(event.value)} (limit {number(event.limit)})"
    if isinstance(event, CheckpointFailed):
        return f"checkpoint of step {event.at_step:,} failed: {event.error}"
    if isinstance(event, EpisodeNotReproduced):
        return f"{event.purpose} episode not reproduced beyond decision {event.exact_decisions}: truncated there"
    return f"failed: {event.reason}" if isinstance(event, RunFailed) else ""


def resources(history: RunHistory) -> Section:
    """Speed, time, memory, disk."""
    rows: list[list[Cell]] = []
    timed = [interval for interval in history.intervals if interval.steps_per_second is not None]
    exploring = [interval.steps_per_second or 0.0 for interval in timed if not interval.updates]
    for label, chosen in (("exploring", exploring), ("learning", history.learning_speeds)):
        speeds = sorted(chosen)
        if speeds:
            spread = f"median of {plural(len(speeds), 'interval')}; {speeds[0]:.3g} to {speeds[-1]:.3g}"
            rows.append([f"Speed, {label}", linked(f"{median(speeds):.3g} steps/s", "resources"), spread])
    starts, seconds = history.of(AttemptStarted), history.active_seconds()
    if seconds:
        rows.append(
            [
                "Time",
                linked(duration(seconds), "attempts"),
                f"{plural(len(starts), 'attempt')}, waiting in queues left out",
            ]
        )
    cycles = [cycle.seconds for cycle in history.of(EvaluationCycle) if cycle.seconds is not None]
    if cycles:
        spent = sum(cycles)
        share = f"; {spent / seconds:.0%} of the time" if seconds else ""
        rows.append(["Evaluation", linked(duration(spent), "evaluation"), f"{plural(len(cycles), 'cycle')}{share}"])
    saves = [save for save in history.of(CheckpointSaved) if save.seconds is not None]
    if saves:
        largest = max(save.bytes for save in saves)
        rows.append(
            [
                "Checkpoints",
                linked(f"{len(saves):,} written", "checkpoints_saved"),
                f"up to {size(largest)}, {max(save.seconds or 0.0 for save in saves):.2g} s each",
            ]
        )
    ends: list[RunFinished] | list[RunStopped] = history.of(RunFinished) or history.of(RunStopped)
    for end in ends[-1:]:
        if end.memory_peak_mib is not None:
            rows.append(
                [
                    "Memory",
                    linked(f"{end.memory_peak_mib / 1024:.2f} GiB", "resources"),
                    "largest resident size of the learner",
                ]
            )
    rows += [[f"Disk, {name}", size(used), what] for name, used, what in _disk(history)]
    return Section("Resources", "resources", [Table(["What", "How much", "Detail"], rows, frozenset({1}))])


def _disk(history: RunHistory) -> list[tuple[str, int, str]]:
    folders = (
        ("state", "networks and optimizers"),
        ("replay", "replay buffer"),
        ("tensorboard", "scalars"),
        ("logs", "logs"),
    )
    found = []
    for name, what in folders:
        files = [path for path in (history.run_dir / name).rglob("*") if path.is_file()]
        if files:
            found.append((name, sum(path.stat().st_size for path in files), f"{what}, {plural(len(files), 'file')}"))
    return found


def _figures(drawn: dict[str, Drawn], *names: str) -> Figures:
    return Figures([(name, drawn[name].caption) for name in names if name in drawn])


def _picked(events: Sequence[EventType], magnitude: Callable[[EventType], float]) -> list[EventType]:
    """At most MOST_ROWS of the events, evenly spread, with the first, the last and the largest."""
    if len(events) <= MOST_ROWS:
        return list(events)
    places = {round(index * (len(events) - 1) / (MOST_ROWS - 1)) for index in range(MOST_ROWS)}
    places.add(max(range(len(events)), key=lambda index: magnitude(events[index])))
    return [events[index] for index in sorted(places)]
