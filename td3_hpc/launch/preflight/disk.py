"""Do the run's files fit where they are to be written? Space, number of files, and the user's quota."""

import grp
import math
import os
import re
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

import psutil

from td3_hpc.checkpoint.segments import MANY_SMALL, SEGMENT_ROWS
from td3_hpc.config import StageConfig
from td3_hpc.launch.preflight.finding import Mistake, NotLearnt
from td3_hpc.launch.preflight.memory import GIB, MIB, state_bytes
from td3_hpc.launch.preflight.plan import Plan, existing_parent, user
from td3_hpc.replay.rows import row_bytes

BYTES_PER_STEP = 400
"""Record, TensorBoard and logs, for each step: what a 1K run leaves, rounded up."""
OTHER_FILES = 100
"""Code, logs, figures and the rest."""
TIMEOUT_S = 20


@dataclass(frozen=True)
class Need:
    """What the run's directory grows to."""

    bytes: float
    files: int
    listed: str


def need(stage: StageConfig) -> Need:
    """The run's files at their largest, while one more checkpoint is being written."""
    checkpoint, steps = stage.checkpoint, stage.training.total_steps
    kept = checkpoint.keep_last + checkpoint.keep_best + 1  # and the stage's last
    for_ever = steps // checkpoint.keep_every_steps if checkpoint.keep_every_steps else 0
    kept = min(kept + for_ever, steps // checkpoint.every_steps + 1)
    rows = steps + steps // 20 + 1
    if not for_ever:  # otherwise old checkpoints need the rows that the buffer has overwritten
        rows = min(rows, stage.replay.capacity + SEGMENT_ROWS)
    states: float = kept * state_bytes(stage.agent)
    replay = rows * row_bytes()
    if checkpoint.disk_budget_gib is not None:
        floor = 2 * state_bytes(stage.agent) + min(rows, stage.replay.capacity) * row_bytes()
        states = max(floor, min(states + replay, checkpoint.disk_budget_gib * GIB)) - replay
    in_progress = state_bytes(stage.agent) + SEGMENT_ROWS * row_bytes()
    logs = steps * BYTES_PER_STEP + 50 * MIB
    files = 2 * kept + math.ceil(rows / min(checkpoint.every_steps, SEGMENT_ROWS // MANY_SMALL)) + MANY_SMALL
    listed = f"{kept} states {states / GIB:.1f}, replay {replay / GIB:.1f}, one being written {in_progress / GIB:.1f}"
    return Need(states + replay + in_progress + logs, files + OTHER_FILES, f"{listed}, logs {logs / GIB:.1f}")


def written_already(run_dir: Path) -> Need:
    """Bytes and files of the run that are there."""
    files = [path for name in ("state", "replay") for path in (run_dir / name).glob("*") if path.is_file()]
    return Need(sum(path.stat().st_size for path in files), len(files), "")


def _there(plan: Plan) -> Need:
    """The same of a plan's run; what is set aside stays, and is none of it."""
    return Need(0, 0, "") if plan.anew else written_already(plan.run_dir)


def check_disk(plan: Plan) -> str:
    """Checkpoints and replay segments against the file system's free space."""
    wanted, there = need(plan.stage), _there(plan)
    place = existing_parent(plan.run_dir)
    status = os.statvfs(place)
    free = status.f_bavail * status.f_frsize
    found = f"{wanted.bytes / GIB:.1f} GiB ({wanted.listed}); {free / GIB:.1f} GiB free at {place}"
    if wanted.bytes - there.bytes > free:
        raise Mistake(found, "make space, give another --run-dir, or lower checkpoint.keep_last or replay.capacity")
    return found


def check_inodes(plan: Plan) -> str:
    """The number of files against the file system's free inodes."""
    wanted, place = need(plan.stage), existing_parent(plan.run_dir)
    status = os.statvfs(place)
    if status.f_files == 0:
        raise NotLearnt(f"up to {wanted.files} files; the file system at {place} does not tell its inodes")
    found = f"up to {wanted.files} files; {status.f_favail} inodes free at {place}"
    if wanted.files - _there(plan).files > status.f_favail:
        raise Mistake(found, "give another --run-dir, or raise checkpoint.every_steps for fewer files")
    return found


def check_quota(plan: Plan) -> str:
    """What may still be written there, by `quota`, or on Lustre by `lfs quota` of user, group and project."""
    place = existing_parent(plan.run_dir)
    device, kind = file_system(place)
    known = _lustre_quotas(place) if kind == "lustre" else {user(): _quota(device)}
    limits = {whose: limit for whose, limit in known.items() if limit is not None}
    if not limits:
        return f"none for {', '.join(known)} at {place}"
    wanted, there = need(plan.stage), _there(plan)
    return "; ".join(_within(whose, *limit, wanted, there, place) for whose, limit in limits.items())


def _within(whose: str, left: float, files_left: float, wanted: Need, there: Need, place: Path) -> str:
    """What there is to write, and what may be. Raises Mistake where it is more."""
    found = (
        f"{(wanted.bytes - there.bytes) / GIB:.1f} GiB in {wanted.files - there.files} files to write; {whose} may "
        f"write {_or_any(left / GIB, ' GiB')} in {_or_any(files_left, ' files')} more at {place}"
    )
    if wanted.bytes - there.bytes > left or wanted.files - there.files > files_left:
        raise Mistake(found, "delete old runs, ask for more, or give a --run-dir on another file system")
    return found


def file_system(path: Path) -> tuple[str, str]:
    """The device and the type of the file system that a path lies on."""
    mounted = [item for item in psutil.disk_partitions(all=True) if path.resolve().is_relative_to(item.mountpoint)]
    # Of several at one place, as an automounter's and what it mounts, the last covers the others.
    nearest = max(reversed(mounted), key=lambda item: len(Path(item.mountpoint).parts))
    return nearest.device, nearest.fstype


def _quota(device: str) -> tuple[float, float] | None:
    """Bytes and files left on a device; None without a limit there. Raises NotLearnt."""
    if shutil.which("quota") is None:
        raise NotLearnt("no `quota` command on this machine", "ask your site for your quota there")
    # -w: one line a file system; -p: times as numbers, so that every line has the same fields.
    result = _run("quota", "-w", "-p", "-u", user())
    for line in result.splitlines():
        fields = line.split()
        if len(fields) >= 9 and fields[0] == device:
            return 1024 * _left(fields[1:4]), _left(fields[5:8])
    return None


def _lustre_quotas(place: Path) -> dict[str, tuple[float, float] | None]:
    """By user, by the group that new files belong to, and by the folder's project, where it has one."""
    if shutil.which("lfs") is None:
        raise NotLearnt("Lustre, but no `lfs` command on this machine", "ask your site for your quota there")
    status = place.stat()
    group = status.st_gid if status.st_mode & stat.S_ISGID else os.getgid()
    asked = {user(): ("-u", user()), f"group {_group_name(group)}": ("-g", str(group))}
    project = _run("lfs", "project", "-d", str(place)).split()  # its number, P where it is inherited, the folder
    if project and project[0].isdigit() and project[0] != "0":
        asked[f"project {project[0]}"] = ("-p", project[0])
    return {whose: _lustre_quota(option, number, place) for whose, (option, number) in asked.items()}


def _group_name(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def _lustre_quota(option: str, whose: str, place: Path) -> tuple[float, float] | None:
    # file system, kbytes, quota, limit, grace, files, quota, limit, grace; a long name stands on a line of its own
    fields = _run("lfs", "quota", "-q", option, whose, str(place)).split()
    if len(fields) < 9 or not all(re.fullmatch(r"[\d*\[\]]+", field) for field in (*fields[-8:-5], *fields[-4:-1])):
        return None
    limits = 1024 * _left(fields[-8:-5]), _left(fields[-4:-1])
    return None if all(map(math.isinf, limits)) else limits


def _left(columns: list[str]) -> float:
    """What is left of (used, soft limit, hard limit) below the lower limit; infinite without one (0).

    A `*` marks a limit that is exceeded, brackets a figure that Lustre is not sure of.
    """
    used, *limits = (int(column.strip("*[]")) for column in columns)
    return max(0, min(limit for limit in limits if limit) - used) if any(limits) else math.inf


def _run(*command: str) -> str:
    try:  # an exit status other than 0 may only mean that a quota is exceeded
        return subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT_S, stdin=subprocess.DEVNULL
        ).stdout
    except subprocess.TimeoutExpired:
        raise NotLearnt(f"`{' '.join(command)}` did not answer within {TIMEOUT_S} s") from None


def _or_any(amount: float, unit: str) -> str:
    if math.isinf(amount):
        return f"any number of{unit}"
    return f"{amount:.1f}{unit}" if amount < 1000 else f"{amount:.0f}{unit}"
