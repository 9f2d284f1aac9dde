"""Every check of preflight, by the name that its line in the table has. To add one: a function, and a line here."""

from collections.abc import Callable

from td3_hpc.launch.jobs import slurm
from td3_hpc.launch.preflight import (
    cluster,
    container,
    device,
    disk,
    memory,
    nodes,
    placement,
    run_directory,
    secrets,
    simulator,
    walltime,
)
from td3_hpc.launch.preflight.finding import NotLearnt
from td3_hpc.launch.preflight.plan import Plan

Checks = dict[str, Callable[[Plan], str]]

ASK_SLURM = "Slurm"
"""Name of the check that Slurm's commands are here and answer."""

EVERYWHERE: Checks = {
    "run directory": run_directory.check_writable,
    "run": run_directory.check_not_taken,
    "run's configuration": run_directory.check_same_run,
    "run's checkpoints": run_directory.check_checkpoints,
    "memory": memory.check_memory,
    "disk space": disk.check_disk,
    "inodes": disk.check_inodes,
    "quota": disk.check_quota,
    "alerts": secrets.check_alerts,
    "device": device.check_device,
    "pretrained encoder": device.check_pretrained,
    "walltime": walltime.check_walltime,
    "checkpoint interval": walltime.check_checkpoint_interval,
    "evaluation cycle": walltime.check_evaluation_cycle,
    "signal lead time": walltime.check_signal_lead,
    "versions": simulator.check_version,
    "town": simulator.check_town,
    "weather and vehicle": simulator.check_weather_and_vehicle,
    "CARLA": simulator.check_carla_machine,
    "ports": simulator.check_ports,
}
IN_A_CONTAINER: Checks = {
    "image": container.check_image,
    "binds": container.check_binds,
    "container's environment": secrets.check_container_environment,
    "Apptainer": container.check_apptainer,
}
ON_SLURM: Checks = {
    ASK_SLURM: cluster.check_slurm,
    "partition": cluster.check_partition,
    "preemption": cluster.check_preemption,
    "account and QoS": cluster.check_account,
    "nodes": cluster.check_nodes,
    "simulators": placement.check_placement,
    "sbatch --test-only": cluster.check_queueing,
}
#: What the doctor measured; its own table has these lines, too.
MEASURED: Checks = {
    "GPU": nodes.check_gpu,
    "GPU memory": nodes.check_gpu_memory,
    "Vulkan": nodes.check_vulkan,
    "PyTorch": nodes.check_torch,
    "CPUs of the step": nodes.check_step_cpus,
    "file system": nodes.check_files,
    "scratch": nodes.check_scratch,
    "camera frame": nodes.check_frame,
    "rates": nodes.check_rate,
    "checkpoint": nodes.check_saving,
    "SIGUSR1": nodes.check_usr1,
    "SIGTERM": nodes.check_term,
    "restart": nodes.check_restart,
}


def no_slurm(plan: Plan) -> str:
    """Stands for all of Slurm's checks where its commands are missing."""
    slurm.require()
    return ""


def never_measured(plan: Plan) -> str:
    """Stands for all that was measured where nothing was."""
    raise NotLearnt("GPU, Vulkan, signals, restart, CPUs and file system were never measured", plan.run_doctor)


def checks_for(plan: Plan) -> Checks:
    """Those that concern a plan."""
    chosen = dict(EVERYWHERE)
    if plan.profile.container:
        chosen |= IN_A_CONTAINER
    if plan.profile.queued:
        chosen |= ON_SLURM if slurm.usable() else {ASK_SLURM: no_slurm}
    measured: Checks = {"doctor": nodes.check_doctor, **MEASURED}
    return chosen | (measured if plan.doctor_result else {"doctor": never_measured})
