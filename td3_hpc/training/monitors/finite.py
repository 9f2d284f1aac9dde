"""NaN and infinity are never trained on, and never saved: whatever holds one stops the run."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from td3_hpc.errors import UserError
from td3_hpc.td3 import UpdateStats


class NonFinite(UserError):
    """A number of the run is NaN or infinite."""

    code = "non_finite"

    def __init__(self, where: str, names: Sequence[str], step: int) -> None:
        """`where` and `names` say what; `step` is the last completed one."""
        listed = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        cause = f"NaN or infinity in {where} at step {step}: {listed}"
        super().__init__(
            f"{cause}. The run stops here, nothing of it is saved, and older checkpoints are kept. Look at the alerts "
            "and the gradient norms in the report, and lower the learning rates or the reward's scale",
            cause=cause,
        )


def non_finite(stats: UpdateStats) -> list[str]:
    """Names of the update's numbers that are NaN or infinite."""
    numbers = {name: value for name, value in vars(stats).items() if isinstance(value, float)}
    numbers |= {f"gradient norm of {group}": norm for group, norm in stats.grad_norms_before.items()}
    return [name for name, value in numbers.items() if not math.isfinite(value)]


def non_finite_entries(tree: Mapping[str, Any], where: str = "") -> Iterator[str]:
    """Names of the arrays in a state tree that hold a NaN or an infinity, and how many."""
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from non_finite_entries(value, f"{where}{name}.")
        elif isinstance(value, np.ndarray) and value.dtype.kind == "f" and not _sum_is_finite(value):
            count = int(np.count_nonzero(~np.isfinite(value)))
            if count:
                yield f"{where}{name} ({count} of {value.size} numbers)"


def _sum_is_finite(array: np.ndarray) -> bool:
    """Quicker than to look at each number; a NaN or an infinity never leaves a finite sum."""
    with np.errstate(all="ignore"):
        return math.isfinite(float(array.sum(dtype=array.dtype)))
