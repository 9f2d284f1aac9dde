"""Building the container images that containers/*.def describe, with caches for what takes long."""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from td3_hpc.errors import BadInput, UserError
from td3_hpc.launch.jobs.freeze import FrozenImage, freeze_image
from td3_hpc.shipped import copy_source, shipped
from td3_hpc.user_cache import user_cache

Kind = Literal["embedded", "carla"]
Gpu = Literal["nvidia", "amd", "none"]
#: The Python of debian.def, for which the wheels are fetched.
IMAGE_PYTHON = (3, 11)
#: gzip at its fastest: every squashfs reader knows it, and an image is built sooner than it is read a second time.
SQUASHFS = "-comp gzip -Xcompression-level 1"
#: Where PyTorch's small build for CPUs is; pip takes it before the index's own, since its version has `+cpu` behind.
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
SAY_EVERY_S = 4.0


def build(
    kind: Kind,
    output: Path,
    arguments: Mapping[str, str] | None = None,
    cache: Path | None = None,
    gpu: Gpu | None = None,
) -> FrozenImage:
    """Build an image of this package; returns its path and digest, which is also in <output>.sha256.

    arguments: build arguments of the definition file, for example BASE. cache: a folder for the base image and the
    downloaded packages. gpu: whose GPUs PyTorch is to be built for; None: as pip's own settings have it, which is for
    NVIDIA's unless they name another index. Raises BadInput for what is missing here, UserError with the last lines of
    a build that fails.
    """
    definition = shipped(f"containers/{kind}.def")
    if kind == "carla" and gpu not in (None, "nvidia"):
        raise BadInput(
            f"--gpu {gpu}: CARLA's image renders with NVIDIA's driver only; build `embedded` for other nodes"
        )
    if shutil.which("apptainer") is None:
        raise BadInput("no apptainer on this machine: build the image on one that has it, and copy the file")
    cache = _cache(cache)
    chosen = dict(arguments or {})
    everything = kind == "embedded" or "--no-index" in chosen.get("PIP_OPTIONS", "")
    wheels = _wheels(cache, everything, gpu if kind == "embedded" else None)
    if kind == "embedded":
        chosen.setdefault("BASE", str(debian_image(cache)))
    _apptainer_build(definition, output, chosen, wheels)
    image = freeze_image(output)
    output.with_name(f"{output.name}.sha256").write_text(
        f"{image.sha256}  {output.name}\n", encoding="utf-8"
    )  # for sha256sum -c
    return image


def debian_image(cache: Path | None = None) -> Path:
    """The Debian image that embedded.def starts from, built once for each version of its definition."""
    definition = shipped("containers/debian.def")
    image = _cache(cache) / f"debian-{hashlib.sha256(definition.read_bytes()).hexdigest()[:12]}.sif"
    if not image.exists():
        _apptainer_build(definition, image, {}, None)
    return image


def _cache(cache: Path | None) -> Path:
    cache = cache or user_cache()
    cache.mkdir(parents=True, exist_ok=True)
    return cache


def _wheels(cache: Path, everything: bool, gpu: Gpu | None) -> Path:
    """A folder with this package's wheel and, for images that are built without network, those of all it needs.

    pip's own settings (index, certificates, local wheels) decide where they come from.
    """
    if everything and sys.version_info[:2] != IMAGE_PYTHON:
        wanted = ".".join(map(str, IMAGE_PYTHON))
        raise BadInput(
            f"the image has Python {wanted}, this is {platform.python_version()}: build with a Python {wanted}"
        )
    constraints = shipped("constraints.txt")
    wheels = cache / ("package" if not everything else f"wheels-{gpu}" if gpu else "wheels")
    wheels.mkdir(exist_ok=True)
    for old in wheels.glob("td3_hpc-*.whl"):
        old.unlink()
    shutil.copy(constraints, wheels / "constraints.txt")
    with tempfile.TemporaryDirectory(prefix="td3-hpc-wheel-") as directory:
        source = Path(directory)  # building a wheel in the checkout would leave files there
        copy_source(source)
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"]
        command += ["--wheel-dir", str(wheels), "--find-links", str(wheels), "--constraint", str(constraints)]
        command += ["--extra-index-url", CPU_INDEX] if gpu == "none" else []
        _run([*command, *([f"{source}[train]"] if everything else ["--no-deps", str(source)])], "pip wheel")
    if gpu:
        require_torch_for(gpu, wheels)
    return wheels


def require_torch_for(gpu: Gpu, wheels: Path) -> None:
    """Raise BadInput where PyTorch's wheel in a folder is not the build for those GPUs, as its version's end tells."""
    names = [wheel.name.split("-")[1] for wheel in sorted(wheels.glob("torch-*.whl"))]
    builds = {"amd": ("rocm",), "nvidia": ("cu1", ""), "none": ("cpu",)}[gpu]
    others = [name for name in names if not _is_build(name.partition("+")[2], builds)]
    if names and not others:
        return
    index = {"amd": "rocmX.Y, X.Y being the site's ROCm", "nvidia": "cuXYZ, XYZ being a CUDA", "none": "cpu"}[gpu]
    raise BadInput(
        f"{wheels}: PyTorch {', '.join(others) or 'is missing'}, which is no build for --gpu {gpu}; empty that folder, "
        f"and set PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/{index}"
    )


def _is_build(label: str, builds: Sequence[str]) -> bool:
    """Whether what stands behind a version's + is of one of the builds; '' is a version without one."""
    return any(label.startswith(build) if build else not label for build in builds)


def _apptainer_build(definition: Path, output: Path, arguments: Mapping[str, str], wheels: Path | None) -> None:
    """Build under a temporary name, so that a job never sees half an image."""
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = output.with_name(f".{output.name}.{os.getpid()}")
    command = ["apptainer", "build", "--force", f"--mksquashfs-args={SQUASHFS}"]
    command += [f"--build-arg={name}={value}" for name, value in arguments.items()]
    command += [f"--bind={wheels}:/mnt:ro"] if wheels else []
    try:
        _run([*command, str(partial), str(definition)], "apptainer build", build_environment())
        partial.replace(output)
    finally:
        partial.unlink(missing_ok=True)


def build_environment() -> dict[str, str]:
    """The environment for `apptainer build`.

    As root, Apptainer asks for every capability there is, and fails where this machine withholds CAP_SYS_RESOURCE from
    root, as small virtual machines do.
    """
    cap_sys_resource = 24
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    bounding = int(status.split("CapBnd:")[1].split()[0], 16)
    missing = os.getuid() == 0 and not bounding >> cap_sys_resource & 1
    return {**os.environ, **({"APPTAINER_DROP_CAPS": "CAP_SYS_RESOURCE"} if missing else {})}


def _run(command: list[str], what: str, environment: Mapping[str, str] | None = None) -> None:
    """Run a command that takes minutes, saying now and then that it does. Raises UserError where it fails."""
    begun = time.monotonic()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            while True:
                try:
                    process.wait(SAY_EVERY_S)
                    break
                except subprocess.TimeoutExpired:
                    print(f"{what}: {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
        finally:
            process.kill()
            process.wait()
        output.seek(0)
        said = output.read().decode(errors="replace")
    if process.returncode != 0:
        last = "\n".join(said.splitlines()[-15:])
        raise UserError(f"{what} failed with exit status {process.returncode}; its last lines:\n{last}")
