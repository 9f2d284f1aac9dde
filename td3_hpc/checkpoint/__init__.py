"""Checkpoints: HDF5 state files, replay segments and manifests. What the numbers mean is the caller's affair.

store.py       saving, in the foreground or the background, and finding the newest checkpoint that verifies
manifest.py    the small file that makes a checkpoint: it names every other with its checksum
hdf5_file.py   trees and tables as HDF5 files, written whole, read without trust
sealed_json.py JSON with its own checksum
hdf5_image.py  such a file in memory, without copying its arrays
tree_layout.py where the entries of a tree lie in such a file, from save to save
segments.py    which rows lie in which files
ownership.py   one writer by epoch, and the lock that names it
epochs.py      the epoch files: claims of a run, each with its checksum, number and the run's identity
listing.py     the one place that lists folders, whose listings may lag
contents.py    what lies in a run's folders, judged by nothing yet
lineage.py     the line of attempts that leads to a checkpoint
survey.py      which checkpoint a run continues from, or why it must not go on by itself
choice.py      what the user decides then: continue from this one, or begin anew
set_aside.py   what does not count is moved, not deleted
told.py        what tells of the checkpoints goes where they go: record, verdict, configuration
compare.py     do two checkpoints hold the same bytes?
adoption.py    a run that begins with another run's checkpoint
retention.py   which checkpoints of the line are kept
errors.py      what is wrong with a checkpoint
cli.py         td3-hpc checkpoint inspect | verify | diff | prune | continue | set-aside
"""

import os

# HDF5's own locks fail on Lustre and some NFS servers, and are not needed: every file here is written once, under
# another name, by one writer. Must be set before h5py is imported anywhere.
os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")

from td3_hpc.checkpoint.adoption import adopt, has_checkpoint
from td3_hpc.checkpoint.compare import diff, newest_complete_step, open_checkpoint
from td3_hpc.checkpoint.errors import CheckpointDamaged, NotContinued, Superseded
from td3_hpc.checkpoint.segments import RowSource
from td3_hpc.checkpoint.store import Checkpoint, CheckpointInfo, CheckpointStore, SaveOutcome

__all__ = [
    "Checkpoint",
    "CheckpointDamaged",
    "CheckpointInfo",
    "CheckpointStore",
    "NotContinued",
    "RowSource",
    "SaveOutcome",
    "Superseded",
    "adopt",
    "diff",
    "has_checkpoint",
    "newest_complete_step",
    "open_checkpoint",
]
