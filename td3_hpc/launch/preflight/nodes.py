"""What the doctor measured on the nodes, judged: the same words in the doctor's table and in preflight's."""

from typing import TypeVar

from td3_hpc.launch.doctor.result import Delivery, Gpus, Torch
from td3_hpc.launch.preflight.finding import Mistake, NotLearnt
from td3_hpc.launch.preflight.plan import Plan

#: Oldest NVIDIA driver that runs programs built for a CUDA version (NVIDIA's table of minor version compatibility).
_OLDEST_DRIVER = {11: (450, 80), 12: (525, 60), 13: (580, 65)}
SLOW_FSYNCS_PER_S = 1.0

Value = TypeVar("Value")


def check_doctor(plan: Plan) -> str:
    """The measurements below are of this profile's image."""
    doctor, container = plan.doctor, plan.profile.container
    found = f"measured {doctor.age} on {doctor.node}"
    image = str(container.image) if container else None
    if doctor.image != image:
        raise NotLearnt(f"{found}, with {doctor.image or 'no image'} instead of {image or 'none'}", plan.run_doctor)
    return found


def check_gpu(plan: Plan) -> str:
    """GPUs that the job sees."""
    gpus = _measured(plan, "gpus", plan.doctor.gpus)
    if not gpus.names:
        if _needs_gpu(plan):
            raise Mistake(f"none: {gpus.reason}", f"ask for one by gres and container.gpu in {plan.profile_file}")
        return f"none ({gpus.reason}); not needed"
    listed = ", ".join(f"{name} with {mib / 1024:.0f} GiB" for name, mib in zip(gpus.names, gpus.memory_mib))
    return f"{listed}; driver {gpus.driver}" if gpus.driver else listed


def check_gpu_memory(plan: Plan) -> str:
    """The servers on the learner's node and the learner against the GPUs' memory."""
    gpus = _measured(plan, "gpus", plan.doctor.gpus)
    if not gpus.names:
        return "no GPU to share"
    simulation = _measured(plan, "simulation", plan.doctor.simulation)
    learning = _measured(plan, "learning", plan.doctor.learning)
    servers = plan.simulators_beside_learner
    each, learner = simulation.gpu_mib or 0, learning.gpu_mib or 0
    needed, there = servers * each + learner, sum(gpus.memory_mib)
    found = f"{servers} simulators of {each} MiB, learner {learner} MiB, of {there} MiB"
    if needed > there:
        raise Mistake(found, "ask for a larger GPU or more of them, or lower simulators")
    return found


def check_vulkan(plan: Plan) -> str:
    """CARLA renders through Vulkan, and falls silently to rendering on CPUs where there is no driver for it."""
    vulkan = _measured(plan, "vulkan", plan.doctor.vulkan)
    if vulkan.devices:
        return ", ".join(vulkan.devices)
    found = vulkan.reason or f"only software rendering ({', '.join(vulkan.software)})"
    if plan.stage.simulator.kind == "carla":
        raise Mistake(
            f"no Vulkan device on {plan.doctor.node}: {found}",
            "the image needs libvulkan.so.1 and the driver's ICD file (containers/carla.def has both); the node needs "
            "the driver's graphics libraries, and container.gpu: nvidia brings them in",
        )
    return f"none ({found}); the {plan.stage.simulator.kind} simulator needs none"


def check_torch(plan: Plan) -> str:
    """The driver fits PyTorch's CUDA."""
    torch = _measured(plan, "torch", plan.doctor.torch)
    return judge_torch(torch, plan.doctor.gpus or Gpus(reason="not measured"), plan)


def judge_torch(torch: Torch, gpus: Gpus, plan: Plan) -> str:
    """Whether PyTorch computes where the stage wants it to, given the GPUs that there are."""
    device = plan.stage.training.device
    built = f"CUDA {torch.cuda}" if torch.cuda else f"ROCm {torch.rocm}" if torch.rocm else "CPUs"
    found = f"PyTorch {torch.version} for {built}"
    used = "cuda" if torch.gpu and device != "cpu" else "cpu"
    if plan.stage.agent.precision == "bfloat16" and torch.bfloat16 is not None and used not in torch.bfloat16:
        hardware = "GPU" if used == "cuda" else "processor"
        raise Mistake(
            f"{found}; agent.precision is bfloat16, which the {hardware} does not compute",
            "set agent.precision: float32, or ask for nodes that compute it (avx512_bf16 or amx_bf16, or a GPU)",
        )
    if torch.gpu:
        return f"{found}, on {torch.gpu}"
    if device == "cpu" or (device == "auto" and not gpus.names):
        return f"{found}, on the CPU"
    if torch.cuda is None and torch.rocm is None:
        raise Mistake(
            f"{found}, but there is a GPU to train on" if gpus.names else f"{found}; training.device is {device}",
            f"install a build of PyTorch for that GPU{' in the image' if plan.profile.container else ''}, or set "
            "training.device: cpu",
        )
    oldest = _OLDEST_DRIVER.get(int(torch.cuda.split(".")[0]), (0, 0)) if torch.cuda else (0, 0)
    if gpus.driver and _driver(gpus.driver) < oldest:
        raise Mistake(
            f"{found}; the driver {gpus.driver} is older than {oldest[0]}.{oldest[1]}, which that needs",
            "use a PyTorch for an older CUDA",
        )
    raise Mistake(f"{found}; it sees no GPU", f"check gres and container.gpu in {plan.profile_file}")


