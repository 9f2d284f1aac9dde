"""What Slurm says: the partition, account, QoS and resources exist, and it would take the very script."""

import re
import shutil
import tempfile

from td3_hpc.config.cluster import ClusterConfig
from td3_hpc.config.sbatch import gres, seconds
from td3_hpc.launch.jobs import slurm
from td3_hpc.launch.jobs.freeze import FrozenImage
from td3_hpc.launch.jobs.script import render
from td3_hpc.launch.preflight.finding import Mistake, NotLearnt
from td3_hpc.launch.preflight.plan import Plan, user
from td3_hpc.launch.preflight.walltime import checkpoint_seconds

Fields = dict[str, str]


def check_slurm(plan: Plan) -> str:
    """Slurm's commands are on this machine, and its controller answers."""
    ping = slurm.run(
        "scontrol", "ping", cluster=plan.profile.clusters
    )  # exits 1 where the controller is down, and says so on standard output
    answer = ping.stdout.strip() or slurm.reason(ping.stderr)
    if " is UP" not in answer:
        where = f" of {plan.profile.slurm_conf}" if plan.profile.slurm_conf else ""
        raise Mistake(f"no answer from the controller{where}: {answer}", "is this the right cluster, and is it up?")
    return f"{_ask('sinfo', '--version').strip()}; {answer.splitlines()[0]}"


def check_partition(plan: Plan) -> str:
    """The partition exists, takes jobs, and lets them run as long as the walltime."""
    fields = partition(plan)
    name = fields["PartitionName"]
    if fields["State"] != "UP":
        raise Mistake(f"{name} is {fields['State']}", f"choose another partition in {plan.profile_file}, or wait")
    limit = minutes(fields["MaxTime"])
    found = f"{name}: up, at most {fields['MaxTime'].lower()} a job, {fields.get('TotalNodes', '?')} nodes"
    if limit is not None and plan.profile.walltime_minutes > limit:
        raise Mistake(
            f"{found}; the profile asks for {plan.profile.walltime_minutes} minutes",
            f"lower walltime_minutes to {limit} in {plan.profile_file}",
        )
    return found


def check_preemption(plan: Plan) -> str:
    """How long a preempted job has to save: the partition's grace time, and from SIGTERM to SIGKILL."""
    fields = _known_partition(plan)
    if fields.get("PreemptMode", "OFF") == "OFF":
        return f"jobs of {fields['PartitionName']} are not preempted"
    notice = _seconds(fields.get("GraceTime", "0")) + _seconds(configuration().get("KillWait", "30"))
    seconds, source = checkpoint_seconds(plan)
    found = f"{notice} s to save in; a checkpoint takes {seconds:.1f} s ({source})"
    if seconds < notice:
        return found
    most = plan.stage.checkpoint.every_minutes
    return f"{found}: too little, each preemption costs the work since the last checkpoint, at most {most:g} minutes"


def _seconds(text: str) -> int:
    """Seconds of '30 sec' or '10'."""
    return int(text.split()[0])


def check_account(plan: Plan) -> str:
    """The account and the QoS exist, and the user may use them."""
    wanted = {"account": plan.profile.account, "qos": plan.profile.qos}
    if not any(wanted.values()):
        return "the site's default"
    enforced = configuration().get("AccountingStorageEnforce", "none")
    rows = [line.split("|") for line in _ask("sacctmgr", "-nP", "show", "assoc", f"user={user()}",
                                             "format=account,qos").splitlines()]  # fmt: skip
    known = {
        "account": {row[0] for row in rows if row[0]},
        "qos": {name for row in rows for name in row[1].split(",") if name},
    }
    for key, name in wanted.items():
        if name and name not in known[key]:
            listed = ", ".join(sorted(known[key])) or "none"
            raise Mistake(
                f"{key} {name}: not one of {user()}'s, which are: {listed} (enforced: {enforced})",
                f"correct {key} in {plan.profile_file}",
            )
    return ", ".join(f"{key} {name}" for key, name in wanted.items() if name)


