"""What Slurm says: the partition, account, QoS and resources exist, and it would take the very script.

What `sbatch --test-only` takes is no mistake, whatever else Slurm's tables say: sites' plugins rename partitions,
accounts and QoS. Then a doubt is a note.
"""

import re
from typing import NoReturn

from td3_hpc.config.cluster import ClusterConfig
from td3_hpc.config.sbatch import gres, seconds
from td3_hpc.launch.jobs import slurm
from td3_hpc.launch.preflight.finding import Doubt, Mistake, NotLearnt
from td3_hpc.launch.preflight.plan import Plan, user
from td3_hpc.launch.preflight.walltime import checkpoint_seconds

Fields = dict[str, str]


def check_slurm(plan: Plan) -> str:
    """Slurm's commands are on this machine, and its controller answers."""
    answer = slurm.ping(plan.profile.clusters)
    if " is UP" not in answer:
        where = f" of {plan.profile.slurm_conf}" if plan.profile.slurm_conf else ""
        raise Mistake(f"no answer from the controller{where}: {answer}", "is this the right cluster, and is it up?")
    return f"{' '.join(_ask(plan, 'sinfo', '--version'))}; {answer.splitlines()[0]}"


def check_partition(plan: Plan) -> str:
    """The partitions exist, take jobs, and let them run as long as the walltime: of several, one is enough."""
    found = [_partition_fits(plan, fields) for fields in partitions(plan)]
    wrong = [(text, change) for text, change in found if change]
    if len(wrong) == len(found):
        _refuse(plan, *wrong[0])
    told = "; ".join(text for text, _ in found)
    if wrong:
        raise Doubt(told, f"{wrong[0][1]}, or leave that partition out")
    return told


def _partition_fits(plan: Plan, fields: Fields) -> tuple[str, str]:
    """What a partition is like, and what to change where it does not fit."""
    name = fields["PartitionName"]
    if fields.get("State", "UP") != "UP":
        return f"{name} is {fields['State']}", f"choose another partition in {plan.profile_file}, or wait"
    limit = minutes(fields.get("MaxTime", "UNLIMITED"))
    found = f"{name}: up, at most {fields.get('MaxTime', '?').lower()} a job, {fields.get('TotalNodes', '?')} nodes"
    if limit is not None and plan.profile.walltime_minutes > limit:
        asked = f"{found}; the profile asks for {plan.profile.walltime_minutes} minutes"
        return asked, f"lower walltime_minutes to {limit} in {plan.profile_file}"
    return found, ""


def check_preemption(plan: Plan) -> str:
    """How long a preempted job has to save: the partition's grace time, and from SIGTERM to SIGKILL."""
    known = _known_partitions(plan)
    preempted = [fields for fields in known if fields.get("PreemptMode", "OFF") != "OFF"]
    if not preempted:
        return f"jobs of {_names(known)} are not preempted"
    grace = min(_seconds(fields.get("GraceTime", "0")) for fields in preempted)
    notice = grace + _seconds(configuration(plan).get("KillWait", "30"))
    duration, source = checkpoint_seconds(plan)
    found = f"{notice} s to save in; a checkpoint takes {duration:.1f} s ({source})"
    if not grace and plan.profile.requeue == "slurm" and any("CANCEL" in f["PreemptMode"] for f in preempted):
        # With a grace time the job hears of it while it still runs, and requeues itself.
        raise Doubt(
            f"{found}. A preempted job of {_names(preempted)} is cancelled without a grace time (PreemptMode=CANCEL): "
            "Slurm does not start it again",
            f"set requeue: chain in {plan.profile_file}",
        )
    if duration < notice:
        return found
    most = plan.stage.checkpoint.every_minutes
    return f"{found}: too little, each preemption costs the work since the last checkpoint, at most {most:g} minutes"


def _seconds(text: str) -> int:
    """Seconds of '30 sec' or '10'."""
    return int(text.split()[0])


