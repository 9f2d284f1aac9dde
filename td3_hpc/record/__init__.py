"""The record of a run: an append-only file of JSON lines, from which every verdict and report is made.

run_events.py, measured_events.py
              the schema: one frozen class per kind of event, a docstring per field
base.py       what they share: how an event becomes a line of JSON, and back
writer.py     the one writer, which a checkpoint can cut back
reader.py     the one reader, of whole, damaged and older records
older.py      what records of earlier formats say in sentences
reference.py  makes docs/record.md from the schema
"""

from td3_hpc.record.base import FORMAT, Event
from td3_hpc.record.measured_events import (
    AlertChanged,
    EffectReading,
    EpisodeEnded,
    EpisodeSummary,
    EvaluationCycle,
    FeatureReading,
    GradientReading,
    Interval,
    MechanismSample,
    NotificationFailed,
    PictureDrive,
    ReferenceDrive,
)
from td3_hpc.record.reader import Recorded, read_events, read_record
from td3_hpc.record.run_events import (
    AttemptStarted,
    CheckpointFailed,
    CheckpointSaved,
    Environment,
    EpisodeNotReproduced,
    RunFailed,
    RunFinished,
    RunStopped,
    SimulatorChanged,
    WorkerReplaced,
)
from td3_hpc.record.writer import RECORD_FILE, RunRecord

__all__ = [
    "FORMAT",
    "RECORD_FILE",
    "AlertChanged",
    "AttemptStarted",
    "CheckpointFailed",
    "CheckpointSaved",
    "EffectReading",
    "Environment",
    "EpisodeEnded",
    "EpisodeNotReproduced",
    "EpisodeSummary",
    "EvaluationCycle",
    "Event",
    "FeatureReading",
    "GradientReading",
    "Interval",
    "MechanismSample",
    "NotificationFailed",
    "PictureDrive",
    "Recorded",
    "ReferenceDrive",
    "RunFailed",
    "RunFinished",
    "RunRecord",
    "RunStopped",
    "SimulatorChanged",
    "WorkerReplaced",
    "read_events",
    "read_record",
]
