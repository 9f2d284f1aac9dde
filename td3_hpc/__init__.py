"""A Slurm batch pipeline for TD3 driving agents on CARLA: train, checkpoint, resume exactly, report."""

import os

__version__ = "0.1.0"
CARLA_VERSION = "0.9.16"

# PyTorch's threads wait for each other at the end of every operation. By default GNU OpenMP lets them spin for
# milliseconds meanwhile: on processors shared with simulators and other jobs that takes the time from the very thread
# that is waited for, and updates become ten times slower. Spin for about as long as a thread takes to wake up.
# It is read when PyTorch is loaded (libgomp's manual, GOMP_SPINCOUNT).
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
