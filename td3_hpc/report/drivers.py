"""Does it drive? The last evaluation cycle against drivers that learn nothing, on the same routes. And does it see?"""

from collections.abc import Mapping, Sequence

from td3_hpc.formatting import plural
from td3_hpc.gates import GateResult
from td3_hpc.gates.history import RunHistory
from td3_hpc.record import EpisodeSummary, EvaluationCycle, PictureDrive, ReferenceDrive
from td3_hpc.report.document import Cell, Chip, Figures, Section, Table, Text, linked
from td3_hpc.training.evaluation.measures import estimates

POLICY = "this policy"
REFERENCES = {"constant": "never steers", "random": "random actions", "pure-pursuit": "pure pursuit"}


def drivers(history: RunHistory) -> dict[str, list[EpisodeSummary]]:
    """Who drove the routes of the last complete evaluation cycle: the policy, then those there are of REFERENCES.

    Episodes by the driver's name, in the same order of routes; empty before the first cycle. A drive on other routes,
    as in the record of a stage that this one continues, is left out.
    """
    cycles = [cycle for cycle in history.of(EvaluationCycle) if cycle.episodes]
    if not cycles:
        return {}
    episodes = cycles[-1].episodes
    drives = {
        drive.policy: drive.episodes
        for drive in history.of(ReferenceDrive)
        if [episode.route for episode in drive.episodes] == [episode.route for episode in episodes]
    }
    return {POLICY: episodes} | {name: drives[key] for key, name in REFERENCES.items() if key in drives}


def headline(history: RunHistory, gates: Sequence[GateResult]) -> Chip:
    """The one sentence that a reader takes along. The gate `above_constant` judges; `drives` asks for a route that was
    completed, too."""
    found = drivers(history)
    if not found:
        return Chip("info", "Too early to tell: no evaluation cycle is complete.")
    episodes, constant = found[POLICY], found.get(REFERENCES["constant"])
    count = plural(len(episodes), "episode")
    own = f"completes {_completion(episodes):.0f} % of the routes"
    if constant is None:
        return Chip("info", f"It {own} ({count}); no other driver drove them, so nothing says what that is worth.")
    ends = sum(episode.completed for episode in episodes)
    own += f", {ends or 'none'} of {len(episodes)} to the end"
    other = f"a car that never steers completes {_completion(constant):.0f} %"
    status = _status(gates, "above_constant")
    if status is None:
        return Chip("info", f"Not judged: it {own}; {other}.")
    if status == "not_judged":
        return Chip("info", f"Too early to tell ({count}): it {own}; {other}.")
    if status == "pass" and ends:
        return Chip("pass", f"It drives: {own}; {other}.")
    chance = status != "pass" and _completion(episodes) > _completion(constant)
    return Chip("fail", f"It does not drive: {own}; {other}{', and the difference may be chance' if chance else ''}.")


def sight(history: RunHistory, gates: Sequence[GateResult]) -> Chip | None:
    """Whether it uses its picture, by the gate `picture_matters`; None before the run came to its test."""
    drives = history.of(PictureDrive)[-1:]
    status = _status(gates, "picture_matters")
    if not drives or status not in ("pass", "fail"):
        return None
    seeing, blind = drives[0].successes
    gets = f"gets through {seeing:.0f} % of {plural(len(drives[0].with_picture), 'situation')} in which one must see"
    if status == "pass":
        return Chip("pass", f"It sees: {gets}, {blind:.0f} % where its picture is grey.")
    return Chip("fail", f"It does not see: {gets}, and {blind:.0f} % where its picture is grey.")


def section(history: RunHistory, figures: Mapping[str, str]) -> Section:
    """The bars, the map and a row a driver; `figures` are the captions of what was drawn, by name."""
    found = drivers(history)
    if not found:
        return Section("Does it drive?", "drives", [Text("No evaluation cycle is complete yet.")])
    rows: list[list[Cell]] = []
    for name, episodes in found.items():
        figure = estimates(episodes, decision_s(history))
        shown = linked(name, "evaluation" if name == POLICY else "references")
        cells = [
            f"{estimate.value:.3g} {unit} ({estimate.low:.3g} to {estimate.high:.3g})"
            for estimate, unit in (
                (figure["route completion"], "%"),
                (figure["success"], "%"),
                (figure["mean speed"], "km/h"),
            )
        ]
        rows.append([shown, *cells])
    asked = f" (target {history.config.environment.reward.target_speed_kmh:g} km/h)" if history.stage else ""
    table = Table(["Driver", "Route completion", "Routes completed", f"Mean speed{asked}"], rows, frozenset({1, 2, 3}))
    note = (
        f"The last evaluation cycle, {plural(len(found[POLICY]), 'episode')} on held-out routes; in brackets and as "
        "whiskers 95 % bootstrap intervals over episodes."
    )
    held = [drive.throttle for drive in history.of(ReferenceDrive) if drive.throttle is not None][-1:]
    if held and REFERENCES["constant"] in found:
        note += f" Never steers: the best of ten pedals that are held, {held[0]:g}."
    if len(found) == 1:
        note += " No other driver's drives on these routes are in the record."
    drawn = Figures([(name, figures[name]) for name in ("drivers", "map") if name in figures])
    return Section("Does it drive?", "drives", [drawn, table, Text(note, note=True)])


def decision_s(history: RunHistory) -> float:
    """Simulated seconds of one decision; CARLA's usual ones where the configuration is lost."""
    if history.stage is None:
        return 0.1
    return history.config.environment.decision_seconds


def _status(gates: Sequence[GateResult], name: str) -> str | None:
    """None where the gate is off."""
    return next((gate.status for gate in gates if gate.name == name), None)


def _completion(episodes: Sequence[EpisodeSummary]) -> float:
    """Mean, in percent."""
    return 100 * sum(episode.route_completion for episode in episodes) / len(episodes)
