"""What tests do with a test cluster of their own."""

import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from td3_hpc.user_cache import user_cache
from tests.paths import ROOT

LAUNCHER = [sys.executable, str(ROOT / "slurm" / "testcluster")]
PORTS_PER_CLUSTER = 20
#: The user's own, before the tests get one: a newer Slurm is fetched into it once.
USERS_CACHE = user_cache()


def commands_of_this_slurm() -> list[str]:
    """Folders to be first in PATH for the commands of the Slurm that the tests run on: TD3_HPC_CLUSTER_SLURM, or this
    machine's own."""
    release = os.environ.get("TD3_HPC_CLUSTER_SLURM", "")
    return [] if release in ("", "22.05") else [str(USERS_CACHE / f"slurm-{release}" / "bin")]


class SlurmCluster:
    """The commands that tests give to a running test cluster."""

    def __init__(self, environment: dict[str, str], directory: Path) -> None:
        self.environment = environment
        self.directory = directory

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `slurm/testcluster ARGUMENTS`."""
        return subprocess.run(
            [*LAUNCHER, *arguments], env=self.environment, capture_output=True, text=True, timeout=300
        )

    def node(self, number: int) -> str:
        """The name of a node, counted from 1."""
        return f"n{self.environment['TD3_HPC_CLUSTER_PORT']}-{number}"

    def node_state(self, node: str) -> str:
        """A node's state as the controller holds it; what sinfo shows may be older."""
        return self._show("node", node)["State"]

    def run(self, *command: str) -> str:
        """A Slurm command's standard output; fails the test when it exits non-zero."""
        result = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60)
        assert result.returncode == 0, f"{command}: {result.stdout}{result.stderr}"
        return result.stdout.strip()

    def submit(self, script: Path | str, *options: str) -> str:
        """Submit a script (or a command line) and return the job's id."""
        last = [str(script)] if isinstance(script, Path) else [f"--wrap={script}"]
        return self.run("sbatch", "--parsable", "--output=/dev/null", *options, *last)

    def job(self, job: str) -> dict[str, str]:
        """What the controller says of a job."""
        return self._show("job", job)

    def _show(self, kind: str, name: str) -> dict[str, str]:
        words = self.run("scontrol", "show", kind, "-o", name).split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def why(self, job: str) -> str:
        """What the controller says of a job, and what the daemons logged last: for a failed test's message."""
        logs = {path.name: path.read_text().splitlines()[-8:] for path in (self.directory / "log").glob("slurm*.log")}
        lines = [f"{name}: {line}" for name, last in sorted(logs.items()) for line in last]
        return "\n".join([str(self.job(job)), *lines])

    def wait_for_state(self, job: str, *states: str, timeout_s: float = 60) -> dict[str, str]:
        """Wait until a job is in one of the states; returns what the controller says of it then."""
        wait_until(lambda: self.job(job)["JobState"] in states, timeout_s, lambda: self.why(job))
        return self.job(job)


def wait_until(condition: Callable[[], bool], timeout_s: float, describe: Callable[[], str] = lambda: "") -> None:
    """Poll until the condition holds; fails the test at the deadline."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {describe()}"
        time.sleep(0.1)


def free_port_block() -> int:
    """First of a block of ports below the ephemeral range that are all free now."""
    for _ in range(100):
        first = random.randrange(20000, 31000)
        with_probe = [socket.socket() for _ in range(PORTS_PER_CLUSTER)]
        try:
            for offset, probe in enumerate(with_probe):
                probe.bind(("127.0.0.1", first + offset))
        except OSError:
            continue
        else:
            return first
        finally:
            for probe in with_probe:
                probe.close()
    raise AssertionError("no free block of ports")


def cluster_environment(directory: Path, **settings: str) -> dict[str, str]:
    """The environment that makes a test cluster live in a directory, with a free block of ports."""
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("SLURM", "SBATCH", "TD3_HPC_"))
    }
    chosen = {"DIR": str(directory), "PORT": str(free_port_block()), "KILL_WAIT_S": "5", "GRACE_S": "10", **settings}
    if release := os.environ.get("TD3_HPC_CLUSTER_SLURM"):
        chosen = {"SLURM": release, **chosen}
        environment["XDG_CACHE_HOME"] = str(USERS_CACHE.parent)
    environment |= {f"TD3_HPC_CLUSTER_{key}": value for key, value in chosen.items()}
    environment["SLURM_CONF"] = str(directory / "etc" / "slurm.conf")
    return environment


def host_image(directory: Path) -> Path:
    """A SIF file that holds folders only: a job binds this machine's programs into it. Built in a second, offline."""
    tree = directory / "tree"
    for name in ("usr", "etc", "tmp", "var/tmp", "proc", "sys", "dev", "root", "home", "run"):
        (tree / name).mkdir(parents=True)
    for name in ("bin", "sbin", "lib", "lib64"):
        (tree / name).symlink_to(f"usr/{name}")
    for name in ("passwd", "group", "hosts", "resolv.conf"):
        (tree / "etc" / name).touch()
    definition, image = directory / "host.def", directory / "host.sif"
    definition.write_text(f"Bootstrap: localimage\nFrom: {tree}\n")
    build = ["apptainer", "--quiet", "build", "--force", str(image), str(definition)]
    subprocess.run(build, check=True, capture_output=True, timeout=120)
    return image


def host_binds() -> list[str]:
    """What makes this test's Python, with all its packages, run in that image."""
    packages = {
        str(path) for path in map(Path, sys.path) if path.name == "site-packages" and sys.prefix not in str(path)
    }
    return [f"{path}:{path}:ro" for path in sorted({"/usr", sys.base_prefix, sys.prefix, str(ROOT), *packages})]
