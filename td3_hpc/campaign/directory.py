"""A campaign's directory holds its whole state: what was submitted, what was decided, and one run per stage and seed.

campaign.yaml           the campaign, resolved; written last, so that it is there only where everything else is
ledger.jsonl            what its users did: submitted, fixed, resumed, cancelled, verdicts accepted
submission/             the jobs' scripts, the cluster profile and the code, as they were at submission
cache/                  where jobs in a container keep what the campaign's runs share
<stage>/seed-<n>/       a run directory
<stage>/set-aside/<n>/  runs that a correction has replaced
"""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from td3_hpc.campaign.plan import Campaign, load_campaign
from td3_hpc.errors import BadInput
from td3_hpc.submission_folder import SubmissionFolder

CAMPAIGN_FILE, LEDGER_FILE, SET_ASIDE = "campaign.yaml", "ledger.jsonl", "set-aside"


@dataclass(frozen=True)
class CampaignDirectory:
    """One campaign's directory."""

    root: Path

    @property
    def exists(self) -> bool:
        """Whether a campaign was submitted here."""
        return (self.root / CAMPAIGN_FILE).is_file()

    @property
    def submission(self) -> SubmissionFolder:
        """What was frozen at submission."""
        return SubmissionFolder(self.root)

    def campaign(self) -> Campaign:
        """The campaign as it was submitted; raises BadInput where there is none."""
        if not self.exists:
            raise BadInput(f"{self.root}: no campaign was submitted here; `td3-hpc campaign submit` makes one")
        return load_campaign(self.root / CAMPAIGN_FILE)

    def run(self, stage: str, seed: int) -> Path:
        """The run directory of a stage and a seed."""
        return self.root / stage / f"seed-{seed}"

    def script(self, stage: str) -> Path:
        """The script of a stage's jobs; the task's number in its job array is the seed."""
        return self.submission.script(stage)

    @property
    def own_files(self) -> tuple[Path, ...]:
        """What every run of the campaign needs to go on: files and folders."""
        return (self.root / CAMPAIGN_FILE, self.root / LEDGER_FILE, self.submission.path)

    def set_aside(self, run: Path, what: str | None = None) -> Path:
        """Move a run (or one file of it) out of the way, nothing deleted; returns where it is now."""
        number = 1
        while (folder := run.parent / SET_ASIDE / str(number)).exists():
            number += 1
        folder.mkdir(parents=True)
        target = folder / (f"{run.name}-{what}" if what else run.name)
        (run / what if what else run).rename(target)
        return target

    # ---- the ledger -----------------------------------------------------------------------------------------------
    def note(self, event: str, **fields: Any) -> None:
        """Append an event to the ledger."""
        line = {"event": event, "time": round(time.time(), 3), **fields}
        with (self.root / LEDGER_FILE).open("ab") as file:
            file.write(json.dumps(line).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def events(self) -> Iterator[dict[str, Any]]:
        """The ledger's events in order; a line that is not whole is skipped."""
        path = self.root / LEDGER_FILE
        for line in path.read_bytes().splitlines() if path.exists() else []:
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict) and "event" in event:
                yield event

    @property
    def cancelled(self) -> bool:
        """Whether its user's last word was `cancel`."""
        words = [event["event"] for event in self.events() if event["event"] in ("submitted", "resumed", "cancelled")]
        return words[-1:] == ["cancelled"]


def place_of(run: Path) -> tuple[CampaignDirectory, str, int] | None:
    """The campaign, stage and seed of a run directory; None for a run that belongs to no campaign."""
    directory = CampaignDirectory(run.parent.parent)
    word, _, seed = run.name.partition("-")
    if not directory.exists or word != "seed" or not seed.isdigit():
        return None
    return directory, run.parent.name, int(seed)
