"""A run against the one before it: what was resolved, what is still there, what is new."""

from td3_hpc.config.changes import changes
from td3_hpc.gates import GateResult
from td3_hpc.gates.history import RunHistory
from td3_hpc.gates.verdict import Verdict
from td3_hpc.report.document import Cell, Chip, Section, Table, Text

TITLE = "Issues against the previous run"
MOST_CHANGES = 12
MISSED = ("fail", "watch")


def issues(history: RunHistory, verdict: Verdict, previous: RunHistory, before: Verdict) -> Section:
    """The issues of either run, and what was changed between them."""
    old = {result.name: result for result in before.gates}
    rows: list[list[Cell]] = []
    for result in verdict.gates:
        earlier = old.get(result.name)
        standing = _standing(earlier, result)
        if standing is not None:
            was = earlier.achieved if earlier else "–"
            rows.append([result.title, was, result.achieved, result.target, standing, result.cause or result.why])
    changed = changes(previous.config, history.config)
    listed = ", ".join(f"`{change}`" for change in changed[:MOST_CHANGES]) or "nothing"
    if len(changed) > MOST_CHANGES:
        listed += f" and {len(changed) - MOST_CHANGES} more keys"
    blocks: list[Table | Text] = [
        Text(
            f"Previous run: `{previous.config.name}`, seed {previous.config.seed}, {before.verdict}. Changed: {listed}."
        )
    ]
    if rows:
        blocks.append(Table(["Issue", "Previous run", "This run", "Target", "Standing", "Why"], rows))
    else:
        blocks.append(Text("Neither run missed a gate."))
    return Section(TITLE, "issues", blocks)


def _standing(earlier: GateResult | None, now: GateResult) -> Chip | None:
    """None where there was no issue and is none."""
    was, is_missed = earlier is not None and earlier.status in MISSED, now.status in MISSED
    if was and now.status == "not_judged":
        return Chip("not_judged", "not judged any more")
    if was:
        return Chip("fail", "still there") if is_missed else Chip("pass", "resolved")
    return Chip("fail" if now.status == "fail" else "watch", "new") if is_missed else None
