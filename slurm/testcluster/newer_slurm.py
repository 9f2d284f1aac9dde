"""A newer Slurm beside this machine's own: Debian 13's packages in a folder, bound to the libraries in that folder.

Its programs name the loader and find the libraries of their own Debian, so they run on this one without a container, a
mount or root, and what they start, such as jobs, is this machine's.
"""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import debian_archive
from failure import ClusterError
from progress import run_and_tell

RELEASE = "24.11"
SUITE = "trixie"
PACKAGES = ["slurmctld", "slurmd", "slurm-client", "slurmdbd", "munge", "patchelf"]
PROGRAMS = ["munged", "munge", "unmunge", "slurmctld", "slurmd", "slurmdbd", "slurmstepd"]
PROGRAMS += ["sacct", "sacctmgr", "salloc", "sattach", "sbatch", "sbcast", "scancel", "scontrol", "sdiag", "sinfo"]
PROGRAMS += ["sprio", "squeue", "sreport", "srun", "sshare", "sstat"]


def folder() -> Path:
    """Where it is kept between clusters, in the user's cache. It is there only when it is whole."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "td3-hpc" / f"slurm-{RELEASE}"


def programs() -> Path:
    """The folder of its commands and daemons, to be first in PATH."""
    return folder() / "bin"


def plugins() -> Path:
    """Slurm's PluginDir."""
    return folder() / "lib" / "slurm-wlm"


def ensure() -> None:
    """Fetch and fit it, once; what an earlier call has left half-made is used. Raises ClusterError."""
    if folder().exists():
        return
    partial = folder().with_name(f"{folder().name}.partial")
    with _alone(partial):
        if not folder().exists():
            print(f"fetching Slurm {RELEASE} of Debian {SUITE} (30 MB, once) into {folder()}", flush=True)
            packages = debian_archive.fetch(SUITE, PACKAGES, partial / "download", dependencies=True)
            print(f"unpacking {len(packages)} packages", flush=True)
            _fit(_unpacked(packages, partial / "unpacked"), partial / "tree")
            (partial / "tree").rename(folder())
        shutil.rmtree(partial)
    said = subprocess.run([programs() / "slurmd", "-V"], capture_output=True, text=True)
    if RELEASE not in said.stdout:
        raise ClusterError(
            f"{folder()}: its slurmd does not start here ({' '.join(said.stderr.split())[-200:]}); remove it to "
            "have it made anew, or unset TD3_HPC_CLUSTER_SLURM for this machine's own Slurm"
        )


@contextmanager
def _alone(partial: Path) -> Iterator[None]:
    """While entered, no other process makes the tree. A lock on a folder that is gone has been of use to no one."""
    while True:
        partial.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(partial, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if partial.exists() and os.path.samestat(os.fstat(descriptor), partial.stat()):
                yield
                return
        finally:
            os.close(descriptor)


def _unpacked(packages: list[Path], target: Path) -> Path:
    """A folder with what is in packages."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    script = 'target=$1; shift; for package; do echo "${package##*/}"; dpkg-deb -x "$package" "$target" || exit; done'
    command = ["sh", "-c", script, "sh", str(target), *map(str, packages)]
    _run(command, "unpacking")
    return target


def _fit(unpacked: Path, tree: Path) -> None:
    """Make a tree of what Slurm needs, its programs made to use the tree's libraries where that will be at last."""
    shutil.rmtree(tree, ignore_errors=True)
    (tree / "bin").mkdir(parents=True)
    loaders = list(unpacked.glob("usr/lib/*/ld-linux*.so.*"))
    if len(loaders) != 1:
        raise ClusterError(f"{unpacked}: no program loader in it; remove that folder and try again")
    libraries, loader = loaders[0].parent, loaders[0].name
    patch = [str(libraries / loader), "--library-path", str(libraries), str(unpacked / "usr/bin/patchelf")]
    # RPATH comes before LD_LIBRARY_PATH, which modules set, and holds for the libraries of libraries and plug-ins, too.
    patch += ["--force-rpath", "--set-rpath", "$ORIGIN/../lib/slurm-wlm:$ORIGIN/../lib"]
    patch += ["--set-interpreter", str(folder() / "lib" / loader)]
    for name in PROGRAMS:
        found = [path for path in unpacked.glob(f"usr/*bin/{name}*") if path.name in (name, f"{name}-wlm")]
        if len(found) != 1:
            raise ClusterError(f"{unpacked}: no {name} in it; remove that folder and try again")
        shutil.copy2(found[0], tree / "bin" / name)
    _run([*patch, *map(str, (tree / "bin").iterdir())], "fitting")
    libraries.rename(tree / "lib")
    for plugin in (tree / "lib" / "slurm-wlm").glob("mpi_pmix*.so"):  # logs errors for want of other packages
        plugin.unlink()


def _run(command: list[str], what: str) -> None:
    code, said = run_and_tell(command, what)
    if code != 0:
        raise ClusterError(f"{what} Slurm {RELEASE}: {' '.join(said.split())[-300:]}")