def check_nodes(plan: Plan) -> str:
    """One node of the partition has the CPUs, the memory and the generic resources."""
    profile, name = plan.profile, _known_partition(plan)["PartitionName"]
    nodes = [node for node in _nodes(name) if node["NodeName"] not in profile.exclude]
    memory_gib = profile.memory_of_a_node_gib or 0
    wanted = [f"{profile.cpus} CPUs", f"{memory_gib:g} GiB" if memory_gib else "", _devices(profile)]
    asked = ", ".join(word for word in wanted if word)
    if not nodes:
        raise Mistake(f"{name} has no node but those excluded", f"correct exclude in {plan.profile_file}")
    if _devices(profile):
        _check_gres(plan, name, nodes)
    fitting = [
        node for node in nodes if int(node["CPUTot"]) >= profile.cpus and int(node["RealMemory"]) >= memory_gib * 1024
    ]
    if not fitting:
        largest = max(nodes, key=lambda node: int(node["RealMemory"]))
        size = f"{largest['CPUTot']} CPUs, {int(largest['RealMemory']) / 1024:.1f} GiB"
        raise Mistake(
            f"no node of {name} has {asked}; the largest ({largest['NodeName']}) has {size}",
            f"lower cpus or memory in {plan.profile_file}, or choose a partition of larger nodes",
        )
    down = [node for node in fitting if re.search(r"DOWN|DRAIN|FAIL|NOT_RESPONDING", node["State"])]
    if len(down) == len(fitting):
        raise Mistake(f"every node of {name} with {asked} is down or drained", "choose another partition, or wait")
    return f"{asked}: {len(fitting) - len(down)} of {len(nodes)} nodes of {name}"


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
            there = sorted({node["Gres"] for node in nodes if node["Gres"] != "(null)"})
            raise Mistake(
                f"gres {wanted}: a node of {name} has {most}; there is {', '.join(there) or 'none at all'}",
                f"correct gres in {plan.profile_file}",
            )


def check_queueing(plan: Plan) -> str:
    """`sbatch --test-only` of the script that would be queued."""
    stage = plan.stage
    profile = plan.profile.for_simulators(stage.simulators)
    _known_partition(plan)
    # Only the options matter to Slurm; the digest of a large image would take a minute.
    image = FrozenImage(profile.container.image, "", "") if profile.container else None
    with tempfile.NamedTemporaryFile("w", suffix=".sbatch") as script:
        script.write(render(stage.name, profile, plan.run_dir, image))
        script.flush()
        result = slurm.run("sbatch", "--test-only", script.name, cluster=profile.clusters)
    if result.returncode != 0:
        raise Mistake(f"Slurm refuses the job: {slurm.reason(result.stderr)}", f"correct {plan.profile_file}")
    return slurm.reason(result.stderr).removeprefix("sbatch: ")


# ---- what Slurm knows
def partition(plan: Plan) -> Fields:
    """The profile's partition, or the default one. Raises Mistake where there is none of its name."""
    rows = [_fields(line) for line in _ask("scontrol", "show", "partition", "-o").splitlines() if "=" in line]
    name = plan.profile.partition
    for row in rows:
        if row["PartitionName"] == name or (name is None and row.get("Default") == "YES"):
            return row
    known = ", ".join(row["PartitionName"] for row in rows) or "none"
    wanted = f"partition {name}: there is none of this name" if name else "this Slurm has no default partition"
    raise Mistake(f"{wanted}; there are: {known}", f"correct partition in {plan.profile_file}")


def _known_partition(plan: Plan) -> Fields:
    """The partition, for checks that go on from there: that there is none is one mistake, not four."""
    try:
        return partition(plan)
    except Mistake:
        raise NotLearnt("the partition is not known", f"correct partition in {plan.profile_file} first") from None


def node_architectures(plan: Plan) -> set[str]:
    """Of the partition's nodes, as Slurm knows them; empty where it does not, or is not to be had."""
    try:
        return {node["Arch"] for node in _nodes(partition(plan)["PartitionName"]) if "Arch" in node}
    except (Mistake, NotLearnt):
        return set()


def configuration() -> Fields:
    """Slurm's own settings."""
    pairs = (line.partition("=") for line in _ask("scontrol", "show", "config").splitlines())
    return {name.strip(): value.strip() for name, separator, value in pairs if separator}


def minutes(limit: str) -> int | None:
    """Whole minutes of a time limit as Slurm prints it ([days-]hours:minutes:seconds); None for UNLIMITED."""
    known = seconds(limit)
    return None if known is None else known // 60


def _nodes(partition_name: str) -> list[Fields]:
    rows = [_fields(line) for line in _ask("scontrol", "show", "node", "-o").splitlines() if "NodeName=" in line]
    return [row for row in rows if partition_name in row.get("Partitions", "").split(",")]


def _fields(line: str) -> Fields:
    return dict(word.split("=", 1) for word in line.split() if "=" in word)


def _gres_of(node: Fields, kind: str) -> int:
    """How many of a kind a node has; kind gpu counts every gpu:TYPE."""
    pairs = [gres(text) for text in re.split(r",(?![^(]*\))", node["Gres"])]
    return sum(number or 0 for name, number in pairs if name == kind or name.startswith(f"{kind}:"))


def _ask(*command: str, cluster: str | None = None) -> str:
    """The command's output. Raises NotLearnt with its reason."""
    if shutil.which(command[0]) is None:
        raise NotLearnt(f"no {command[0]} on this machine")
    result = slurm.run(*command, cluster=cluster)
    if result.returncode != 0:
        raise NotLearnt(f"{command[0]}: {slurm.reason(result.stderr)}")
    return result.stdout
