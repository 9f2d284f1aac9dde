"""What is about to be queued, and what is known of the place where it is to run."""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from td3_hpc.config import StageConfig
from td3_hpc.config.cluster import ClusterConfig
from td3_hpc.launch.doctor.result import DoctorResult, read_result
from td3_hpc.launch.jobs import slurm
from td3_hpc.launch.jobs.freeze import FrozenImage
from td3_hpc.launch.jobs.script import render
from td3_hpc.launch.jobs.submission import profile_path
from td3_hpc.launch.preflight.finding import NotLearnt


@dataclass(frozen=True)
class Plan:
    """A stage, a profile and a run directory. What cannot be known raises NotLearnt where it is asked for."""

    cluster: str
    """The profile's name, or its file."""
    profile: ClusterConfig
    run_dir: Path
    given_stage: StageConfig | None
    """None where the configuration has mistakes."""
    stated_steps_per_s: float | None = None
    """The user's word for it."""
    given_result: DoctorResult | None = None
    """The doctor's result, in place of the one that was kept."""
    anew: bool = False
    """The run that is in the directory will be set aside before this one begins."""

    @property
    def stage(self) -> StageConfig:
        """The stage."""
        if self.given_stage is None:
            raise NotLearnt("the configuration has mistakes", "correct them first")
        return self.given_stage

    @cached_property
    def doctor_result(self) -> DoctorResult | None:
        """What `td3-hpc doctor` measured here last, if it ever did."""
        return self.given_result or read_result(self.profile, self.cluster)

    @cached_property
    def test_only(self) -> tuple[bool, str]:
        """Whether Slurm itself would take the job (`sbatch --test-only`), and what it says. Queues nothing."""
        profile = self.profile.for_simulators(self.stage.simulators)
        # Only the options matter to Slurm; the digest of a large image would take a minute.
        image = FrozenImage(profile.container.image, "", "") if profile.container else None
        with tempfile.NamedTemporaryFile("w", suffix=".sbatch", encoding="utf-8") as script:
            script.write(render(self.stage.name, profile, self.run_dir, image))
            script.flush()
            return slurm.would_take(Path(script.name), profile.clusters)

    @property
    def doctor(self) -> DoctorResult:
        """What `td3-hpc doctor` measured here last."""
        if self.doctor_result is None:
            raise NotLearnt("never measured", self.run_doctor)
        return self.doctor_result

    @property
    def run_doctor(self) -> str:
        """How to learn more."""
        return f"run `td3-hpc doctor --cluster {self.cluster}`"

    @property
    def profile_file(self) -> str:
        """The profile's file, for people."""
        return str(profile_path(self.cluster))

    @property
    def simulators_beside_learner(self) -> int:
        """Servers on the learner's node: its share of those for training, and those for evaluation."""
        count = self.stage.simulators
        return -(-count // self.profile.for_simulators(count).nodes) + self.stage.evaluation.simulators

    def on_host(self, path: Path) -> Path | None:
        """Where a path that the job sees lies on this machine; None where it lies inside the container's image."""
        container = self.profile.container
        if container is None:
            return path
        for source, target in mounts(container.binds, self.run_dir):
            if path.is_relative_to(target):
                return source / path.relative_to(target)
        return None


def mounts(binds: Sequence[str], run_dir: Path) -> list[tuple[Path, Path]]:
    """(source on the node, target in the container) of every mount, those of longer targets first."""
    pairs = [(run_dir, run_dir)]
    for bind in binds:
        source, _, rest = bind.partition(":")
        pairs.append((Path(source), Path(rest.partition(":")[0] or source)))
    return sorted(pairs, key=lambda pair: len(pair[1].parts), reverse=True)


def existing_parent(path: Path) -> Path:
    """The nearest folder, from a path upwards, that exists."""
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path


def user() -> str:
    """Who submits."""
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # as in some containers
        return str(os.getuid())
