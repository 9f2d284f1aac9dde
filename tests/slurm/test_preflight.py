"""Preflight's questions to a real Slurm: what is not there is named, with what there is."""

from pathlib import Path
from typing import Any

import pytest

from td3_hpc.launch.jobs.submission import submit
from td3_hpc.launch.preflight import examine, mistakes
from td3_hpc.launch.preflight.cluster import (
    check_account,
    check_nodes,
    check_partition,
    check_preemption,
    check_queueing,
    check_slurm,
    minutes,
    node_architectures,
)
from td3_hpc.launch.preflight.finding import Doubt, Mistake
from td3_hpc.launch.preflight.plan import Plan, user
from td3_hpc.launch.preflight.run_directory import check_not_taken
from tests.launch.preflight.plans import doctor
from tests.launch.preflight.plans import plan as make_plan
from tests.paths import ROOT
from tests.slurm.cluster import SlurmCluster
from tests.slurm.counting_stage import STAND_IN

pytestmark = pytest.mark.slurm
STAGE = ROOT / "configs" / "stages" / "1k.yaml"


@pytest.fixture
def on_slurm(slurm: SlurmCluster, monkeypatch: pytest.MonkeyPatch) -> SlurmCluster:
    """The cluster, known to this process."""
    monkeypatch.setenv("SLURM_CONF", slurm.environment["SLURM_CONF"])
    return slurm


def plan(run_dir: Path, *overrides: str, **settings: Any) -> Plan:
    defaults = {"scheduler": "slurm", "partition": "low", "cpus": 2, "memory_gib": 16}
    return make_plan(run_dir, *overrides, **{**defaults, **settings})


def test_a_plan_that_fits_is_taken_by_every_check(on_slurm: SlurmCluster, tmp_path: Path) -> None:
    fitting = plan(tmp_path / "run", gres="gpu:2", memory_gib=8)

    assert mistakes(examine(fitting)) == []
    assert "3 of 3 nodes of low" in check_nodes(fitting)
    assert "to start at" in check_queueing(fitting)
    assert node_architectures(fitting) == {"x86_64"}
    assert not (tmp_path / "run").exists()
    assert on_slurm.run("squeue", "-h", "--name=td3-try-run") == ""


def test_the_time_that_a_preempted_job_has_is_compared_with_a_checkpoints(
    on_slurm: SlurmCluster, tmp_path: Path
) -> None:
    slow = doctor(saving={"seconds": 7.0, "bytes": 10**9})  # KillWait is 5 s here, the grace time 10 s

    assert "5 s to save in; a checkpoint takes 7.0 s" in check_preemption(plan(tmp_path / "run", result=slow))
    assert "at most 10 minutes" in check_preemption(plan(tmp_path / "run", result=slow))
    assert check_preemption(plan(tmp_path / "run", result=slow, partition="grace")).startswith("15 s to save in")
    assert check_preemption(plan(tmp_path / "run", partition="high")) == "jobs of high are not preempted"


def test_an_unknown_partition_names_those_there_are(on_slurm: SlurmCluster, tmp_path: Path) -> None:
    with pytest.raises(Mistake, match="partition lwo: there is none of this name; there are: low, grace, high"):
        check_partition(plan(tmp_path / "run", partition="lwo"))
    assert [item.check for item in mistakes(examine(plan(tmp_path / "run", partition="lwo")))] == ["partition"]
    assert check_partition(plan(tmp_path / "run", partition=None)).startswith("low: up")


def test_a_walltime_above_the_partitions_is_a_note_where_slurm_takes_it(on_slurm: SlurmCluster, tmp_path: Path) -> None:
    on_slurm.run("scontrol", "update", "partitionname=grace", "maxtime=90")
    try:
        with pytest.raises(Doubt, match=r"at most 01:30:00 a job.*but sbatch --test-only takes the job") as caught:
            check_partition(plan(tmp_path / "run", partition="grace", walltime_minutes=91, memory_gib=1))
    finally:
        on_slurm.run("scontrol", "update", "partitionname=grace", "maxtime=unlimited")
    assert "lower walltime_minutes to 90" in caught.value.change


