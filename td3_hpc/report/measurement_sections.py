"""The sections of a run's report that show the course of the run, each made from its record alone."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from td3_hpc.driving.reward import COMPONENTS
from td3_hpc.formatting import duration, number, plural, size, when
from td3_hpc.gates.history import Event, RunHistory
from td3_hpc.report.document import Block, Cell, Figures, Section, Strip, Table, Text, linked
from td3_hpc.report.figures import Drawn, decision_s
from td3_hpc.training.evaluation.measures import MEASURES, estimates
from td3_hpc.training.evaluation.trace import trace_path

#: Longest table of gradients or evaluation cycles; of more rows some are picked, the largest among them.
MOST_ROWS = 12
MOST_INCIDENTS = 40
#: Comfort is in the rewards already.
SHOWN = tuple(measure for measure in MEASURES if measure.name != "comfort")


def gradients(history: RunHistory, figures: dict[str, Drawn]) -> Section:
    """Norms over time, with the factor by which they grew."""
    events = history.of("gradients")
    if not events:
        return Section("Gradients and values", "gradients", [Text("No gradient reading is in the record yet.")])
    groups = list(events[-1]["before_clipping"])
    shown = _picked(events, lambda event: max(event["before_clipping"].values()))
    rows: list[list[Cell]] = []
    before: Event | None = None
    for event in shown:
        cells = [_norm(event, before, group) for group in groups]
        growth = event.get("growth", {}).get("actor_cnn")
        rows.append([f"{event['update']:,}", f"{event['step']:,}", *cells, f"{growth:.3g}×" if growth else "–"])
        before = event
    names = [group.replace("_cnn", " CNN") for group in groups]
    table = Table(["Update", "Step", *names, "Fitted growth, actor CNN"], rows, frozenset(range(len(groups) + 3)))
    some = f" {len(shown)} of {len(events):,} readings, the largest among them." if len(shown) < len(events) else ""
    note = (
        f"L2 norms before clipping, from {linked(plural(len(events), 'reading'), 'gradients')}.{some} In brackets: the "
        "factor since the row above; after an arrow: the norm after clipping, where it acted. Fitted growth: per 100 "
        "updates."
    )
    return Section(
        "Gradients and values", "gradients", [_figures(figures, "gradients", "values"), table, Text(note, True)]
    )


def _norm(event: Event, before: Event | None, group: str) -> str:
    norm, clipped = event["before_clipping"].get(group), event.get("after_clipping", {}).get(group)
    if norm is None:
        return "–"
    text = number(norm)
    earlier = before["before_clipping"].get(group) if before else None
    if earlier and norm / earlier == norm / earlier:
        text += f" ({norm / earlier:.2g}×)"
    return text if clipped is None or not clipped < norm * (1 - 1e-6) else f"{text} → {number(clipped)}"


def rewards(history: RunHistory, figures: dict[str, Drawn]) -> Section:
    """Means and shares of the five components."""
    intervals = history.having("interval", "reward")
    if not intervals:
        return Section("Rewards", "rewards", [Text("No interval is complete yet.")])
    steps = [event["last_step"] - event["first_step"] + 1 for event in intervals]

    def average(name: str) -> float:
        return float(sum(count * event.get(name, 0.0) for count, event in zip(steps, intervals)) / sum(steps))

    magnitudes = {name: average(f"reward_magnitude/{name}") for name in COMPONENTS}
    total = sum(magnitudes.values()) or 1.0
    weights = history.stage.environment.reward if history.stage else None
    last = intervals[-1]
    rows: list[list[Cell]] = [
        [
            name.replace("_", " "),
            f"{getattr(weights, name):g}" if weights else "–",
            linked(f"{average(f'reward/{name}'):+.4f}", "rewards"),
            f"{last.get(f'reward/{name}', math.nan):+.4f}",
            f"{magnitudes[name] / total:.0%}",
        ]
        for name in COMPONENTS
    ]
    columns = ["Component", "Weight", "Mean per step", "In the last interval", "Share of magnitude"]
    reasons = Counter(str(event.get("end_reason")) for event in history.of("episode"))
    listed = ", ".join(f"{count:,} {reason.replace('_', ' ')}" for reason, count in reasons.most_common())
    ended = (
        f"{linked(plural(sum(reasons.values()), 'training episode'), 'episodes')} ended: {listed}." if reasons else ""
    )
    blocks: list[Block] = [_figures(figures, "rewards", "returns"), Table(columns, rows, frozenset({1, 2, 3, 4}))]
    return Section("Rewards", "rewards", [*blocks, *([Text(ended)] if ended else [])])


def evaluation(history: RunHistory, figures: dict[str, Drawn]) -> Section:
    """Each cycle's figures with intervals, and what the first episode looked like."""
    cycles = [event for event in history.of("evaluation") if event.get("episodes")]
    if not cycles:
        return Section("Evaluation", "evaluation", [Text("No evaluation cycle is complete yet.")])
    rows: list[list[Cell]] = []
    for event in _picked(cycles, lambda event: event["means"]["return"]):
        figure = estimates(event["episodes"], decision_s(history))
        cells = [f"{figure[m.name].value:.3g} ({figure[m.name].low:.3g} to {figure[m.name].high:.3g})" for m in SHOWN]
        rows.append([linked(str(event["cycle"]), "evaluation"), f"{event['step']:,}", *cells])
    names = [
        f"{measure.name[:1].upper()}{measure.name[1:]}" + (f" ({measure.unit})" if measure.unit else "")
        for measure in SHOWN
    ]
    table = Table(["Cycle", "Step", *names], rows, frozenset(range(len(SHOWN) + 2)))
    count = len(cycles[-1]["episodes"])
    note = (
        f"The deterministic policy on held-out routes, {plural(count, 'episode')} a cycle; in brackets the 95 % "
        "bootstrap interval over episodes."
    )
    if count < 10:
        note += " With so few it is wide: `evaluation.episodes` sets the number."
    strips: list[Block] = []
    for event in dict.fromkeys((cycles[0]["step"], cycles[-1]["step"])):
        path = trace_path(history.run_dir, event).with_suffix(".png")
        if _is_picture(path):
            strips.append(Strip(path, f"What the policy saw in the first episode of the cycle at step {event:,}"))
    return Section(
        "Evaluation", "evaluation", [table, Text(note, True), _figures(figures, "completion", "map"), *strips]
    )


