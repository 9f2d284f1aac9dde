"""What is kept of an evaluation cycle to look at: the paths driven, and pictures of its first episode."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from td3_hpc.durable import replace_file
from td3_hpc.spaces import IMAGE, Observation

FOLDER = "evaluations"
PICTURES = 8
POINTS = 250
"""Most positions kept of one path."""


def trace_path(run_dir: Path, step: int) -> Path:
    """Where the trace of the cycle at a step is kept; `.json` holds the paths, `.png` the pictures."""
    return run_dir / FOLDER / f"step-{step:09}"


class CycleTrace:
    """Collects one cycle; a few hundred kilobytes of memory an episode."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._episodes: list[dict[str, Any]] = []
        self._strip: npt.NDArray[np.uint8] | None = None
        self._positions: list[tuple[float, float]] = []
        self._frames: list[npt.NDArray[np.uint8]] = []

    def begin(self) -> None:
        """An episode begins; an earlier one that was cut off is forgotten."""
        self._positions, self._frames = [], []

    def add(self, observation: Observation, info: Mapping[str, Any]) -> None:
        """One decision's outcome."""
        self._positions.append(info["position"])
        if self._strip is None:
            self._frames.append(observation[IMAGE.name][-1].copy())

    def end(self, route: int, info: Mapping[str, Any]) -> None:
        """The episode has ended by itself."""
        if self._strip is None:
            picked = np.linspace(0, len(self._frames) - 1, min(PICTURES, len(self._frames))).round().astype(int)
            self._strip = np.concatenate([self._frames[index] for index in picked], axis=1)
        self._episodes.append(
            {
                "route": route,
                "end_reason": info["episode"]["end_reason"],
                "path": _thin(self._positions),
                "planned": info["planned"],
            }
        )

    def write(self) -> None:
        """Put both files in place. Raises OSError."""
        self._path.parent.mkdir(exist_ok=True)
        replace_file(self._path.with_suffix(".json"), json.dumps({"episodes": self._episodes}).encode())
        if self._strip is not None:
            replace_file(self._path.with_suffix(".png"), cv2.imencode(".png", self._strip)[1].tobytes())


def _thin(positions: list[tuple[float, float]]) -> list[list[float]]:
    """At most POINTS of the positions, the first and the last among them, to 0.1 m."""
    picked = np.unique(np.linspace(0, len(positions) - 1, min(POINTS, len(positions))).round().astype(int))
    return [[round(positions[index][0], 1), round(positions[index][1], 1)] for index in picked]
