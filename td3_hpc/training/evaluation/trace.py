"""What is kept of an evaluation cycle to look at: the paths driven, and pictures of its first episode."""

import json
from collections.abc import Mapping, Sequence
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


class EpisodeTrace:
    """Collects one episode; a few hundred kilobytes of memory, with pictures some megabytes."""

    def __init__(self, pictures: bool) -> None:
        """`pictures`: whether those are kept, too."""
        self._pictures = pictures
        self._positions: list[tuple[float, float]] = []
        self._frames: list[npt.NDArray[np.uint8]] = []
        self.fields: dict[str, Any] = {}
        """For the file, once the episode has ended by itself."""
        self.strip: npt.NDArray[np.uint8] | None = None
        """Some of its pictures, side by side."""

    def add(self, observation: Observation, info: Mapping[str, Any]) -> None:
        """One decision's outcome."""
        self._positions.append(info["position"])
        if self._pictures:
            self._frames.append(observation[IMAGE.name][-1].copy())

    def end(self, route: int, info: Mapping[str, Any]) -> None:
        """The episode has ended by itself."""
        if self._frames:
            picked = np.linspace(0, len(self._frames) - 1, min(PICTURES, len(self._frames))).round().astype(int)
            self.strip = np.concatenate([self._frames[index] for index in picked], axis=1)
        self.fields = {
            "route": route,
            "end_reason": info["episode"]["end_reason"],
            "path": _thin(self._positions),
            "planned": info["planned"],
        }
        self._positions, self._frames = [], []


def write_trace(path: Path, episodes: Sequence[EpisodeTrace]) -> None:
    """Put both files of a cycle in place, the strip of the first episode that has one. Raises OSError."""
    path.parent.mkdir(exist_ok=True)
    fields = [episode.fields for episode in episodes]
    replace_file(path.with_suffix(".json"), json.dumps({"episodes": fields}).encode())
    for strip in [episode.strip for episode in episodes if episode.strip is not None][:1]:
        replace_file(path.with_suffix(".png"), cv2.imencode(".png", strip)[1].tobytes())


def _thin(positions: list[tuple[float, float]]) -> list[list[float]]:
    """At most POINTS of the positions, the first and the last among them, to 0.1 m."""
    picked = np.unique(np.linspace(0, len(positions) - 1, min(POINTS, len(positions))).round().astype(int))
    return [[round(positions[index][0], 1), round(positions[index][1], 1)] for index in picked]
