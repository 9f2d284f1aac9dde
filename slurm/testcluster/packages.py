"""Debian packages: installed where missing, without letting any of their services start."""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from failure import ClusterError
from progress import run_and_tell

SLURM_PROGRAMS = {
    "munged": "munge",
    "slurmctld": "slurmctld",
    "slurmd": "slurmd",
    "sbatch": "slurm-client",
}
ACCOUNTING_PROGRAMS = {"slurmdbd": "slurmdbd", "mariadbd": "mariadb-server-core"}
#: Daemons live here, outside an ordinary user's PATH.
SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])


def ensure_programs(programs: dict[str, str]) -> None:
    """Install the packages of the programs that are missing; raises ClusterError where that cannot be done."""
    missing = sorted({package for program, package in programs.items() if not shutil.which(program, path=SEARCH_PATH)})
    if not missing:
        return
    if os.getuid() != 0 or not shutil.which("apt-get"):
        raise ClusterError(
            f"missing: {' '.join(missing)}; on Debian or Ubuntu, as root: apt-get install -y {' '.join(missing)}"
        )
    print(f"installing {' '.join(missing)}", flush=True)
    install(missing)


def install(packages: Iterable[str]) -> None:
    """Install Debian packages, or .deb files, with what they depend on, as root."""
    names = list(packages)
    with _services_kept_from_starting():
        if not _apt("install", *names) and not (_apt("update") and _apt("install", *names)):
            raise ClusterError(f"apt-get could not install {' '.join(names)}; run apt-get by hand to see why")


def _apt(*arguments: str) -> bool:
    options = ["-y", "-q", "--no-install-recommends", "-oDPkg::Lock::Timeout=600", "-oAcquire::Retries=3"]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    code, _ = run_and_tell(["apt-get", *options, *arguments], f"apt-get {arguments[0]}", environment)
    return code == 0


@contextmanager
def _services_kept_from_starting() -> Iterator[None]:
    """While entered, Debian's policy-rc.d forbids packages to start their services (the cluster starts its own)."""
    policy = Path("/usr/sbin/policy-rc.d")
    if policy.exists():
        yield
        return
    policy.write_text("#!/bin/sh\nexit 101\n", encoding="utf-8")
    policy.chmod(0o755)
    try:
        yield
    finally:
        policy.unlink()
