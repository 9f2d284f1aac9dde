"""What sites' Slurm answers that the test cluster's does not: nothing that it takes is refused."""

from pathlib import Path
from typing import Any

import pytest

from td3_hpc.launch.preflight import Plan, examine, mistakes
from td3_hpc.launch.preflight.cluster import (
    check_account,
    check_nodes,
    check_partition,
    check_preemption,
    check_queueing,
)
from td3_hpc.launch.preflight.finding import Doubt, Mistake
from tests.launch.preflight.plans import doctor
from tests.launch.preflight.plans import plan as make_plan
from tests.launch.site import Site

PARTITIONS = "\n".join(
    f"PartitionName={name} Default={default} GraceTime=0 MaxTime={limit} PreemptMode=OFF State={state} TotalNodes=1"
    for name, default, limit, state in (
        ("cpu", "YES", "2-00:00:00", "UP"),
        ("gpu", "NO", "2-00:00:00", "UP"),
        ("owners", "NO", "UNLIMITED", "UP"),
        ("short", "NO", "00:30:00", "UP"),
        ("old", "NO", "UNLIMITED", "DOWN"),
    )
)
NODES = """NodeName=g001 Arch=x86_64 CPUTot=64 RealMemory=500000 Gres=gpu:a100:4(S:0-1) State=IDLE Partitions=gpu,owners
NodeName=c001 Arch=x86_64 CPUTot=64 RealMemory=250000 Gres=(null) State=IDLE+DRAIN Partitions=cpu,short,old"""
TAKEN = {"stderr": "sbatch: Job 99 to start at 2026-11-28T15:00:00 using 8 processors on nodes g001", "status": 0}
REFUSED = {"stderr": "sbatch: error: Batch job submission failed: Invalid account", "status": 1}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """One whose Slurm takes the job."""
    site = Site(tmp_path, monkeypatch)
    site.answer(
        **{
            "scontrol ping": "Slurmctld(primary) at mgmt01 is UP",
            "scontrol show partition": PARTITIONS,
            "scontrol show node": NODES,
            "scontrol show config": "KillWait                = 30 sec\nAccountingStorageEnforce = associations,qos",
            "sacctmgr": "abc123|normal,gpu\ndef-prof_gpu|normal",
            "sinfo": "slurm 23.02.7",
            "sbatch": TAKEN,
        }
    )
    return site


def plan(tmp_path: Path, **settings: Any) -> Plan:
    return make_plan(tmp_path / "run", **{"scheduler": "slurm", "scratch": tmp_path, **settings})


CHECKS = ("Slurm", "partition", "account and QoS", "nodes", "sbatch --test-only", "preemption")


@pytest.mark.parametrize(
    "settings",
    [
        {"partition": "gpu", "account": "ABC123", "qos": "GPU"},
        {"partition": "gpu,owners"},
        {"partition": "gpu", "gres": "gres:gpu:1"},
        {"partition": "gpu", "gres": "gpu"},
        {"partition": "gpu", "gpus": "a100:2", "mem_per_gpu": 100, "cpus_per_gpu": 8},
        {"partition": "hidden"},
        {"partition": None, "qos": "regular", "account": "m1234_g"},
        {"partition": "short"},
        {"partition": "old"},
        {"partition": "gpu", "gres": "mps:50"},
        {"partition": "cpu", "memory_gib": 4000},
        {"partition": "cpu", "exclude": ["c001"]},
    ],
)
def test_nothing_is_refused_that_slurm_itself_takes(site: Site, tmp_path: Path, settings: dict[str, Any]) -> None:
    findings = [finding for finding in examine(plan(tmp_path, **settings)) if finding.check in CHECKS]

    assert {finding.check for finding in findings} == set(CHECKS)
    assert mistakes(findings) == []