def check_frame(plan: Plan) -> str:
    """The simulator came up and its camera shows something."""
    simulation = _measured(plan, "simulation", plan.doctor.simulation)
    height, width = simulation.frame
    found = f"{plan.doctor.simulator} {simulation.version}, {plan.doctor.town}, ready in {simulation.ready_s:.1f} s"
    if simulation.frame_values < 2:
        raise Mistake(
            f"{found}; its camera frame of {width} x {height} is all one colour",
            "the simulator does not render: look at its log in the doctor's run directory, and at Vulkan above",
        )
    return f"{found}; a frame of {width} x {height} with {simulation.frame_values} grey values"


def check_rate(plan: Plan) -> str:
    """How fast the parts are, alone and together."""
    simulation = _measured(plan, "simulation", plan.doctor.simulation)
    learning = _measured(plan, "learning", plan.doctor.learning)
    return (
        f"simulator {simulation.steps_per_s:.1f} steps/s, TD3 {learning.updates_per_s:.2f} updates/s on "
        f"{learning.device} (batch {learning.batch_size}), together {learning.steps_per_s:.2f} steps/s"
    )


def check_saving(plan: Plan) -> str:
    """How long a checkpoint takes."""
    saving = _measured(plan, "saving", plan.doctor.saving)
    return f"{saving.seconds:.1f} s for {saving.bytes / 2**20:.0f} MiB"


def check_usr1(plan: Plan) -> str:
    """SIGUSR1, which Slurm sends before the time limit, reaches the trainer inside the container."""
    return _delivered(plan, "SIGUSR1", plan.doctor.usr1)


def check_term(plan: Plan) -> str:
    """SIGTERM, which Slurm sends at preemption, reaches it too."""
    return _delivered(plan, "SIGTERM", plan.doctor.term)


def _delivered(plan: Plan, name: str, delivery: Delivery | None) -> str:
    measured = _measured(plan, name.removeprefix("SIG").lower(), delivery)
    lost = "each stop would cost the work since the last checkpoint"
    if measured.killed:
        raise Mistake(
            f"{name} ended the job's step before the trainer could save: {lost}",
            "something between Slurm and Python dies of it: a wrapper in container.python, or of srun, that does not "
            "`exec`",
        )
    if not measured.arrived:
        raise Mistake(
            f"{name} was sent and never arrived: {lost}",
            "something between Slurm and Python blocks or swallows it: look at container.python, at wrappers of srun "
            "and apptainer, and at the site's prolog",
        )
    return "arrived" if measured.seconds is None else f"arrived after {max(0.0, measured.seconds):.1f} s"


def check_restart(plan: Plan) -> str:
    """A job that stopped with a checkpoint is started again."""
    restart = _measured(plan, "restart", plan.doctor.restart)
    if restart.restarted:
        return "started again" + (f" {restart.seconds:.0f} s later" if restart.seconds is not None else "")
    change = "set requeue: chain" if plan.profile.requeue == "slurm" else "ask the site"
    raise Mistake(f"the job was not started again: {restart.reason}", f"{change} in {plan.profile_file}")


def check_step_cpus(plan: Plan) -> str:
    """CPUs of the step against those asked for: newer Slurm gives a step one unless told otherwise."""
    cpus, asked = _measured(plan, "step_cpus", plan.doctor.step_cpus), plan.profile.cpus
    quota = f", control group {cpus.quota:g}" if cpus.quota else ""
    found = f"{cpus.usable} of {asked} asked for (affinity {cpus.affinity}{quota}, machine {cpus.machine})"
    if cpus.usable < min(asked, cpus.machine):
        raise Mistake(
            found,
            "the step does not get the job's CPUs: look for a wrapper of srun that drops --cpus-per-task, and at "
            "SLURM_CPU_BIND and SRUN_CPUS_PER_TASK in your environment",
        )
    return found


def check_files(plan: Plan) -> str:
    """What checkpoints rest on, in the run directory's file system."""
    files = _measured(plan, "files", plan.doctor.files)
    found = f"{files.kind}: {files.fsyncs_per_s:.0f} fsyncs/s, {files.write_mib_per_s:.0f} MiB/s"
    broken = [name for name in ("rename", "exclusive_link") if not getattr(files, name)]
    if broken:
        raise Mistake(f"{found}; without a working {' and '.join(broken)}", "put runs on another file system")
    if files.fsyncs_per_s < SLOW_FSYNCS_PER_S:
        raise Mistake(f"{found}: a checkpoint syncs ten times", "put runs on a faster file system")
    return f"{found}; rename and exclusive link work, flock {'works' if files.flock else 'does not (not needed)'}"


def check_scratch(plan: Plan) -> str:
    """The node's own disk."""
    scratch = _measured(plan, "scratch", plan.doctor.scratch)
    kind = ", a RAM disk, which counts as the job's memory" if scratch.memory else ""
    found = f"{scratch.free_gib:.1f} GiB free{kind}"
    if scratch.free_gib < 0.5:
        raise Mistake(found, f"choose another scratch in {plan.profile_file}")
    return found


def _measured(plan: Plan, name: str, value: Value | None) -> Value:
    if value is None:
        raise NotLearnt(plan.doctor.errors.get(name, "not measured"), "")
    return value


def _needs_gpu(plan: Plan) -> bool:
    return plan.stage.simulator.kind == "carla" or plan.stage.training.device == "cuda"


def _driver(version: str) -> tuple[int, int]:
    major, minor = [*version.split("."), "0"][:2]
    return int(major), int(minor)
