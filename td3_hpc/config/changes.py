"""What differs between two configurations, and what may differ while a run goes on."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from td3_hpc.config.stage import StageConfig

#: Keys that may change between two attempts of one run; any other would make it another run.
CHANGEABLE = (
    "training.total_steps",
    "training.device",
    "training.threads",
    "training.kernels",
    "simulator",
    "evaluation.simulators",
    "environment.traffic.port",
    "environment.traffic.evaluation_port",
    "checkpoint",
    "logging",
    "monitors",
)
#: Keys that may change from a run to one that continues from its checkpoint. The rest decides what the numbers mean.
CONTINUABLE = (*CHANGEABLE, "name", "seed", "evaluation", "replay.capacity")


def changes(old: StageConfig, new: StageConfig, allowed: Sequence[str] = ()) -> list[str]:
    """The keys that differ, as `agent.tau (0.005 -> 0.01)`; `allowed` keys and sections are left out."""
    before, after = old.model_dump(mode="json"), new.model_dump(mode="json")
    return [
        f"{key} ({value_at(before, key)} -> {value_at(after, key)})"
        for key in sorted(_changed_keys(before, after))
        if not any(f"{key}.".startswith(f"{name}.") for name in allowed)
    ]


def _changed_keys(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key in old.keys() | new.keys():
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            yield from _changed_keys(before, after, f"{prefix}{key}.")
        elif before != after:
            yield f"{prefix}{key}"


def value_at(tree: Any, key: str) -> Any:
    """The value of a dotted key in nested mappings; an empty mapping where there is none."""
    for part in key.split("."):
        tree = tree.get(part, {}) if isinstance(tree, dict) else {}
    return tree
