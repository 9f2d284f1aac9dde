"""A Slurm batch pipeline for TD3 driving agents on CARLA: train, checkpoint, resume exactly, report."""

__version__ = "0.1.0"
CARLA_VERSION = "0.9.16"
