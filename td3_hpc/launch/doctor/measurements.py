"""Every measurement of the doctor's job, by its name in the result. To add one: a function, a field, a line here."""

from collections.abc import Callable

from pydantic import BaseModel

from td3_hpc.launch.doctor import files, node, training, vulkan
from td3_hpc.launch.doctor.context import Context

MEASUREMENTS: dict[str, Callable[[Context], BaseModel]] = {
    "gpus": node.measure_gpus,
    "vulkan": vulkan.measure_vulkan,
    "torch": node.measure_torch,
    "step_cpus": node.measure_step_cpus,
    "files": files.measure_files,
    "scratch": node.measure_scratch,
    "simulation": training.measure_simulation,
    "learning": training.measure_learning,
    "saving": training.measure_saving,
}