def check_account(plan: Plan) -> str:
    """The account and the QoS exist, and the user may use them. Slurm keeps their names in small letters."""
    wanted = {"account": plan.profile.account, "qos": plan.profile.qos}
    if not any(wanted.values()):
        return "the site's default"
    enforced = configuration(plan).get("AccountingStorageEnforce", "none")
    where = [f"cluster={plan.profile.clusters}"] if plan.profile.clusters else []
    answer = _ask(plan, "sacctmgr", "-nP", "show", "assoc", f"user={user()}", *where, "format=account,qos")
    rows = [line.split("|") for line in answer if "|" in line]
    known = {
        "account": {row[0].lower() for row in rows if row[0]},
        "qos": {name.lower() for row in rows for name in row[1].split(",") if name},
    }
    for key, name in wanted.items():
        if name and name.lower() not in known[key]:
            listed = ", ".join(sorted(known[key])) or "none"
            _refuse(
                plan,
                f"{key} {name}: not one of {user()}'s, which are: {listed} (enforced: {enforced})",
                f"correct {key} in {plan.profile_file}",
            )
    return ", ".join(f"{key} {name}" for key, name in wanted.items() if name)


def check_nodes(plan: Plan) -> str:
    """One node of the partitions has the CPUs, the memory and the generic resources."""
    profile, known = plan.profile, _known_partitions(plan)
    name = _names(known)
    nodes = [node for node in _nodes(plan, known) if node["NodeName"] not in profile.exclude]
    memory_gib = profile.memory_of_a_node_gib or 0
    wanted = [f"{profile.cpus} CPUs", f"{memory_gib:g} GiB" if memory_gib else "", _devices(profile)]
    asked = ", ".join(word for word in wanted if word)
    if not nodes:
        _refuse(plan, f"{name} has no node but those excluded", f"correct exclude in {plan.profile_file}")
    if _devices(profile):
        _check_gres(plan, name, nodes)
    fitting = [
        node for node in nodes if _size(node, "CPUTot") >= profile.cpus
        and _size(node, "RealMemory") >= memory_gib * 1024
    ]  # fmt: skip
    if not fitting:
        largest = max(nodes, key=lambda node: _size(node, "RealMemory"))
        size = f"{_size(largest, 'CPUTot')} CPUs, {_size(largest, 'RealMemory') / 1024:.1f} GiB"
        _refuse(
            plan,
            f"no node of {name} has {asked}; the largest ({largest['NodeName']}) has {size}",
            f"lower cpus or memory in {plan.profile_file}, or choose a partition of larger nodes",
        )
    down = [node for node in fitting if re.search(r"DOWN|DRAIN|FAIL|NOT_RESPONDING", node.get("State", ""))]
    if len(down) == len(fitting):
        raise Doubt(
            f"every node of {name} with {asked} is down or drained now, and the job will wait for one",
            "choose another partition where it is urgent",
        )
    return f"{asked}: {len(fitting) - len(down)} of {len(nodes)} nodes of {name}"


def _size(node: Fields, key: str) -> int:
    return int(node.get(key, "0"))


def _devices(profile: ClusterConfig) -> str:
    """The generic resources that a job asks for on each node, as gres would have them."""
    given = profile.gpus_per_node or profile.gpus
    gpus = [f"gpu:{part}" for part in str(given).split(",")] if given else []
    return ",".join([*([profile.gres] if profile.gres else []), *gpus])


def _check_gres(plan: Plan, name: str, nodes: list[Fields]) -> None:
    for wanted in _devices(plan.profile).split(","):
        kind, number = gres(wanted)
        most = max(_gres_of(node, kind) for node in nodes)
        if number is not None and most < number:
            there = sorted({node["Gres"] for node in nodes if node.get("Gres", "(null)") != "(null)"})
            _refuse(
                plan,
                f"gres {wanted}: a node of {name} has {most}; there is {', '.join(there) or 'none at all'}",
                f"correct gres in {plan.profile_file}",
            )


