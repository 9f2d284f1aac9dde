"""The container's image and what is bound into it."""

import platform
import shutil
import subprocess
from pathlib import Path

from td3_hpc.config.cluster import ContainerConfig
from td3_hpc.launch.preflight.cluster import node_architectures
from td3_hpc.launch.preflight.finding import Mistake, NotLearnt
from td3_hpc.launch.preflight.plan import Plan

#: A SIF file begins with a line for the shell (32 bytes), then this, its version and its architecture.
_MAGIC = b"SIF_MAGIC\x00"
_ARCHITECTURE_AT = 32 + len(_MAGIC) + 3
_ARCHITECTURES = {b"01": "i386", b"02": "x86_64", b"03": "arm", b"04": "aarch64", b"06": "ppc64le", b"10": "s390x"}
TIMEOUT_S = 60


def check_image(plan: Plan) -> str:
    """The image is there, is a SIF file, and is made for the nodes' processors."""
    container = _container(plan)
    image = container.image
    try:
        with image.open("rb") as file:
            head = file.read(64)
        size = image.stat().st_size
    except OSError as error:
        raise Mistake(
            f"{image}: {(error.strerror or 'cannot be read').lower()}",
            f"build it with `td3-hpc container build`, or correct container.image in {plan.profile_file}",
        ) from None
    if head[32 : 32 + len(_MAGIC)] != _MAGIC:
        raise Mistake(f"{image}: not a SIF file", "build it with `td3-hpc container build`, or copy it again, whole")
    code = head[_ARCHITECTURE_AT : _ARCHITECTURE_AT + 2]
    made_for = _ARCHITECTURES.get(code, f"architecture {code!r}")
    found = f"{image}, {size / 2**20:.0f} MiB, for {made_for}"
    nodes = node_architectures(plan) if plan.profile.queued else {platform.machine()}
    if nodes and made_for not in nodes:
        raise Mistake(
            f"{found}; the nodes are {', '.join(sorted(nodes))}", "build the image on a machine of their kind"
        )
    return found


def check_binds(plan: Plan) -> str:
    """Apptainer refuses to start where a folder that it is to bind is missing."""
    binds = _container(plan).binds
    sources = [Path(bind.partition(":")[0]) for bind in binds]
    missing = [str(source) for source in sources if not source.exists()]
    if not missing:
        return ", ".join(map(str, sources)) or "none but the run directory"
    doctor = plan.doctor_result
    if doctor and doctor.simulation and doctor.binds == binds:  # its job ran in a container with all of them
        return f"{', '.join(missing)}: not on this machine, but there on {doctor.node}, {doctor.age}"
    where = f"; where only the nodes have it, {plan.run_doctor}" if plan.profile.queued else ""
    raise Mistake(
        f"{', '.join(missing)}: no such file or folder", f"correct container.binds in {plan.profile_file}{where}"
    )


def check_apptainer(plan: Plan) -> str:
    """Apptainer is where the job runs."""
    _container(plan)
    if plan.profile.queued:
        if plan.doctor.simulation is None:
            raise NotLearnt(f"the doctor's job got nowhere in its container, {plan.doctor.age}", plan.run_doctor)
        return f"its container ran on {plan.doctor.node}, {plan.doctor.age}"
    program = _program()
    if program is None and not plan.profile.modules:
        raise Mistake("no apptainer on this machine", "install it, or leave `container` out of the profile")
    return program or f"from the modules {', '.join(plan.profile.modules)}"


def _program() -> str | None:
    """Apptainer, or Singularity where that alone is there; the job's script looks for them in the same order."""
    return shutil.which("apptainer") or shutil.which("singularity")


def _container(plan: Plan) -> ContainerConfig:
    container = plan.profile.container
    assert container is not None, "these checks are for jobs in a container"
    return container


def inside(plan: Plan, *command: str) -> str:
    """What a command prints in the image, started here. Raises NotLearnt where it cannot be started."""
    container = _container(plan)
    image, binds = container.image, [word for bind in container.binds for word in ("--bind", bind)]
    program = _program()
    if program is None:
        raise NotLearnt("it lies in the image, and there is no apptainer on this machine to look", plan.run_doctor)
    try:
        result = subprocess.run(
            [program, "--silent", "exec", "--containall", *binds, str(image), *command],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=TIMEOUT_S,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise NotLearnt(f"{image}: nothing within {TIMEOUT_S} s", plan.run_doctor) from None
    if result.returncode == 255:  # Apptainer's own failures
        raise NotLearnt(f"{image} does not start here: {' '.join(result.stderr.split())[-200:]}", plan.run_doctor)
    return result.stdout
