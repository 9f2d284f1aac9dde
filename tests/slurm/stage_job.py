"""A run directory and the Slurm job that works on it, as tests see them."""

import sys
from pathlib import Path
from typing import Any

from td3_hpc.code import PACKAGE
from td3_hpc.config.cluster import ClusterConfig
from td3_hpc.launch.jobs.submission import Route, Submission, submit
from tests.slurm.cluster import SlurmCluster, host_binds, wait_until


class StageJob:
    """One run directory and the job that works on it."""

    def __init__(self, slurm: SlurmCluster, image: Path, run: Path, config: Path, package: Path = PACKAGE) -> None:
        self.slurm, self.image, self.run, self.config, self.package = slurm, image, run, config, package
        self.scratch = run.parent / f"{run.name}-scratch"
        self.scratch.mkdir()
        run.mkdir()
        self.jobs: list[str] = []

    def profile(self, **changes: Any) -> ClusterConfig:
        """A profile that runs this machine's Python in the image."""
        container = {"image": self.image, "binds": host_binds(), "python": sys.executable, "code": "checkout"}
        container |= changes.pop("container", {})
        settings = {"partition": "low", "cpus": 1, "memory_gib": 0.5, "walltime_minutes": 10, "signal_lead_s": 60}
        settings |= {"gres": "gpu:1", "scratch": self.scratch, "container": container}
        return ClusterConfig.model_validate({**settings, **changes})

    def submit(self, route: Route = "sbatch", **changes: Any) -> Submission:
        """Queue the stage with changes to the profile."""
        submission = submit(self.config, self.profile(**changes), self.run, route=route, package=self.package)
        self.jobs = submission.jobs
        return submission

    @property
    def job(self) -> str:
        """The job's id; the first one's of a chain."""
        return self.jobs[0]

    @property
    def node(self) -> str:
        """Where the job runs."""
        return self.slurm.job(self.job)["NodeList"]

    def log(self) -> str:
        """Everything that the job has written."""
        return "".join(path.read_text() for path in sorted((self.run / "logs").glob("slurm-*")))

    def outcome(self) -> str:
        """The exit status that the newest attempt noted; empty before it has."""
        return _text(self.run / "submission" / "outcome").partition("\n")[0]

    def hurry(self) -> None:
        """Let a requeued job start in 2 s: sooner than Slurm would, no sooner than the node forgets its last start."""
        wait_until(lambda: self.slurm.job(self.job)["JobState"] == "PENDING", 40, self.log)
        self.slurm.run("scontrol", "update", f"jobid={self.job}", "starttime=now+2")

    def preempt(self) -> None:
        """Take the job's node away for a job of the high partition, until that has run."""
        high = self.slurm.submit("true", "--partition=high", "--exclusive", f"--nodelist={self.node}")
        self.slurm.wait_for_state(high, "COMPLETED")

    def end(self) -> None:
        """Cancel what is left of the jobs; fails the test when anything of them stays behind."""
        for job in self.jobs:
            self.slurm.run("scancel", job)
        wait_until(lambda: not self.left_behind(), 60, lambda: f"left behind: {self.left_behind()}")

    def left_behind(self) -> list[str]:
        """Processes, with the ports and locks that they hold, mounts and files of the job that are still there."""
        found = [str(path) for path in self.scratch.iterdir()]
        found += [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(self.run) in line]
        backing_files = Path("/sys/block").glob("loop*/loop/backing_file")
        found += [str(path) for path in backing_files if str(self.image) in _text(path)]
        for process in Path("/proc").glob("[0-9]*"):
            # A container's processes have the run directory in PYTHONPATH; those around it name it.
            texts = (_text(process / "cmdline"), _text(process / "environ"))
            found += [texts[0]] if any(str(self.run) in text for text in texts) else []
        return found


def _text(path: Path) -> str:
    try:
        return path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
