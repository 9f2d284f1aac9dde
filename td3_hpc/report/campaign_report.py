"""The page of a campaign: its stages and seeds, their verdicts, and the way to each run's report."""

from pathlib import Path

from td3_hpc import __version__
from td3_hpc.campaign.directory import CAMPAIGN_FILE, CampaignDirectory
from td3_hpc.campaign.plan import Campaign
from td3_hpc.errors import BadInput
from td3_hpc.formatting import duration, plural, sentence, when
from td3_hpc.gates import GateResult
from td3_hpc.gates.history import RunHistory, read_history
from td3_hpc.gates.verdict import Verdict, read_verdict
from td3_hpc.record import AttemptStarted
from td3_hpc.report.document import (
    Action,
    Block,
    Cell,
    Chip,
    Document,
    Section,
    Table,
    Text,
    Tile,
    yaml_diff,
)
from td3_hpc.report.rendering import write

COLUMNS = {
    "actor_cnn_gradient": "Actor CNN gradient",
    "q_magnitude": "Values of Q",
    "route_completion": "Route completion",
    "collisions_per_km": "Collisions per km",
}


def is_campaign(directory: Path) -> bool:
    """Whether a campaign was submitted into this directory."""
    return (directory / CAMPAIGN_FILE).is_file()


def write_campaign_report(directory: Path) -> Path:
    """Write report.md and report.html in a campaign's directory; returns the Markdown file's path.

    Raises BadInput where no campaign was submitted there, or its campaign.yaml cannot be read, UserError where the page
    cannot be written.
    """
    return write(lambda: _document(CampaignDirectory(directory)), directory)


class _Run:
    """What is known of one stage with one seed."""

    def __init__(self, directory: CampaignDirectory, stage: str, seed: int, steps: int) -> None:
        self.path, self.stage, self.seed, self.steps = directory.run(stage, seed), stage, seed, steps
        self.problem = ""
        self.history: RunHistory | None = None
        self.verdict: Verdict | None = None
        if self.path.is_dir():
            self.history = read_history(self.path)
            try:
                self.verdict = read_verdict(self.path)
            except BadInput as error:
                self.problem = str(error)

    @property
    def begun(self) -> bool:
        return self.history is not None and bool(self.history.events)

    def chip(self) -> Chip:
        if self.verdict is not None:
            return Chip("pass" if self.verdict.verdict == "GO" else "fail", self.verdict.verdict)
        if self.problem:
            return Chip("fail", "verdict damaged")
        return Chip("watch", "under way") if self.begun else Chip("not_judged", "not begun")

    def row(self, root: Path) -> list[Cell]:
        gates = {gate.name: gate for gate in self.verdict.gates} if self.verdict else {}
        figures = [gates[name].achieved if name in gates else "–" for name in COLUMNS]
        step = self.history.step if self.history else 0
        attempts = str(len(self.history.of(AttemptStarted))) if self.history else "0"
        return [self.chip(), self._link(root), f"{step:,} / {self.steps:,}", attempts, self._took(), *figures]

    def _took(self) -> str:
        try:
            return duration(self.history.active_seconds()) if self.history and self.begun else "–"
        except (LookupError, TypeError, ValueError):  # events without their time
            return "–"

    def _link(self, root: Path) -> str:
        name, page = f"{self.stage}, seed {self.seed}", self.path / "report.html"
        return f"[{name}]({page.relative_to(root)})" if page.is_file() else name


def _document(directory: CampaignDirectory) -> Document:
    campaign = directory.campaign()
    runs = [
        _Run(directory, stage.name, seed, stage.config.training.total_steps)
        for stage in campaign.stages
        for seed in campaign.seeds
    ]
    columns = ["Verdict", "Run", "Step", "Attempts", "Took", *COLUMNS.values()]
    table = Table(columns, [run.row(directory.root) for run in runs], frozenset({2, 3, 4}))
    count, needed = len(campaign.seeds), campaign.seeds_required
    note = "A stage starts where the one before is GO" + (f" for {needed} of {count} seeds." if count > 1 else ".")
    verdict, reason = _state(directory, campaign, runs)
    went = sum(run.verdict is not None and run.verdict.verdict == "GO" for run in runs)
    return Document(
        title=f"Campaign {campaign.name}",
        subtitle=f"{plural(len(campaign.stages), 'stage')}, {plural(len(campaign.seeds), 'seed')}, "
        f"td3-hpc {__version__}",
        verdict=verdict,
        reason=reason,
        tiles=[
            Tile("Runs that are GO", f"{went} / {len(runs)}", "stages × seeds", verdict.status),
            *_stage_tiles(campaign, runs),
        ],
        sections=[
            Section("Runs", "runs", [table, Text(note, note=True)]),
            Section("Open items", "actions", _open_items(runs)),
            Section("Ledger", "ledger", _ledger(directory)),
        ],
        run_dir=directory.root,
        warnings=[run.problem for run in runs if run.problem],
    )


