"""The gates. Adding one: a field in td3_hpc/config/gates.py and a function of that name in one of these modules."""

from td3_hpc.campaign.gates import checkpoints, driving, mechanisms, metrics
from td3_hpc.campaign.gates.findings import Confidence, Finding
from td3_hpc.campaign.gates.registry import GATES, GateResult, Status, judge_gates

__all__ = [
    "GATES",
    "Confidence",
    "Finding",
    "GateResult",
    "Status",
    "checkpoints",
    "driving",
    "judge_gates",
    "mechanisms",
    "metrics",
]