def _is_picture(path: Path) -> bool:
    try:
        return path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    except OSError:
        return False


def attempts(history: RunHistory) -> Section:
    """When the run was started, stopped and resumed, and what happened to it meanwhile."""
    rows: list[list[Cell]] = []
    starts = history.of("attempt")
    for number_of, event in enumerate(starts):
        later = starts[number_of + 1]["line"] if number_of + 1 < len(starts) else math.inf
        own = [other for other in history.events if event["line"] <= other["line"] < later]
        place = event.get("environment", {})
        begun = "new" if event.get("resumed_from") is None else f"step {event['resumed_from']:,}"
        where = place.get("host", "–") + (f", job {place['job']}" if place.get("job") else "")
        end = own[-1]
        took = duration(end["time"] - event["time"])
        exact = "–" if begun == "new" else "; ".join(event.get("not_exact", [])[-1:]) or "exact"
        rows.append(
            [
                linked(str(event["epoch"]), "attempts"),
                when(event),
                where,
                begun,
                f"{end['step']:,}",
                took,
                _ending(own),
                exact,
            ]
        )
    columns = ["Attempt", "Begun (UTC)", "Where", "From", "Reached step", "Took", "Ended by", "Resumed"]
    incidents = [[when(event), f"{event['step']:,}", what] for event in history.events if (what := incident(event))]
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


def _ending(events: Sequence[Event]) -> str:
    for event in reversed(events):
        if event["event"] == "finished":
            return "its last step"
        if event["event"] == "stopped":
            return f"{event.get('signal', 'a signal')}, checkpoint saved"
        if event["event"] == "failed":
            return f"failure: {event.get('reason', '')}"
    return "nothing in the record: still running, or killed"