def _stage_tiles(campaign: Campaign, runs: list[_Run]) -> list[Tile]:
    tiles = []
    for stage in campaign.stages:
        own = [run for run in runs if run.stage == stage.name]
        went = sum(run.verdict is not None and run.verdict.verdict == "GO" for run in own)
        failed = sum(run.verdict is not None and run.verdict.verdict == "NO-GO" for run in own)
        status = "pass" if went >= campaign.seeds_required else "fail" if failed else "info"
        farthest = max(run.history.step if run.history else 0 for run in own)
        value = f"{went} / {len(own)} GO" if went or failed else f"step {farthest:,}" if farthest else "not begun"
        tiles.append(Tile(stage.name, value, f"{stage.config.training.total_steps:,} steps", status))  # type: ignore[arg-type]
    return tiles


def _state(directory: CampaignDirectory, campaign: Campaign, runs: list[_Run]) -> tuple[Chip, str]:
    """The campaign's standing, and why, in a sentence."""
    for stage in campaign.stages:
        own = [run for run in runs if run.stage == stage.name]
        went = sum(run.verdict is not None and run.verdict.verdict == "GO" for run in own)
        failed = [run for run in own if run.verdict is not None and run.verdict.verdict == "NO-GO"]
        if went >= campaign.seeds_required:
            continue
        if failed and len(own) - len(failed) < campaign.seeds_required:
            assert failed[0].verdict is not None
            return Chip("fail", "NO-GO"), f"Stage {stage.name}, seed {failed[0].seed}: {failed[0].verdict.reason}"
        if directory.cancelled:
            return Chip(
                "watch", "CANCELLED"
            ), f"Cancelled at stage {stage.name}; `td3-hpc campaign submit` continues it."
        standing = "under way" if any(run.begun for run in own) else "to begin"
        before = "" if stage is campaign.stages[0] else "; the stages before it are GO"
        return Chip("watch", "NOT COMPLETE"), f"Stage {stage.name} is {standing}{before}. {_as_of(runs)}"
    only = f"Stage {campaign.stages[0].name} is GO."
    return Chip("pass", "GO"), f"All {len(campaign.stages)} stages are GO." if len(campaign.stages) > 1 else only


def _as_of(runs: list[_Run]) -> str:
    """Until when the page tells, and how to have it tell more: it is written when a stage ends."""
    events = [event for run in runs if run.history for event in run.history.events]
    newest = max((event.time for event in events), default=0.0)
    until = f"Written with what was recorded until {when(newest)} UTC; " if newest else ""
    return sentence(f"{until}`td3-hpc report` with this directory writes it anew")


def _open_items(runs: list[_Run]) -> list[Block]:
    """The blocking gates that were missed; one that several seeds of a stage missed alike stands once."""
    missed: dict[tuple[str, str, str], list[tuple[_Run, GateResult]]] = {}
    for run in runs:
        if run.verdict is not None and run.history is not None and run.history.stage is not None:
            for result in run.verdict.missed("blocking"):
                key = (run.stage, result.name, str(sorted(result.change.items())))
                missed.setdefault(key, []).append((run, result))
    blocks: list[Block] = [_action(same) for same in missed.values()]
    return blocks or [Text("None: no run has failed a blocking gate.")]


def _action(same: list[tuple[_Run, GateResult]]) -> Action:
    run, result = same[0]
    assert run.history is not None
    seeds = ", ".join(str(other.seed) for other, _ in same)
    text = f"Stage {run.stage}, seed {seeds}: {result.achieved}, where {result.target} was asked for."
    text += "".join(f" {sentence(part)}" for part in (result.cause, result.remedy) if part)
    if result.change:
        text += " `td3-hpc campaign fix` puts the change into the campaign file and resumes."
    return Action(Chip("fail", "blocking"), result.title, text, yaml_diff(run.history.config, result.change))


def _ledger(directory: CampaignDirectory) -> list[Block]:
    rows: list[list[Cell]] = []
    for event in directory.events():
        rest = ", ".join(
            f"{key} {event[key]}" for key in event if key not in ("event", "time") and event[key] is not None
        )
        rows.append([when(event["time"]), str(event["event"]), rest])
    return [Table(["When (UTC)", "What", "Details"], rows)] if rows else [Text("Nothing is noted yet.")]
