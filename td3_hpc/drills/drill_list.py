"""All drills: importing a module of drills enters them in the list, in the order of the table."""

import importlib

_MODULES = (
    "td3_hpc.drills.configuration",
    "td3_hpc.drills.networks",
    "td3_hpc.drills.explosion",
    "td3_hpc.drills.learning",
    "td3_hpc.drills.pictures",
    "td3_hpc.drills.checkpoints",
    "td3_hpc.drills.simulators",
    "td3_hpc.drills.preemption",
    "td3_hpc.drills.node_lost",
)


def load_drills() -> None:
    """Fill the list of drills."""
    for module in _MODULES:
        importlib.import_module(module)
