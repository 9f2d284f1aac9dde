"""What the test cluster looks like: fixed here, or changed by environment variables named TD3_HPC_CLUSTER_*."""

import os
import pwd
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cgroup_v2
import newer_slurm
from failure import ClusterError

#: A cgroup v1 freezer lets Slurm fence a job's processes, as production clusters do; it needs root.
FREEZER = Path("/sys/fs/cgroup/freezer")
DEFAULT_PORT = 17000
#: Releases of Slurm: what Debian 12 has, and Debian 13's (newer_slurm.py).
OWN, NEWER = "22.05", "24.11"
#: Of a cluster's directory: says which.
RELEASE_FILE = Path("etc", "slurm-release")
#: Longest name of a Unix socket on Linux. Slurm holds every job whose sockets it cannot name, without a word of why.
SOCKET_NAME_LENGTH = 107


@dataclass(frozen=True)
class Settings:
    """One cluster: a directory that holds everything it writes, and a block of TCP ports on the loopback."""

    directory: Path
    first_port: int
    nodes: int
    cpus: int
    gpus: int
    memory_mib: int
    accounting: bool
    kill_wait_s: int
    grace_s: int
    slurm: str
    """The release; OWN is this machine's."""
    process_tracking: str
    extra: tuple[str, ...]

    @property
    def slurm_conf(self) -> Path:
        """The file that clients find the cluster by: export its path as SLURM_CONF."""
        return self.directory / "etc" / "slurm.conf"

    @property
    def own_path(self) -> list[str]:
        """Folders to be first in PATH for this cluster's commands."""
        return [str(newer_slurm.programs())] if self.slurm == NEWER else []

    @property
    def munge_socket(self) -> Path:
        """Where munged, which signs every message between Slurm's parts, listens."""
        return self.directory / "munge" / "munge.sock"

    @property
    def controller_port(self) -> int:
        """slurmctld."""
        return self.first_port

    @property
    def accounting_port(self) -> int:
        """slurmdbd."""
        return self.first_port + 1

    @property
    def database_port(self) -> int:
        """mariadbd."""
        return self.first_port + 2

    def node_port(self, number: int) -> int:
        """slurmd of a node, counted from 1."""
        return self.first_port + 10 + number

    @property
    def ports(self) -> list[int]:
        """Every port that the cluster listens on."""
        shared = [self.controller_port]
        if self.accounting:
            shared += [self.accounting_port, self.database_port]
        return shared + [self.node_port(number) for number in self.node_numbers]

    @property
    def node_numbers(self) -> range:
        """1, 2, ..."""
        return range(1, self.nodes + 1)

    def node_name(self, number: int) -> str:
        """n1, n2, ...; on other ports n<port>-1, since Slurm's freezers are named after nodes, not clusters."""
        return f"n{number}" if self.first_port == DEFAULT_PORT else f"n{self.first_port}-{number}"

    @property
    def spool_root(self) -> Path:
        """Holds a folder for each node, where its slurmd keeps scripts and the sockets of its steps."""
        return self.directory / "nodes"

    @property
    def directory_length(self) -> int:
        """So many characters may the directory's name have: its steps' sockets have the longest names in it."""
        name = self.node_name(self.nodes)
        socket_name = self.spool_root / name / f"{name}_999999.{2**32 - 1}"  # job and step
        return SOCKET_NAME_LENGTH - len(str(socket_name.relative_to(self.directory))) - 1

    @property
    def user(self) -> str:
        """Whose daemons these are."""
        return pwd.getpwuid(os.getuid()).pw_name

    @property
    def host(self) -> str:
        """This machine's short name, which every node shares."""
        return socket.gethostname().split(".")[0]


def _release(asked: str, directory: Path) -> str:
    """The Slurm of a cluster: of one that is there already its own, else what is asked for. Raises ClusterError."""
    if asked not in ("", OWN, NEWER):
        raise ClusterError(f"TD3_HPC_CLUSTER_SLURM={asked}: set it to {OWN} or {NEWER}")
    try:
        there = (directory / RELEASE_FILE).read_text(encoding="utf-8")
    except OSError:
        return asked or OWN
    if asked not in ("", there):
        raise ClusterError(
            f"{directory} is a cluster of Slurm {there}, not {asked}: end it by TD3_HPC_CLUSTER_SLURM={there} make "
            "cluster-down, or set TD3_HPC_CLUSTER_DIR and TD3_HPC_CLUSTER_PORT for a second one"
        )
    return there


def _can_track(slurm: str) -> bool:
    """Whether cgroups of the version that a release is run with here can be used by this user."""
    if slurm == NEWER:
        return cgroup_v2.usable()
    return os.access(FREEZER, os.W_OK) and (FREEZER / "tasks").exists()


def from_environment(environment: Mapping[str, str]) -> Settings:
    """The settings that the environment asks for; raises ClusterError naming a variable with a bad value."""

    def number(name: str, default: int, lowest: int) -> int:
        text = environment.get(f"TD3_HPC_CLUSTER_{name}", str(default))
        if not text.isdigit() or int(text) < lowest:
            raise ClusterError(f"TD3_HPC_CLUSTER_{name}={text}: set it to a whole number from {lowest} up")
        return int(text)

    directory = Path(environment.get("TD3_HPC_CLUSTER_DIR", "/tmp/td3-hpc-testcluster")).absolute()
    slurm = _release(environment.get("TD3_HPC_CLUSTER_SLURM", ""), directory)
    tracking = environment.get("TD3_HPC_CLUSTER_PROCTRACK", "")
    if tracking not in ("", "cgroup", "linuxproc"):
        raise ClusterError(f"TD3_HPC_CLUSTER_PROCTRACK={tracking}: set it to cgroup or linuxproc")
    settings = Settings(
        directory=directory,
        first_port=number("PORT", DEFAULT_PORT, 1024),
        nodes=number("NODES", 3, 1),
        cpus=number("CPUS", 8, 1),
        gpus=number("GPUS", 2, 0),
        memory_mib=number("MEMORY_MIB", 16000, 500),
        accounting=bool(number("ACCOUNTING", 1, 0)),
        kill_wait_s=number("KILL_WAIT_S", 30, 1),
        grace_s=number("GRACE_S", 30, 1),
        slurm=slurm,
        process_tracking=tracking or ("cgroup" if _can_track(slurm) else "linuxproc"),
        extra=tuple(line.strip() for line in environment.get("TD3_HPC_CLUSTER_EXTRA", "").split(";") if line.strip()),
    )
    if len(str(settings.directory)) > settings.directory_length:
        raise ClusterError(
            f"TD3_HPC_CLUSTER_DIR={settings.directory}: use a shorter name, of at most {settings.directory_length} "
            "characters: the sockets in it have names that Linux limits"
        )
    return settings