def incident(event: Event) -> str:
    """What an event tells of trouble, in words; empty where it is none."""
    kind = event["event"]
    if kind == "simulator" and event.get("state") not in ("started", "ready"):
        return f"{event.get('purpose')} simulator {event.get('state')}: {event.get('detail', '')}".strip(": ")
    if kind == "worker":
        return f"{event.get('purpose')} worker lost: {event.get('reason')}"
    if kind == "alert":
        state = "on" if event.get("active") else "over"
        value, limit = (number(event.get(name, math.nan)) for name in ("value", "limit"))
        return f"{event.get('level', 'alert')}: {event.get('name')} {state} at {value} (limit {limit})"
    if kind == "checkpoint_failed":
        return f"checkpoint of step {event.get('at_step', 0):,} failed: {event.get('error')}"
    if kind == "episode_not_reproduced":
        decision = event.get("exact_decisions")
        return f"{event.get('purpose')} episode not reproduced beyond decision {decision}: truncated there"
    return f"failed: {event.get('reason')}" if kind == "failed" else ""


def resources(history: RunHistory) -> Section:
    """Speed, time, memory, disk."""
    rows: list[list[Cell]] = []
    intervals = history.having("interval", "steps_per_second")
    for label, chosen in (
        ("exploring", [event for event in intervals if not event.get("updates")]),
        ("learning", [event for event in intervals if event.get("updates")]),
    ):
        speeds = sorted(event["steps_per_second"] for event in chosen)
        if speeds:
            spread = f"median of {plural(len(speeds), 'interval')}; {speeds[0]:.3g} to {speeds[-1]:.3g}"
            rows.append([f"Speed, {label}", linked(f"{speeds[len(speeds) // 2]:.3g} steps/s", "resources"), spread])
    starts, seconds = history.of("attempt"), active_seconds(history)
    if seconds:
        rows.append(
            [
                "Time",
                linked(duration(seconds), "attempts"),
                f"{plural(len(starts), 'attempt')}, waiting in queues left out",
            ]
        )
    cycles = history.having("evaluation", "seconds")
    if cycles:
        spent = sum(event["seconds"] for event in cycles)
        share = f"; {spent / seconds:.0%} of the time" if seconds else ""
        rows.append(["Evaluation", linked(duration(spent), "evaluation"), f"{plural(len(cycles), 'cycle')}{share}"])
    saves = history.having("checkpoint", "seconds")
    if saves:
        largest = max(event["bytes"] for event in saves)
        rows.append(
            [
                "Checkpoints",
                linked(f"{len(saves):,} written", "checkpoints_saved"),
                f"up to {size(largest)}, {max(event['seconds'] for event in saves):.2g} s each",
            ]
        )
    for event in (history.of("finished") or history.of("stopped"))[-1:]:
        if "memory_peak_mib" in event:
            rows.append(
                [
                    "Memory",
                    linked(f"{event['memory_peak_mib'] / 1024:.2f} GiB", "resources"),
                    "largest resident size of the learner",
                ]
            )
    rows += [[f"Disk, {name}", size(used), what] for name, used, what in _disk(history)]
    return Section("Resources", "resources", [Table(["What", "How much", "Detail"], rows, frozenset({1}))])


def active_seconds(history: RunHistory) -> float:
    """Wall-clock time of all attempts, from each one's first to its last event."""
    starts = history.of("attempt")
    lines = [event["line"] for event in starts[1:]] + [math.inf]
    total = 0.0
    for start, until in zip(starts, lines):
        times = [event["time"] for event in history.events if start["line"] <= event["line"] < until]
        total += max(times) - start["time"]
    return total


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


def _picked(events: Sequence[Event], magnitude: Callable[[Event], float]) -> list[Event]:
    """At most MOST_ROWS of the events, evenly spread, with the first, the last and the largest."""
    if len(events) <= MOST_ROWS:
        return list(events)
    places = {round(index * (len(events) - 1) / (MOST_ROWS - 1)) for index in range(MOST_ROWS)}
    places.add(max(range(len(events)), key=lambda index: magnitude(events[index])))
    return [events[index] for index in sorted(places)]