def test_a_partition_that_is_down_is_a_note_where_slurm_takes_the_job(on_slurm: SlurmCluster, tmp_path: Path) -> None:
    on_slurm.run("scontrol", "update", "partitionname=grace", "state=down")
    try:
        with pytest.raises(Doubt, match="grace is DOWN"):
            check_partition(plan(tmp_path / "run", partition="grace", memory_gib=1))
    finally:
        on_slurm.run("scontrol", "update", "partitionname=grace", "state=up")


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({"cpus": 100}, r"no node of low has 100 CPUs, 16 GiB; the largest .* has 8 CPUs, 15\.6 GiB"),
        ({"memory_gib": 17}, "no node of low has 2 CPUs, 17 GiB"),
        ({"gres": "gpu:3"}, "gres gpu:3: a node of low has 2; there is gpu:2"),
        ({"gres": "gpu:a100:1"}, "gres gpu:a100:1: a node of low has 0"),
        ({"gres": "tpu:1"}, "gres tpu:1: a node of low has 0"),
        ({"partition": "low,grace", "gres": "gres:gpu:3"}, "gres gres:gpu:3: a node of low,grace has 2"),
    ],
)
def test_more_than_a_node_has_is_refused(
    on_slurm: SlurmCluster, tmp_path: Path, settings: dict[str, Any], found: str
) -> None:
    with pytest.raises(Mistake, match=found):
        check_nodes(plan(tmp_path / "run", **settings))


def test_the_1m_stage_is_refused_on_nodes_too_small_for_it(on_slurm: SlurmCluster, tmp_path: Path) -> None:
    overrides = ("training.total_steps=1e6", "training.learning_starts=10_000", "replay.capacity=1e6")

    found = {finding.check: finding for finding in examine(plan(tmp_path / "run", *overrides, memory_gib=6))}

    assert found["memory"].status == "mistake"
    assert "replay buffer" in found["memory"].found
    assert "of the job's 6.0 GiB" in found["memory"].found
    assert found["memory"].change.startswith("raise memory_gib to 9")


def test_an_account_that_is_not_the_users_is_a_note_where_slurm_does_not_enforce_it(
    on_slurm: SlurmCluster, tmp_path: Path
) -> None:
    on_slurm.run("sacctmgr", "-i", "add", "account", "physics")
    on_slurm.run("sacctmgr", "-i", "add", "user", user(), "account=physics")

    assert check_account(plan(tmp_path / "run", account="physics")) == "account physics"
    assert check_account(plan(tmp_path / "run", account="PHYSICS")) == "account PHYSICS"
    with pytest.raises(Doubt, match=r"account phisics: not one of .*: .*physics"):
        check_account(plan(tmp_path / "run", account="phisics", memory_gib=1))
    with pytest.raises(Doubt, match="qos fast: not one of"):
        check_account(plan(tmp_path / "run", qos="fast", memory_gib=1))


def test_what_slurm_itself_refuses_is_told_in_its_words(on_slurm: SlurmCluster, tmp_path: Path) -> None:
    with pytest.raises(Mistake, match=r"Slurm refuses the job: .*feature"):
        check_queueing(plan(tmp_path / "run", constraint="nosuchfeature"))


def test_a_run_that_has_a_job_is_refused(on_slurm: SlurmCluster, tmp_path: Path) -> None:
    run = tmp_path / "run"
    again = plan(run, memory_gib=1, scratch=tmp_path)
    on_slurm.run("scontrol", "update", "partitionname=low", "state=down")  # so that it stays in the queue
    try:
        (job,) = submit(STAGE, again.profile, run, package=STAND_IN).jobs
        with pytest.raises(Mistake, match=rf"has job {job} already \(PENDING\)"):
            check_not_taken(again)
        on_slurm.run("scancel", job)
    finally:
        on_slurm.run("scontrol", "update", "partitionname=low", "state=up")
    on_slurm.wait_for_state(job, "CANCELLED")
    assert check_not_taken(again) == "no job or process works on it"


def test_a_controller_that_does_not_answer_is_said(
    slurm: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = tmp_path / "slurm.conf"
    text = Path(slurm.environment["SLURM_CONF"]).read_text()
    lost.write_text(text.replace(f"SlurmctldPort={slurm.environment['TD3_HPC_CLUSTER_PORT']}", "SlurmctldPort=1"))
    monkeypatch.setenv("SLURM_CONF", str(lost))

    with pytest.raises(Mistake, match=r"no answer from the controller: .*DOWN"):
        check_slurm(plan(tmp_path / "run"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("UNLIMITED", None), ("01:30:00", 90), ("2-00:00:00", 2880), ("1-01:02:03", 1502), ("00:10:00", 10)],
)
def test_time_limits_are_read(text: str, expected: int | None) -> None:
    assert minutes(text) == expected
