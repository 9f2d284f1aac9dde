"""The names of a checkpoint's files, and what they tell without opening any.

A module of its own, since everything in td3_hpc/checkpoint loads HDF5, which takes a second that `td3-hpc status` and a
job's admission do not have.
"""

import re
from pathlib import Path

STATE_DIR, REPLAY_DIR, SET_ASIDE_DIR = "state", "replay", "set-aside"
#: Ends the name of a manifest that retention has dropped, until its files are removed, too.
DROPPED = ".dropped"
_NAME = re.compile(r"^checkpoint-e(\d{4,})-s(\d{9,})-(\d{4,})\.json$")
_FILE_NAME = re.compile(r"^(?:checkpoint-e(\d{4,})-s\d{9,}|rows-e(\d{4,})-\d{12,}-\d{12,})-(\d{4,})\.(?:h5|json)$")
_HALF_WRITTEN = re.compile(r"^\.(.*\.(?:h5|json))(?:\.\d+)?\.tmp$")

Order = tuple[int, int, int]
"""Epoch, step, number of the save: the highest is the newest."""


def manifest_name(order: Order) -> str:
    """File name of a manifest."""
    return f"checkpoint-e{order[0]:04}-s{order[1]:09}-{order[2]:04}.json"


def order_of(path: Path) -> Order | None:
    """Epoch, step and number that a manifest's file name tells; None for another file."""
    match = _NAME.match(path.name)
    return (int(match.group(1)), int(match.group(2)), int(match.group(3))) if match else None


def save_of(path: Path) -> tuple[int, int] | None:
    """Epoch and number of the save that a file's name tells, half-written ones included; None for another file."""
    half_written = _HALF_WRITTEN.match(path.name)
    match = _FILE_NAME.match(half_written.group(1) if half_written else path.name)
    return (int(match.group(1) or match.group(2)), int(match.group(3))) if match else None


def is_half_written(path: Path) -> bool:
    """Whether a name is that of a file in the middle of being written."""
    return bool(_HALF_WRITTEN.match(path.name))


def manifest_paths(run_dir: Path) -> list[Path]:
    """The manifests of a run, the newest first."""
    found = [(order, path) for path in (run_dir / STATE_DIR).glob("checkpoint-*.json") if (order := order_of(path))]
    return [path for _, path in sorted(found, reverse=True)]


def newest_step(run_dir: Path) -> int:
    """The step that a resume would begin at if every checkpoint is whole: the newest one's; 0 where there is none."""
    paths = manifest_paths(run_dir)
    order = order_of(paths[0]) if paths else None
    return order[1] if order else 0


def furthest_step(run_dir: Path) -> int:
    """The highest step of any checkpoint, be it of a superseded attempt; 0 where there is none.

    `newest_step` of the job's script (launch/jobs/templates/stage.sbatch.j2) computes the same in bash: both count
    the attempts that got no further.
    """
    return max((order[1] for path in manifest_paths(run_dir) if (order := order_of(path))), default=0)
