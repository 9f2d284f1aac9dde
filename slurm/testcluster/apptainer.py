"""Real Apptainer on Debian 12, whose own archive has none: Debian unstable's package, fitted to the older glibc.

Nothing is added to the machine's apt sources and nothing of unstable's is installed besides this one package.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import debian_archive
import elf_symbols
import packages
from failure import ClusterError
from progress import run_and_tell

CONFIGURATION = Path("/etc/apptainer/apptainer.conf")
#: What Debian's package only recommends: mounting an image without root, overlays, and building from nothing.
COMPANIONS = ["squashfuse", "fuse-overlayfs", "debootstrap"]
#: Linux capabilities by bit number, capabilities(7).
CAPABILITIES = """
    CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE
    NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE
    SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL
    SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE
"""


def ensure() -> None:
    """Install Apptainer where it is missing, and mend what keeps it from running here. Raises ClusterError."""
    if not _works():
        if os.getuid() != 0:
            raise ClusterError("Apptainer is missing: run `slurm/testcluster apptainer` as root once, or install it")
        print("installing apptainer", flush=True)
        with tempfile.TemporaryDirectory(prefix="td3-hpc-apptainer-") as directory:
            package = _fitted(_downloaded(Path(directory)), Path(directory))
            packages.install([str(package), *COMPANIONS])
    if os.getuid() == 0:
        _mend_machine()
    if not _works():
        raise ClusterError("apptainer is installed and does not start; run `apptainer version` to see why")


def _works() -> bool:
    return (
        bool(shutil.which("apptainer"))
        and subprocess.run(["apptainer", "version"], capture_output=True).returncode == 0
    )


def _downloaded(directory: Path) -> Path:
    """Unstable's package."""
    directory.chmod(0o755)
    return debian_archive.fetch("sid", ["apptainer"], directory, dependencies=False)[0]


def _fitted(package: Path, directory: Path) -> Path:
    """The package, its programs made to start on this machine's glibc. Raises ClusterError where that cannot be."""
    tree = directory / "tree"
    _run(["dpkg-deb", "-R", str(package), str(tree)], "unpacking apptainer")
    major, minor = map(int, os.confstr("CS_GNU_LIBC_VERSION").split()[1].split(".")[:2])  # type: ignore[union-attr]
    programs = [path for path in (tree / "usr").rglob("*") if path.is_file() and not path.is_symlink()]
    try:
        for path in filter(elf_symbols.is_elf, programs):
            elf_symbols.retarget(path, (major, minor))
    except elf_symbols.TooNew as error:
        raise ClusterError(f"Debian unstable's Apptainer is too new for glibc {major}.{minor}: {error}") from None
    control = tree / "DEBIAN" / "control"
    text = re.sub(r"libc6 \(>= [^)]*\)", f"libc6 (>= {major}.{minor})", control.read_text(encoding="utf-8"))
    control.write_text(re.sub(r"(?m)^(Version: .*)$", r"\1~fitted1", text), encoding="utf-8")
    (tree / "DEBIAN" / "md5sums").unlink(missing_ok=True)
    fitted = directory / "apptainer-fitted.deb"
    _run(["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "-b", str(tree), str(fitted)], "packing apptainer")
    return fitted


def _run(command: list[str], what: str) -> None:
    code, said = run_and_tell(command, what)
    if code != 0:
        raise ClusterError(f"{what} failed: {' '.join(said.split())[-300:]}")


def _mend_machine() -> None:
    """What small virtual machines lack and Apptainer insists on; nothing happens on an ordinary one."""
    missing, held = _capabilities()
    if missing:  # its default asks for every capability, and fails where root does not have them all
        users = {"users": {"root": held}}
        (CONFIGURATION.parent / "capability.json").write_text(json.dumps(users) + "\n", encoding="utf-8")
        wanted = re.sub(
            r"(?m)^root default capabilities = .*",
            "root default capabilities = file",
            CONFIGURATION.read_text(encoding="utf-8"),
        )
        CONFIGURATION.write_text(wanted, encoding="utf-8")
    fuse = Path("/dev/fuse")
    if fuse.exists() and fuse.stat().st_mode & 0o666 != 0o666:  # udev's default
        fuse.chmod(0o666)
    hosts = Path("/etc/hosts")
    if not hosts.exists():
        hosts.write_text("127.0.0.1 localhost\n", encoding="utf-8")
    if not Path("/etc/localtime").exists():
        CONFIGURATION.write_text(
            CONFIGURATION.read_text(encoding="utf-8").replace(
                "\nbind path = /etc/localtime", "\n# bind path = /etc/localtime"
            ),
            encoding="utf-8",
        )


def _capabilities() -> tuple[list[str], list[str]]:
    """What this machine withholds from root, and what it grants."""
    match = re.search(r"CapBnd:\s*([0-9a-f]+)", Path("/proc/self/status").read_text(encoding="utf-8"))
    bounding = int(match[1], 16) if match else -1
    names = [f"CAP_{name}" for name in CAPABILITIES.split()]
    missing = [name for bit, name in enumerate(names) if not bounding >> bit & 1]
    return missing, [name for name in names if name not in missing]
