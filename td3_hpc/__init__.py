"""A Slurm batch pipeline for TD3 driving agents on CARLA: train, checkpoint, resume exactly, report.

entry.py, __main__.py the entry point of `td3-hpc`, which is `python -m td3_hpc`
cli.py                its commands that run, drive and report
options.py            options that several commands have
errors.py             errors that a user can act on, and exit codes
durable.py            writing files that survive a crash
lasting_output.py     output that may go away under a long run
formatting.py         numbers as text for people
code.py               the package's files and their digest
shipped.py            files that come with the program: configurations, container definitions, examples
behaviour.py          the number of what a run computes, raised with every change of it
checkpoint_names.py   the names of a checkpoint's files, known without HDF5
submission_folder.py  the files in a run's or a campaign's folder `submission`, and their formats
user_cache.py         the folder where downloads and reference drives are kept between runs
random_state.py       a generator's state as data
spaces.py             the observation and the action, declared once
config/               the configuration: one schema, YAML, overrides
roads/                OpenDRIVE text: read, healed, its lanes
simulator/            the embedded simulator
supervision/          starting, watching and replacing a simulator
driving/              the environment, and the worker process that hosts it
replay/               the replay buffer
td3/                  networks, the update, exploration
checkpoint/           state files, replay segments, manifests
record/               what a run writes down: its schema, writer and reader
training/             the loop, evaluation, monitors, telemetry
pretraining/          a CNN trained beforehand on drives of the scripted driver
gates/                judging a run
campaign/             stages in a row, each of which must earn the next one
report/               writing for people
launch/               Slurm jobs, preflight, doctor
init.py               `td3-hpc init`: a project of configurations to edit
drills/               the known failures, caused from outside
export/               taking a trained policy away

Which of them may import which is said, and tested, by the table in CONTRIBUTING.md.
"""

import importlib
import os
from pathlib import Path
from typing import Any

__version__ = "0.1.0"
CARLA_VERSION = "0.9.16"

# PyTorch's threads wait for each other at the end of every operation. By default GNU OpenMP lets them spin for
# milliseconds meanwhile: on processors shared with simulators and other jobs that takes the time from the very thread
# that is waited for, and updates become ten times slower. Spin for about as long as a thread takes to wake up.
# It is read when PyTorch is loaded (libgomp's manual, GOMP_SPINCOUNT).
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

# Without HOME, as some sites' jobs start, the carla client library crashes when it is loaded. Where the user has none
# either, this is a path that is not there, which it does not mind.
os.environ.setdefault("HOME", os.path.expanduser("~"))


def load_policy(path: str | Path) -> Any:
    """A `td3_hpc.export.policy.Policy` that `td3-hpc export` wrote: its folder, or its .onnx file.

    Needs neither PyTorch nor CARLA, and runs no code of the file's. Raises BadInput, in one line, for a damaged,
    foreign or newer file.
    """
    return importlib.import_module(f"{__name__}.export.policy").load(Path(path))  # only for whoever asks for it
