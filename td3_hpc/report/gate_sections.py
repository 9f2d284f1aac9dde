"""The sections of a run's report that say what its gates found."""

from collections.abc import Sequence

from td3_hpc.formatting import percent, sentence
from td3_hpc.gates import GateResult
from td3_hpc.gates.history import Evidence, RunHistory, evidence, span
from td3_hpc.gates.verdict import Verdict
from td3_hpc.record import (
    AttemptStarted,
    EpisodeEnded,
    EvaluationCycle,
    Event,
    GradientReading,
    Interval,
    ReferenceDrive,
)
from td3_hpc.report.document import Action, Block, Cell, Chip, Section, Table, Text, linked, yaml_diff
from td3_hpc.report.measurement_sections import incident

STATUS_TEXT = {"pass": "pass", "fail": "fail", "watch": "watch", "not_judged": "not judged"}


def chip(result: GateResult) -> Chip:
    """A gate's status."""
    return Chip(result.status, STATUS_TEXT[result.status])


def actions(history: RunHistory, verdict: Verdict) -> Section:
    """What has to happen before the next stage."""
    blocks: list[Block] = []
    for severity in ("blocking", "recommended", "optional"):
        for result in sorted(
            verdict.missed(severity), key=lambda result: not result.change
        ):  # causes before their effects
            achieved = linked(result.achieved, result.name)
            text = f"{achieved}, where {result.target} was asked for. {sentence(result.cause)}"
            if result.remedy:
                text += f" {sentence(result.remedy)}"
            status = "fail" if severity == "blocking" else "watch" if severity == "recommended" else "info"
            diff = yaml_diff(history.config, result.change)
            blocks.append(Action(Chip(status, severity), result.title, text, diff))  # type: ignore[arg-type]
    if not blocks:
        blocks.append(Text("Nothing: every gate that could be judged passed."))
    return Section("Open items", "actions", blocks)


def metrics(verdict: Verdict) -> Section:
    """The critical-metrics table."""
    rows: list[list[Cell]] = [
        [chip(result), result.title, result.target, linked(result.achieved, result.name), percent(result.confidence)]
        for result in verdict.gates
        if result.group in ("metric", "driving")
    ]
    return Section(
        "Critical metrics",
        "metrics",
        [
            Table(["Status", "Metric", "Target", "Achieved", "Confidence"], rows, frozenset({4})),
            Text("An achieved value links to its evidence. Confidence says how far that evidence carries.", note=True),
        ],
    )


def checkpoints(verdict: Verdict) -> Section:
    """The six validation checkpoints."""
    results = [result for result in verdict.gates if result.group == "checkpoint"]
    passed = sum(result.status == "pass" for result in results)
    table = _judged(results)
    return Section(f"Validation checkpoints: {passed} of {len(results)} passed", "checkpoints", [table])


def mechanisms(verdict: Verdict) -> Section:
    """TD3's three mechanisms."""
    results = [result for result in verdict.gates if result.group == "mechanism"]
    note = "From updates that the run sampled and computed a second time, not from the configuration."
    return Section("TD3 mechanisms", "mechanisms", [_judged(results), Text(note, note=True)])


def _judged(results: Sequence[GateResult]) -> Table:
    rows: list[list[Cell]] = [
        [
            str(index),
            result.title,
            chip(result),
            percent(result.confidence) if result.status != "not_judged" else "–",
            linked(result.achieved, result.name) if result.achieved != "–" else linked("why", result.name),
            result.cause or result.why,
        ]
        for index, result in enumerate(results, 1)
    ]
    return Table(["#", "Gate", "Status", "Confidence", "Achieved", "What it rests on"], rows, frozenset({3}))


def evidence_section(history: RunHistory, verdict: Verdict | None) -> Section:
    """Where each number comes from. The anchors are what the links of the other sections lead to."""
    rows: list[list[Cell]] = []
    anchors = []
    for result in verdict.gates if verdict else ():
        anchors.append(f"evidence-{result.name}")
        rows.append(
            [
                result.title,
                "; ".join(map(str, result.evidence)) or "none",
                f"{percent(result.confidence)}: {result.why}",
            ]
        )
    incidents = [event for event in history.events if incident(event)]
    for name, title, found in (
        (
            "gradients",
            "Gradient timeline",
            evidence(GradientReading, "before_clipping, after_clipping", history.of(GradientReading)),
        ),
        (
            "rewards",
            "Rewards",
            evidence(Interval, "reward/*, reward_magnitude/*", history.intervals),
        ),
        ("episodes", "Episodes", evidence(EpisodeEnded, "end_reason, return", history.of(EpisodeEnded))),
        ("evaluation", "Evaluation", evidence(EvaluationCycle, "episodes, seconds", history.of(EvaluationCycle))),
        (
            "references",
            "Other drivers",
            evidence(ReferenceDrive, "policy, throttle, episodes", history.of(ReferenceDrive)),
        ),
        ("attempts", "Attempts, time", evidence(AttemptStarted, "time, resumed_from", history.of(AttemptStarted))),
        (
            "incidents",
            "Incidents",
            _incident_evidence(incidents),
        ),
        (
            "resources",
            "Speed, memory",
            evidence(Interval, "steps_per_second", history.intervals),
        ),
    ):
        anchors.append(f"evidence-{name}")
        rows.append([title, str(found), ""])
    how = "Lines are those of `record.jsonl` in the run directory: `sed -n '4,40p' record.jsonl` shows lines 4 to 40."
    return Section(
        "Evidence",
        "evidence",
        [Text(how, True), Table(["Number", "Events of the record", "Confidence"], rows, anchors=anchors)],
    )


def _incident_evidence(incidents: Sequence[Event]) -> Evidence:
    kinds = ", ".join(sorted({event.kind for event in incidents})) or "alert, simulator, worker or failed"
    return Evidence(kinds, "all", len(incidents), *span(incidents)) if incidents else Evidence(kinds, "all", 0)