@pytest.mark.parametrize(
    ("check", "settings", "found"),
    [
        (check_partition, {"partition": "gpu,lwo"}, "partition lwo: there is none of this name; there are: cpu, gpu,"),
        (check_partition, {"partition": "old"}, "old is DOWN"),
        (
            check_partition,
            {"partition": "short"},
            "short: up, at most 00:30:00 .*; the profile asks for 240",
        ),
        (check_account, {"account": "xyz"}, "account xyz: not one of .*, which are: abc123, def-prof_gpu"),
        (check_account, {"qos": "fast"}, "qos fast: not one of .*, which are: gpu, normal"),
        (check_nodes, {"partition": "gpu", "gres": "gres:gpu:5"}, "gres gres:gpu:5: a node of gpu has 4"),
        (check_nodes, {"partition": "gpu", "gpus_per_node": "h100:1"}, "gres gpu:h100:1: a node of gpu has 0"),
        (check_nodes, {"partition": "gpu", "mem_per_cpu": 100, "cpus": 8}, "no node of gpu has 8 CPUs, 800 GiB"),
        (check_queueing, {"partition": "gpu"}, "Slurm refuses the job: Batch job submission failed: Invalid account"),
    ],
)
def test_what_slurm_refuses_is_refused_for_what_it_is(
    site: Site, tmp_path: Path, check: Any, settings: dict[str, Any], found: str
) -> None:
    site.answer(sbatch=REFUSED)

    with pytest.raises(Mistake, match=found):
        check(plan(tmp_path, **settings))


def test_nodes_that_are_all_drained_are_a_note(site: Site, tmp_path: Path) -> None:
    with pytest.raises(Doubt, match=r"every node of cpu with .* is down or drained now, and the job will wait"):
        check_nodes(plan(tmp_path))


def test_one_partition_of_several_that_fits_is_enough(site: Site, tmp_path: Path) -> None:
    site.answer(sbatch=REFUSED)

    with pytest.raises(Doubt, match=r"short: up.*asks for 240 minutes") as caught:
        check_partition(plan(tmp_path, partition="gpu,short"))
    assert "leave that partition out" in caught.value.change
    assert "of 2 nodes of gpu,cpu" in check_nodes(plan(tmp_path, partition="gpu,cpu"))


def test_without_a_default_partition_there_is_a_note(site: Site, tmp_path: Path) -> None:
    site.answer(**{"scontrol show partition": PARTITIONS.replace("YES", "NO")})

    with pytest.raises(Doubt, match="this Slurm shows no default partition; there are: cpu, gpu"):
        check_partition(plan(tmp_path))
    assert check_queueing(plan(tmp_path)).startswith("Job 99 to start")


def test_slurm_is_asked_once_whether_it_takes_the_job(site: Site, tmp_path: Path) -> None:
    examine(plan(tmp_path, partition="hidden", account="xyz", clusters="cm4"))

    assert [call[:4] for call in site.calls("sbatch")] == [["sbatch", "-M", "cm4", "--test-only"]]
    assert all("cm4" in " ".join(call) for call in site.calls() if "--version" not in call)


@pytest.mark.parametrize(
    ("mode", "grace", "requeue", "doubt"),
    [
        ("CANCEL", 0, "slurm", True),
        ("CANCEL", 60, "slurm", False),
        ("CANCEL", 0, "chain", False),
        ("REQUEUE", 0, "slurm", False),
    ],
)
def test_a_partition_whose_preempted_jobs_are_cancelled_needs_a_chain(
    site: Site, tmp_path: Path, mode: str, grace: int, requeue: str, doubt: bool
) -> None:
    shown = PARTITIONS.replace("PreemptMode=OFF", f"PreemptMode={mode}").replace("GraceTime=0", f"GraceTime={grace}")
    site.answer(**{"scontrol show partition": shown})
    settings = {"scheduler": "slurm", "scratch": tmp_path, "partition": "gpu", "requeue": requeue}
    tried = make_plan(tmp_path / "run", result=doctor(), **settings)

    if doubt:
        with pytest.raises(Doubt, match="of gpu is cancelled without a grace time") as caught:
            check_preemption(tried)
        assert "requeue: chain" in caught.value.change
    else:
        assert "to save in" in check_preemption(tried)
