"""What records of format 1 say only in sentences. Nothing else of the package reads sentences."""

from typing import Any


def upgrade(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a line of any format, with what format 1 left to its sentences as fields of their own."""
    if fields["event"] == "failed" and "code" not in fields:
        reason = str(fields.get("reason", ""))
        return {**fields, "code": _code(reason), "cause": reason.split(". The run stops")[0].partition("; its last")[0]}
    if fields["event"] == "checkpoint_failed" and "code" not in fields:
        error = str(fields.get("error", ""))
        return {**fields, "code": "disk_full" if "No space" in error or "quota" in error.lower() else "error"}
    return fields


def _code(reason: str) -> str:
    if "NaN or infinity" in reason:
        return "non_finite"
    if "simulator was given up" in reason:
        return "simulator_never_ready" if ", never ready" in reason else "simulator_failed"
    return "environment_lost" if "environment was lost" in reason else "error"
