"""Process tracking by cgroup v2, which slurmd only does on a machine that shows it no cgroup v1.

A slurmd gets a mount namespace with v2 in the place of whatever the machine has there, and where v1 is mounted beside
it, a preloaded library that leaves v1's lines out of /proc/PID/cgroup. Both end with the slurmd and its jobs.
"""

import os
import shutil
import subprocess
from pathlib import Path

from failure import ClusterError

MOUNT_POINT = "/sys/fs/cgroup"
IN_A_NAMESPACE = ["unshare", "--mount", "--propagation", "slave", "sh", "-c"]
MOUNT = f"mount -t cgroup2 none {MOUNT_POINT}"

_ONLY_V2 = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* The line of v2 in the file behind a descriptor, as a descriptor of its own. */
static int only_v2(int file) {
  char text[65536];
  ssize_t length = read(file, text, sizeof text - 1);
  close(file);
  text[length < 0 ? 0 : length] = 0;
  int own = memfd_create("cgroup", MFD_CLOEXEC);
  for (char *line = strtok(text, "\\n"); line; line = strtok(NULL, "\\n"))
    if (!strncmp(line, "0::", 3)) dprintf(own, "%s\\n", line);
  lseek(own, 0, SEEK_SET);
  return own;
}

static int opened(const char *name, const char *path, int flags, int mode) {
  int (*real)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, name);
  int file = real(path, flags, mode);
  size_t length = strlen(path);
  int listed = !strncmp(path, "/proc/", 6) && length > 13 && !strcmp(path + length - 7, "/cgroup");
  return file >= 0 && listed ? only_v2(file) : file;
}

#define OPEN(name)                            \\
  int name(const char *path, int flags, ...) { \\
    va_list more;                             \\
    va_start(more, flags);                    \\
    int mode = va_arg(more, int);             \\
    va_end(more);                             \\
    return opened(#name, path, flags, mode);  \\
  }
OPEN(open)
OPEN(open64)
"""


def usable() -> bool:
    """Whether this machine lets a slurmd track processes so: for root, with a compiler where v1 is mounted, too."""
    if os.getuid() != 0 or (_beside_v1() and not _compiler()):
        return False
    probe = f"{MOUNT} && mkdir {MOUNT_POINT}/td3-hpc-probe-$$ && rmdir {MOUNT_POINT}/td3-hpc-probe-$$"
    try:
        return subprocess.run([*IN_A_NAMESPACE, probe], capture_output=True).returncode == 0
    except OSError:
        return False


def slurmd_command(directory: Path, command: list[str]) -> list[str]:
    """The command of a slurmd that sees cgroup v2 only; what is made for it goes into a directory. Raises ClusterError.

    The process's id stays the slurmd's.
    """
    preload = []
    if _beside_v1():
        library = directory / "only_v2.so"
        if not library.exists():
            _compile(library)
        preload = ["env", f"LD_PRELOAD={library}"]
    return [*IN_A_NAMESPACE, f'{MOUNT} && exec "$@"', "sh", *preload, *command]


def remove(node: str) -> None:
    """Remove the groups that a node's slurmd has made, which no process is in any more."""
    script = f"{MOUNT} && find {MOUNT_POINT} -depth -type d -path '*/{node}_slurmstepd.scope*' -exec rmdir {{}} +"
    script += f"; rmdir {MOUNT_POINT}/system.slice"  # theirs, too, where no systemd and no other cluster is in it
    subprocess.run([*IN_A_NAMESPACE, script], capture_output=True)


def _beside_v1() -> bool:
    return len(Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()) > 1


def _compiler() -> str | None:
    return shutil.which("cc") or shutil.which("gcc")


def _compile(library: Path) -> None:
    compiler = _compiler()
    if compiler is None:
        raise ClusterError("cgroup v2 beside v1 needs a C compiler; set TD3_HPC_CLUSTER_PROCTRACK=linuxproc")
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), "-x", "c", "-", "-ldl"]
    result = subprocess.run(command, input=_ONLY_V2, capture_output=True, text=True)
    if result.returncode != 0:
        raise ClusterError(f"{' '.join(command)}: {' '.join(result.stderr.split())[-200:]}")
