"""What a run is judged by: gates on its record, and the verdict that follows from them.

Adding a gate: a field in td3_hpc/config/gates.py and a function of that name in one of the five modules of gates.

validation.py, metrics.py, learner.py, td3_mechanisms.py, driving.py   the gates, by group
registry.py   a gate's function by its name, and running all of them
findings.py   what a gate finds, and how sure it may be
remedies.py   the changes that failed gates suggest
history.py    a run's record, sorted by what gates and reports ask for
verdict.py    GO or NO-GO, in a file bound to what it was earned on
"""

from td3_hpc.gates import driving, learner, metrics, td3_mechanisms, validation
from td3_hpc.gates.findings import Confidence, Finding
from td3_hpc.gates.registry import GATES, GateResult, Status, judge_gates

__all__ = [
    "GATES",
    "Confidence",
    "Finding",
    "GateResult",
    "Status",
    "driving",
    "judge_gates",
    "learner",
    "metrics",
    "td3_mechanisms",
    "validation",
]