def check_queueing(plan: Plan) -> str:
    """`sbatch --test-only` of the script that would be queued."""
    taken, words = plan.test_only
    if taken:
        return words
    _known_partitions(plan)
    raise Mistake(f"Slurm refuses the job: {words}", f"correct {plan.profile_file}")


def _refuse(plan: Plan, found: str, change: str) -> NoReturn:
    """A mistake; where Slurm itself takes the job all the same, a note."""
    if plan.given_stage is not None and plan.test_only[0]:
        raise Doubt(f"{found}; but sbatch --test-only takes the job", change)
    raise Mistake(found, change)


# ---- what Slurm knows
def partitions(plan: Plan) -> list[Fields]:
    """The profile's partitions, or the default one. Raises Mistake or Doubt where there is none of a name."""
    answer = _ask(plan, "scontrol", "show", "partition", "-o")
    rows = [_fields(line) for line in answer if "PartitionName=" in line]
    known = {row["PartitionName"]: row for row in rows}
    listed = ", ".join(known) or "none"
    change = f"correct partition in {plan.profile_file}"
    if plan.profile.partition is None:
        default = [row for row in rows if row.get("Default") == "YES"]
        if not default:
            raise Doubt(f"this Slurm shows no default partition; there are: {listed}", change)
        return default
    names = plan.profile.partition.split(",")
    for name in names:
        if name not in known:
            _refuse(plan, f"partition {name}: there is none of this name; there are: {listed}", change)
    return [known[name] for name in names]


def _known_partitions(plan: Plan) -> list[Fields]:
    """The partitions, for checks that go on from there: that there is none is one mistake, not four."""
    try:
        return partitions(plan)
    except (Mistake, Doubt):
        raise NotLearnt("the partition is not known", f"correct partition in {plan.profile_file} first") from None


def _names(known: list[Fields]) -> str:
    return ",".join(fields["PartitionName"] for fields in known)


def node_architectures(plan: Plan) -> set[str]:
    """Of the partition's nodes, as Slurm knows them; empty where it does not, or is not to be had."""
    try:
        return {node["Arch"] for node in _nodes(plan, partitions(plan)) if "Arch" in node}
    except (Mistake, Doubt, NotLearnt):
        return set()


def configuration(plan: Plan) -> Fields:
    """Slurm's own settings."""
    pairs = (line.partition("=") for line in _ask(plan, "scontrol", "show", "config"))
    return {name.strip(): value.strip() for name, separator, value in pairs if separator}


def minutes(limit: str) -> int | None:
    """Whole minutes of a time limit as Slurm prints it ([days-]hours:minutes:seconds); None for UNLIMITED."""
    known = seconds(limit)
    return None if known is None else known // 60


def _nodes(plan: Plan, known: list[Fields]) -> list[Fields]:
    names = {fields["PartitionName"] for fields in known}
    rows = [_fields(line) for line in _ask(plan, "scontrol", "show", "node", "-o") if "NodeName=" in line]
    return [row for row in rows if names & set(row.get("Partitions", "").split(","))]


def _fields(line: str) -> Fields:
    return dict(word.split("=", 1) for word in line.split() if "=" in word)


def _gres_of(node: Fields, kind: str) -> int:
    """How many of a kind a node has; kind gpu counts every gpu:TYPE."""
    pairs = [gres(text) for text in re.split(r",(?![^(]*\))", node.get("Gres", "(null)"))]
    return sum(number or 0 for name, number in pairs if name == kind or name.startswith(f"{kind}:"))


def _ask(plan: Plan, *command: str) -> list[str]:
    """The command's lines, of the profile's cluster. Raises NotLearnt with its reason."""
    if not slurm.has(command[0]):
        raise NotLearnt(f"no {command[0]} on this machine")
    cluster = None if command[0] == "sacctmgr" or "--version" in command else plan.profile.clusters
    lines, error = slurm.ask(*command, cluster=cluster)
    if error:
        raise NotLearnt(f"{command[0]}: {error}")
    return lines
