"""A stand-in for the answers of sites whose Slurm is not the test cluster's: commands on PATH that print what they are
told to. Slurm's own behaviour is tested on the real one, in tests/slurm."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

PROGRAM = """#!%s
import json, os, sys
from pathlib import Path
site = Path(sys.argv[0]).parent.parent
name, words = Path(sys.argv[0]).name, sys.argv[1:]
answers = json.loads((site / "answers.json").read_text())
kept = {key: value for key, value in os.environ.items() if key.split("_")[0] in ("SBATCH", "SLURM", "SQUEUE")}
with (site / "calls").open("a") as file:
    file.write(json.dumps({"command": [name, *words], "environment": kept}) + "\\n")
jobs = json.loads((site / "jobs.json").read_text())
if name == "sbatch" and "--test-only" not in words and "sbatch" not in answers:
    if len(jobs) >= answers.get("max_jobs", 99):
        sys.exit("sbatch: error: QOSMaxSubmitJobPerUserLimit")
    jobs.append(str(1000 + len(jobs)))
    (site / "jobs.json").write_text(json.dumps(jobs))
    print(answers.get("banner", "") + jobs[-1] + answers.get("cluster", ""))
elif name == "squeue" and "squeue" not in answers and "--jobs" in words:
    wanted = words[words.index("--jobs") + 1].split(",")
    if not set(wanted) & set(jobs):
        sys.exit("slurm_load_jobs error: Invalid job id specified")
    print("\\n".join(f"{job} PENDING" for job in wanted if job in jobs))
else:
    line = " ".join([name, *words])
    key = max((key for key in answers if line.startswith(key)), key=len, default=None)
    answer = answers[key] if key else ""
    if isinstance(answer, dict):
        sys.stderr.write(answer.get("stderr", "") + "\\n")
        sys.stdout.write(answer.get("stdout", ""))
        sys.exit(answer.get("status", 1))
    print(answer)
"""
COMMANDS = ("sbatch", "squeue", "scontrol", "sacct", "sacctmgr", "scancel", "sinfo")


class Site:
    """The commands, what they answer and how they were called."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, **answers: Any) -> None:
        self.folder = folder / "site"
        (self.folder / "bin").mkdir(parents=True)
        for name in COMMANDS:
            path = self.folder / "bin" / name
            path.write_text(PROGRAM % sys.executable)
            path.chmod(0o755)
        (self.folder / "jobs.json").write_text("[]")
        monkeypatch.setenv("PATH", f"{self.folder / 'bin'}:/usr/bin:/bin")
        monkeypatch.delenv("SLURM_CONF", raising=False)
        self.answers: dict[str, Any] = {}
        self.answer(**answers)

    def answer(self, **answers: Any) -> None:
        """Answer so from now on: a text to the longest beginning of a command line, or stdout, stderr and status."""
        self.answers |= answers
        (self.folder / "answers.json").write_text(json.dumps(self.answers))

    def forget(self) -> None:
        """The controller knows none of the jobs any more."""
        (self.folder / "jobs.json").write_text("[]")

    def calls(self, name: str = "") -> list[list[str]]:
        """The command lines so far, those of one command where it is named."""
        return [call["command"] for call in self._log() if name in ("", call["command"][0])]

    def environments(self, name: str) -> list[dict[str, str]]:
        """The Slurm variables that a command was called with."""
        return [call["environment"] for call in self._log() if call["command"][0] == name]

    def _log(self) -> list[dict[str, Any]]:
        path = self.folder / "calls"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
