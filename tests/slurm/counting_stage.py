"""A stage's job whose trainer is the stand-in, which counts steps."""

import json
from pathlib import Path
from typing import Any

from tests.paths import ROOT
from tests.slurm.cluster import wait_until
from tests.slurm.stage_job import StageJob

STAGE = ROOT / "configs" / "stages" / "1k.yaml"
STAND_IN = Path(__file__).parent / "stand_in" / "td3_hpc"
TOTAL, STEP_S = 50, 0.05


class Stage(StageJob):
    """A job with the stand-in, and what that noted."""

    def plan(self, total: int = TOTAL, step_s: float = STEP_S, **more: Any) -> None:
        """What the stand-in is to do."""
        (self.run / "plan.json").write_text(json.dumps({"total": total, "step_s": step_s, **more}))

    def events(self, kind: str) -> list[dict[str, Any]]:
        """What the stand-in noted, of one kind."""
        path = self.run / "events.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [item for item in map(json.loads, lines) if item["event"] == kind]

    def wait_for_starts(self, count: int, timeout_s: float = 40) -> None:
        wait_until(lambda: len(self.events("started")) >= count, timeout_s, self.log)

    def finish(self, timeout_s: float = 60) -> None:
        """Wait until the job is done, all its steps counted once."""
        self.slurm.wait_for_state(self.job, "COMPLETED", timeout_s=timeout_s)
        assert [event["step"] for event in self.events("finished")] == [TOTAL]
        started = [event["step"] for event in self.events("started")]
        saved = [event["step"] for event in self.events("saved")]
        assert started == [0, *saved], self.log()
