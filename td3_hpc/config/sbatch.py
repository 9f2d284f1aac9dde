"""What a profile may say to sbatch: times, nodes, numbers of GPUs, and options that it has no key for."""

import itertools
import re
from collections.abc import Mapping
from typing import Any

#: Options of sbatch's that the profile has a key for.
KEYS = {
    "account": "account", "clusters": "clusters", "comment": "comment", "constraint": "constraint",
    "cpus-per-gpu": "cpus_per_gpu", "cpus-per-task": "cpus", "exclude": "exclude", "exclusive": "exclusive",
    "gpu-bind": "gpu_bind", "gpus": "gpus", "gpus-per-node": "gpus_per_node", "gres": "gres", "hint": "hint",
    "licenses": "licenses", "mail-type": "mail_type", "mail-user": "mail_user", "mem": "memory_gib",
    "mem-per-cpu": "mem_per_cpu", "mem-per-gpu": "mem_per_gpu", "nice": "nice", "nodes": "nodes",
    "no-requeue": "requeue", "partition": "partition", "qos": "qos", "requeue": "requeue",
    "reservation": "reservation", "signal": "signal_lead_s", "time": "walltime",
}  # fmt: skip
#: Options that the job's script, or the command that queues it, sets itself.
OURS = ("array", "chdir", "dependency", "error", "help", "input", "job-name", "ntasks", "open-mode", "output",
        "parsable", "test-only", "usage", "version", "wait", "wrap")  # fmt: skip


def check_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options by their long names, with hyphens; raises ValueError for those that are not for the mapping `sbatch`."""
    checked: dict[str, Any] = {}
    for given, value in options.items():
        name = given.lstrip("-").replace("_", "-")
        if not re.fullmatch(r"[a-z][a-z0-9-]+", name):
            raise ValueError(f"{given}: not the long name of an option of sbatch's, such as wckey")
        if name in KEYS:
            raise ValueError(f"{given}: set the profile's own key {KEYS[name]} in its place")
        if name in OURS:
            raise ValueError(f"{given}: is set by the job itself; leave it out")
        if isinstance(value, str) and not value.isprintable():
            raise ValueError(f"{given}: holds a line end, or another character that cannot be printed")
        if value is not False:
            checked[name] = None if value is True else value
    return checked


def seconds(time: str) -> int | None:
    """Seconds of a time as Slurm reads and prints it; None where it is none, or UNLIMITED.

    M, M:S, H:M:S, D-H, D-H:M or D-H:M:S.
    """
    match = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", time.strip())
    if match is None:
        return None
    days, first, second, third = (None if group is None else int(group) for group in match.groups())
    if days is None and third is None:
        return first * 60 + (second or 0) if first is not None else None
    return (((days or 0) * 24 + (first or 0)) * 60 + (second or 0)) * 60 + (third or 0)


def node_names(hostlist: str) -> list[str]:
    """Names of nodes as Slurm writes them, in full: n[1-2,04] is n1, n2, n04. Raises ValueError where it is not one."""
    names: list[str] = []
    for part in re.split(r",(?![^\[]*\])", hostlist):
        words = re.split(r"\[([^\[\]]*)\]", part.strip())  # text and the insides of brackets in turn
        if not part.strip() or any(set(word) & set("[]") for word in words):
            raise ValueError(f"{hostlist!r}: not names of nodes; write them as n1 or n[1-3,7]")
        choices = [_numbers(word, hostlist) if index % 2 else [word] for index, word in enumerate(words)]
        names += ["".join(chosen) for chosen in itertools.product(*choices)]
    return names


def _numbers(ranges: str, hostlist: str) -> list[str]:
    found: list[str] = []
    for text in ranges.split(","):
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", text)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if match is None or last < first or last - first >= 65536:
            raise ValueError(f"{hostlist!r}: {text!r} is no range of numbers; write it as n[1-3,7]")
        found += [str(number).zfill(len(match[1])) for number in range(first, last + 1)]
    return found


def gres(text: str) -> tuple[str, int | None]:
    """('gpu:a100', 2) of gpu:a100:2, gres:gpu:a100:2 or gres/gpu:a100=2; None for a number that is none.

    What stands in brackets says where the devices are.
    """
    words = re.split(r"[:=]", re.sub(r"\(.*?\)", "", text).strip().removeprefix("gres:").removeprefix("gres/"))
    if len(words) == 1 or not words[-1][:1].isdigit():
        return ":".join(words), 1
    last = words.pop()
    return ":".join(words), int(last) if last.isdigit() else None


def gpu_count(profile: Mapping[str, Any]) -> int | None:
    """GPUs on a node that a profile's values ask for; None where they ask for none, or it cannot be told."""
    for key in ("gpus_per_node", "gpus"):
        value = profile.get(key)
        if value is not None:
            return _sum([gres(f"gpu:{part}")[1] for part in str(value).split(",")])
    wanted = [gres(part) for part in str(profile.get("gres") or "").split(",")]
    return _sum([number for name, number in wanted if name.split(":")[0] == "gpu"])


def _sum(numbers: list[int | None]) -> int | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if known and len(known) == len(numbers) else None
