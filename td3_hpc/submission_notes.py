"""What is noted in a run directory when its job is submitted."""

import json
from pathlib import Path
from typing import Any

from td3_hpc.errors import BadInput

SUBMISSION_FILE = "submission/submission.json"


def read_notes(run_dir: Path) -> dict[str, Any]:
    """When, with which version, code and image, and as which jobs; empty where the run never was submitted.

    Raises BadInput where the file is damaged.
    """
    path = run_dir / SUBMISSION_FILE
    try:
        notes = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise BadInput(f"{path}: damaged ({error}); take it away, and submit again") from None
    if not isinstance(notes, dict):
        raise BadInput(f"{path}: damaged (no mapping); take it away, and submit again")
    return notes
