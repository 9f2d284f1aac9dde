"""The model card: what the policy was trained for, how it drives, and what nobody has tried."""

from pathlib import Path

from td3_hpc.config import StageConfig
from td3_hpc.export.description import Description
from td3_hpc.record import RECORD_FILE, EvaluationCycle, ReferenceDrive, read_events
from td3_hpc.training.evaluation.measures import estimates


def model_card(run_dir: Path, config: StageConfig, description: Description, difference: float, tried: int) -> str:
    """Markdown. `difference`: the largest between the file's actions and the agent's, on `tried` observations."""
    origin, environment = description.origin, config.environment
    simulator = "CARLA" if config.simulator.kind == "carla" else "the embedded simulator"
    lines = [
        f"# A TD3 driving policy: {config.name}, step {origin['step']:,}",
        "",
        f"It follows a route of waypoints in the town {environment.town} with a {environment.vehicle}, deciding every "
        f"{description.decision_seconds:g} simulated seconds on camera frames and a vector. It was trained with TD3 on "
        f"{simulator}, for {origin['step']:,} decisions, with seed {origin['seed']}.",
        "",
        "| | |",
        "|---|---|",
        f"| task | {environment.route.min_length_m:g} to {environment.route.max_length_m:g} m, "
        f"{environment.traffic.vehicles} other cars, target speed {environment.reward.target_speed_kmh:g} km/h |",
        f"| code | td3-hpc {origin['version']}, behaviour {origin['behaviour']}, sha256 `{origin['code_sha256']}` |",
        f"| checkpoint | `{origin['checkpoint']}` |",
        f"| weights | sha256 `{description.weights_sha256}` |",
        f"| exported file | its actions are within {difference:.1g} of the agent's on {tried:,} stored observations "
        "(both in float32) |",
        "",
        "## Observation and action",
        "",
        *(
            f"- `{entry.name}`: {entry.dtype} {list(entry.shape)}, {entry.meaning} ({entry.unit})"
            for entry in description.observation
        ),
        f"- gives `{description.action.name}`: {description.action.meaning}, in [-1, 1]",
        "",
        "## How it drives",
        "",
        *_figures(run_dir, config, int(origin["step"])),
        "",
        "## What nobody has tried",
        "",
        f"- other towns, weathers and vehicles than those above, and other simulators than {simulator}; real roads",
        "- routes without waypoints, and other agents than cars",
        "- whether it uses its pictures: `td3-hpc evaluate RUN --without image` tells",
        "",
    ]
    return "\n".join(lines)


def _figures(run_dir: Path, config: StageConfig, step: int) -> list[str]:
    """The evaluation nearest before the checkpoint, beside drivers that do not learn where they drove."""
    record = run_dir / RECORD_FILE
    cycles = [cycle for cycle in read_events(record, EvaluationCycle) if cycle.step <= step] if record.exists() else []
    if not cycles:
        return ["No evaluation cycle had been driven."]
    last = cycles[-1]
    drivers = {"this policy": last.episodes}
    for drive in read_events(record, ReferenceDrive):  # of the last cycle, which has as many episodes or more
        if len(drive.episodes) >= len(last.episodes):
            drivers[f"{drive.policy} driver"] = drive.episodes[: len(last.episodes)]
    found = {name: estimates(episodes, config.environment.decision_seconds) for name, episodes in drivers.items()}
    measures = ("route completion", "success", "collisions", "mean speed")
    units = ("%", "%", "per km", "km/h")
    lines = [
        f"{len(last.episodes)} episodes on held-out routes at step {last.step:,}, without noise; in brackets 95 % "
        "bootstrap intervals over episodes.",
        "",
        "| | " + " | ".join(f"{name}, {unit}" for name, unit in zip(measures, units, strict=True)) + " |",
        "|---|" + "---:|" * len(measures),
    ]
    for name, measured in found.items():
        lines.append(f"| {name} | " + " | ".join(str(measured[measure]) for measure in measures) + " |")
    return lines
