"""The report of a run: Markdown and a self-contained HTML page, written from the run's record alone."""

import base64
import re
import time
from collections import Counter
from pathlib import Path
from typing import Any

import jinja2
import markdown

from td3_hpc.campaign.figures import COMPONENTS, draw_figures
from td3_hpc.campaign.history import Event, RunHistory, read_history
from td3_hpc.campaign.metrics import critical_metrics
from td3_hpc.durable import replace_file

#: Longest gradient table; of more rows the first and last ones are shown.
GRADIENT_ROWS = 20


def write_report(run_dir: Path) -> Path:
    """Write report.md, report.html and figures/ in the run directory; returns the Markdown file's path.

    Raises BadInput where the directory holds no run.
    """
    history = read_history(run_dir)
    figures = [path.name for path in draw_figures(history, run_dir / "figures")]
    text = _render(history, figures)
    replace_file(run_dir / "report.md", text.encode())
    replace_file(run_dir / "report.html", _to_html(text, history.config.name, run_dir).encode())
    return run_dir / "report.md"


def _render(history: RunHistory, figures: list[str]) -> str:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("td3_hpc.campaign"), undefined=jinja2.StrictUndefined, trim_blocks=False
    )
    metrics = critical_metrics(history)
    gradients = history.of("gradients")
    shown = gradients
    if len(gradients) > GRADIENT_ROWS:
        shown = gradients[: GRADIENT_ROWS // 2] + gradients[-GRADIENT_ROWS // 2 :]
    reasons = Counter(event["end_reason"] for event in history.of("episode"))
    text = environment.get_template("report.md.j2").render(
        config=history.config,
        state=_state(history),
        metrics=metrics,
        passed=sum(metric.passed for metric in metrics),
        figures=figures,
        groups=list(gradients[0]["before_clipping"]) if gradients else [],
        gradients=shown,
        omitted=len(gradients) - len(shown),
        norm=_norm,
        shares=_shares(history),
        evaluations=history.of("evaluation"),
        episodes=history.of("episode"),
        reasons=", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in reasons.most_common()),
        incidents=_incidents(history),
    )
    return re.sub(r"\n{3,}", "\n\n", re.sub(r"\|\n\n\|", "|\n|", text)).rstrip() + "\n"


def _state(history: RunHistory) -> str:
    total = history.config.training.total_steps
    if history.of("finished"):
        return f"The run is complete: {history.step:,} steps."
    return f"The run is **not complete**: {history.step:,} of {total:,} steps; `td3-hpc train` continues it."


def _norm(event: Event, group: str) -> str:
    before, after = event["before_clipping"][group], event["after_clipping"][group]
    return f"{before:,.4g}" if abs(before - after) <= 1e-6 * before else f"{before:,.4g} → {after:,.4g}"


def _shares(history: RunHistory) -> list[dict[str, Any]]:
    intervals = history.of("interval")
    steps = [event["last_step"] - event["first_step"] + 1 for event in intervals]
    if not intervals:
        return []

    def average(prefix: str, name: str) -> float:
        total = sum(count * float(event.get(f"{prefix}/{name}", 0.0)) for count, event in zip(steps, intervals))
        return float(total / sum(steps))

    magnitudes = {name: average("reward_magnitude", name) for name in COMPONENTS}
    total = sum(magnitudes.values()) or 1.0
    weights = history.config.environment.reward
    return [
        {
            "name": name,
            "weight": getattr(weights, name),
            "mean": average("reward", name),
            "share": magnitudes[name] / total,
        }
        for name in COMPONENTS
    ]


def _incidents(history: RunHistory) -> list[dict[str, Any]]:
    rows = []
    for event in history.events:
        what = _incident(event)
        if what:
            when = time.strftime("%m-%d %H:%M:%S", time.gmtime(event["time"]))
            rows.append({"when": when, "step": event["step"], "what": what.replace("|", "/").replace("\n", " ")})
    return rows


def _incident(event: Event) -> str:
    kind = event["event"]
    if kind == "attempt":
        begun = "started" if event["resumed_from"] is None else f"resumed from step {event['resumed_from']}"
        exact = f"; not exact: {event['not_exact'][-1]}" if event["not_exact"] else ""
        return f"attempt {event['epoch']} {begun} on {event['environment']['host']}{exact}"
    if kind == "simulator":
        return f"{event['purpose']} simulator: {event['state']} {event.get('detail', '')}".strip()
    if kind == "worker":
        return f"{event['purpose']} worker lost: {event['reason']}"
    if kind == "alert":
        state = "on" if event["active"] else "over"
        return f"alert {event['name']} {state}: {event['value']:.4g} (limit {event['limit']:g})"
    if kind == "stopped":
        return f"stopped by {event['signal']}, checkpoint saved"
    if kind in ("failed", "checkpoint_failed"):
        return f"{kind.replace('_', ' ')}: {event.get('reason') or event.get('error')}"
    if kind == "episode_not_reproduced":
        return f"{event['purpose']} episode not reproduced beyond {event['exact_decisions']} decisions; truncated there"
    if kind == "finished":
        return "finished"
    return ""


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>
:root {{ color-scheme: light dark; }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}
table {{ border-collapse: collapse; display: block; overflow-x: auto; }}
th, td {{ border: 1px solid #8886; padding: .3rem .6rem; text-align: left; }}
th {{ background: #8882; }}
img {{ max-width: 100%; background: white; }}
code {{ font-size: .9em; overflow-wrap: anywhere; }}
</style></head><body>
{body}
</body></html>
"""


def _to_html(text: str, title: str, run_dir: Path) -> str:
    body = markdown.markdown(text, extensions=["tables"])

    def embed(match: "re.Match[str]") -> str:
        data = base64.b64encode((run_dir / match.group(1)).read_bytes()).decode()
        return f'src="data:image/png;base64,{data}"'

    return _PAGE.format(title=title, body=re.sub(r'src="(figures/[\w.-]+)"', embed, body))
