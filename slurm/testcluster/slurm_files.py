"""The cluster's directory and configuration files."""

import os
from pathlib import Path

import newer_slurm
from settings import NEWER, RELEASE_FILE, Settings

#: slurmctld holds a requeued job back for this long plus a second (120 s by default; 1 is not honoured).
CREDENTIAL_LIFETIME_S = 5


def write_files(settings: Settings) -> None:
    """Make the directory and write every configuration file; unchanged where nothing changed."""
    base = settings.directory
    for name in ("etc", "run", "log", "munge", "gpu", "nodes"):
        (base / name).mkdir(parents=True, exist_ok=True)
        (base / name).chmod(0o755)
    base.chmod(0o755)
    for name in ("state", "mysql"):
        (base / name).mkdir(mode=0o700, exist_ok=True)
    for number in settings.node_numbers:
        (settings.spool_root / settings.node_name(number)).mkdir(exist_ok=True)
    for number in range(settings.gpus):
        _fake_gpu(base / "gpu" / f"gpu{number}")
    key = base / "etc" / "munge.key"
    if not key.exists():
        _write(key, os.urandom(128), 0o600)
    _write(base / RELEASE_FILE, settings.slurm.encode())
    _write(settings.slurm_conf, slurm_conf(settings).encode())
    _write(base / "etc" / "gres.conf", _gres_conf(settings).encode())
    _write(base / "etc" / "cgroup.conf", _cgroup_conf(settings).encode())
    if settings.slurm == NEWER:
        _write(base / "etc" / "task_prolog", _TASK_PROLOG.format(programs=newer_slurm.programs()).encode(), 0o755)
    if settings.accounting:
        _write(base / "etc" / "slurmdbd.conf", _slurmdbd_conf(settings).encode(), 0o600)  # any other mode is refused
        _write(base / "etc" / "database.sql", _DATABASE_SQL.encode())


def _fake_gpu(path: Path) -> None:
    """A device that Slurm accepts as a GPU: it looks only for a character device, and a link to one will do."""
    if not path.is_symlink():
        path.symlink_to("/dev/null")


def _write(path: Path, content: bytes, mode: int = 0o644) -> None:
    temporary = path.with_name(f".{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    temporary.replace(path)


def slurm_conf(settings: Settings) -> str:
    """The text of slurm.conf."""
    base, user, host = settings.directory, settings.user, settings.host
    lines = [
        "ClusterName=td3hpctest",
        f"SlurmctldHost={host}(127.0.0.1)",
        f"SlurmctldPort={settings.controller_port}",
        f"SlurmUser={user}",
        f"SlurmdUser={user}",
        "AuthType=auth/munge",
        f"AuthInfo=socket={settings.munge_socket},cred_expire={CREDENTIAL_LIFETIME_S}",
        "CredType=cred/munge",
        f"StateSaveLocation={base}/state",
        f"SlurmdSpoolDir={settings.spool_root}/%n",
        f"SlurmctldPidFile={base}/run/slurmctld.own.pid",
        f"SlurmdPidFile={base}/run/slurmd-%n.own.pid",
        f"SlurmctldLogFile={base}/log/slurmctld.log",
        f"SlurmdLogFile={base}/log/slurmd-%n.log",
        f"ProctrackType=proctrack/{settings.process_tracking}",
        "TaskPlugin=task/none",
        "JobAcctGatherType=jobacct_gather/none",
        *(_newer(base) if settings.slurm == NEWER else ["SwitchType=switch/none"]),
        "MpiDefault=none",
        "ReturnToService=2",
        # Nodes may claim more CPUs and memory than this machine has.
        "SlurmdParameters=config_overrides",
        "SelectType=select/cons_tres",
        "SelectTypeParameters=CR_Core_Memory",
        "DefMemPerCPU=500",
        *(["GresTypes=gpu"] if settings.gpus else []),
        "JobRequeue=1",
        "MinJobAge=300",
        f"KillWait={settings.kill_wait_s}",
        "SlurmctldTimeout=30",
        "SlurmdTimeout=10",
        "BatchStartTimeout=10",
        "MessageTimeout=10",
        "UnkillableStepTimeout=60",
        "SchedulerType=sched/backfill",
        # sched_min_interval in microseconds: a queued job starts within a second, not within a minute.
        "SchedulerParameters=sched_interval=2,sched_min_interval=100000,bf_interval=2,batch_sched_delay=0",
        "DependencyParameters=kill_invalid_depend",
        "PriorityType=priority/basic",
        "PreemptType=preempt/partition_prio",
        "PreemptMode=REQUEUE",
        *_accounting(settings),
        *settings.extra,
        *(_node(settings, number) for number in settings.node_numbers),
        "PartitionName=low Nodes=ALL Default=YES DefaultTime=60 PriorityTier=1 PreemptMode=REQUEUE GraceTime=0",
        f"PartitionName=grace Nodes=ALL DefaultTime=60 PriorityTier=1 PreemptMode=REQUEUE GraceTime={settings.grace_s}",
        "PartitionName=high Nodes=ALL DefaultTime=60 PriorityTier=10 PreemptMode=OFF",
    ]
    return "\n".join(lines) + "\n"


def _newer(base: Path) -> list[str]:
    """Where the parts of a Slurm in a folder of its own are, for daemons and for jobs."""
    return [f"PluginDir={newer_slurm.plugins()}", f"TaskProlog={base}/etc/task_prolog"]


def _accounting(settings: Settings) -> list[str]:
    if not settings.accounting:
        return ["AccountingStorageType=accounting_storage/none"]
    return [
        "AccountingStorageType=accounting_storage/slurmdbd",
        "AccountingStorageHost=127.0.0.1",
        f"AccountingStoragePort={settings.accounting_port}",
        f"AccountingStoragePass={settings.munge_socket}",
        *(["AccountingStorageTRES=gres/gpu"] if settings.gpus else []),
    ]


def _node(settings: Settings, number: int) -> str:
    gres = f" Gres=gpu:{settings.gpus}" if settings.gpus else ""
    return (
        f"NodeName={settings.node_name(number)} NodeHostname={settings.host} NodeAddr=127.0.0.1 "
        f"Port={settings.node_port(number)} CPUs={settings.cpus} Boards=1 SocketsPerBoard=1 "
        f"CoresPerSocket={settings.cpus} ThreadsPerCore=1 RealMemory={settings.memory_mib}{gres}"
    )


def _gres_conf(settings: Settings) -> str:
    if not settings.gpus:
        return ""
    numbers = f"[0-{settings.gpus - 1}]" if settings.gpus > 1 else "0"
    return f"Name=gpu File={settings.directory}/gpu/gpu{numbers}\n"


def _cgroup_conf(settings: Settings) -> str:
    if settings.slurm == NEWER:
        return "CgroupPlugin=cgroup/v2\nIgnoreSystemd=yes\n"
    return "CgroupAutomount=no\nCgroupPlugin=cgroup/v1\n"


def _slurmdbd_conf(settings: Settings) -> str:
    plugins = f"PluginDir={newer_slurm.plugins()}\n" if settings.slurm == NEWER else ""
    return f"""{plugins}AuthType=auth/munge
AuthInfo=socket={settings.munge_socket}
DbdHost={settings.host}
DbdAddr=127.0.0.1
DbdPort={settings.accounting_port}
SlurmUser={settings.user}
LogFile={settings.directory}/log/slurmdbd.log
PidFile={settings.directory}/run/slurmdbd.own.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={settings.database_port}
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm_acct
CommitDelay=1
"""


#: Jobs find the commands of their own cluster, whatever PATH they were submitted with.
_TASK_PROLOG = """#!/bin/sh
case :$PATH: in *:{programs}:*) ;; *) echo "export PATH={programs}:${{PATH:-/usr/local/bin:/usr/bin:/bin}}" ;; esac
"""
# The database listens on the loopback only and holds nothing but test jobs, hence the plain password.
_DATABASE_SQL = """CREATE DATABASE IF NOT EXISTS slurm_acct;
CREATE USER IF NOT EXISTS 'slurm'@'127.0.0.1' IDENTIFIED BY 'slurm';
CREATE USER IF NOT EXISTS 'slurm'@'localhost' IDENTIFIED BY 'slurm';
GRANT ALL ON slurm_acct.* TO 'slurm'@'127.0.0.1';
GRANT ALL ON slurm_acct.* TO 'slurm'@'localhost';
"""
