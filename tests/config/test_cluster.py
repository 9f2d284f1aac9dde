"""What a profile says of one site: alternatives that exclude each other, and what follows from them."""

from pathlib import Path
from typing import Any

import pytest

from td3_hpc.config import dump_yaml, parse_yaml, validate
from td3_hpc.config.cluster import ClusterConfig
from td3_hpc.errors import BadInput

FULL = {
    "gpus_per_node": "a100:2", "gpu_bind": "closest", "cpus_per_gpu": 8, "hint": "nomultithread", "exclusive": "user",
    "mem_per_gpu": 40.0, "reservation": "course", "licenses": "carla:1", "mail_type": "END,FAIL",
    "mail_user": "a@b.org", "nice": 100, "comment": "a 'quoted' \"comment\"", "clusters": "cm4",
    "sbatch": {"wckey": "w", "contiguous": True},
}  # fmt: skip


def load(**values: Any) -> ClusterConfig:
    return validate(ClusterConfig, values, "site.yaml")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"memory_gib": 4, "mem_per_cpu": 1}, "memory_gib and mem_per_cpu: each tells the job's memory"),
        ({"mem_per_cpu": 1, "mem_per_gpu": 1, "gres": "gpu:1"}, "mem_per_cpu and mem_per_gpu: "),
        ({"mem_per_gpu": 4}, "mem_per_gpu: of how many GPUs?"),
        ({"gpus": 1, "gpus_per_node": 1}, "gpus and gpus_per_node: each tells the job's GPUs"),
        ({"gpus": 1, "gres": "gpu:1"}, "gpus and gres: "),
        ({"gpus": 2, "nodes": 2}, "gpus counts those of the whole job"),
        ({"cpus": 4, "cpus_per_gpu": 8, "gpus": 1}, "cpus (4) and cpus_per_gpu (8 for each of 1): leave one out"),
        ({"cpus_per_gpu": 8}, "cpus_per_gpu: of how many GPUs?"),
        ({"scratch": "tmp/x"}, "scratch: tmp/x: not an absolute path"),
        ({"scratch": "~other/x"}, "scratch: ~other/x: not an absolute path"),
        ({"scratch": "${SLURM_TMPDIR:-/tmp}"}, "scratch: ${SLURM_TMPDIR:-/tmp}: of variables, only $NAME and ${NAME}"),
        ({"scratch": "/local/${USER:-me}"}, "scratch: /local/${USER:-me}: of variables, only"),
        ({"scratch": "/scratch/$(id)"}, "scratch: /scratch/$(id): of variables, only"),
        ({"runs": "$NOT_SET_HERE/runs"}, "runs: $NOT_SET_HERE/runs: not set here; write the path in full"),
        ({"runs": "~no-such-user/x"}, "runs: ~no-such-user/x: not set here"),
        ({"container": {"image": "${NOT_SET_HERE}/i.sif"}}, "container.image: ${NOT_SET_HERE}/i.sif: not set here"),
        ({"clusters": "a,b"}, "clusters: name one"),
        ({"comment": "two\nlines"}, "comment: holds a line end"),
        ({"hint": "fast"}, "hint: input should be 'compute_bound'"),
        ({"sbatch": {"mem": "4G"}}, "sbatch: mem: set the profile's own key memory_gib in its place"),
        ({"sbatch": {"cpus_per_task": 4}}, "sbatch: cpus_per_task: set the profile's own key cpus in its place"),
        ({"sbatch": {"--output": "/x"}}, "sbatch: --output: is set by the job itself; leave it out"),
        ({"sbatch": {"C": "x"}}, "sbatch: C: not the long name of an option"),
        ({"sbatch": {"wckey": "two\nlines"}}, "sbatch: wckey: holds a line end"),
    ],
)
def test_contradictions_are_one_line_that_names_file_and_key(values: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput) as caught:
        load(**values)

    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"site.yaml: {message}")


def test_paths_on_the_shared_file_system_are_expanded_where_the_profile_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("SCRATCH", "/scratch/me")

    profile = load(runs="$SCRATCH/runs", container={"image": "~/images/carla.sif"}, scratch="$SCRATCH")

    assert profile.runs == Path("/scratch/me/runs")
    assert profile.container is not None
    assert profile.container.image == Path("/home/me/images/carla.sif")
    assert profile.scratch == Path("$SCRATCH"), "that is the node's"


@pytest.mark.parametrize(
    ("values", "memory", "gpus", "cpus"),
    [
        ({}, None, None, 4),
        ({"memory_gib": 6}, 6, None, 4),
        ({"mem_per_cpu": 1.5, "cpus": 8}, 12, None, 8),
        ({"mem_per_gpu": 20, "gres": "gpu:a100:2,shard:1"}, 40, 2, 4),
        ({"mem_per_gpu": 20, "gpus": "a100:1,v100:2", "cpus_per_gpu": 3}, 60, 3, 9),
        ({"gres": "gres/gpu=3"}, None, 3, 4),
        ({"gres": "gres:gpu"}, None, 1, 4),
        ({"gres": "tpu:1"}, None, None, 4),
    ],
)
def test_memory_gpus_and_cpus_of_a_node(
    values: dict[str, Any], memory: float | None, gpus: int | None, cpus: int
) -> None:
    profile = load(**values)

    assert (profile.memory_of_a_node_gib, profile.gpus_on_a_node, profile.cpus) == (memory, gpus, cpus)


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("90", 90),
        ("4:00:00", 240),
        ("90:00", 90),
        ("0:30", 1),
        ("2-12", 3600),
        ("1-06:30", 1830),
        ("1-00:00:30", 1441),
        ("'00:20:00'", 20),
    ],
)
def test_a_walltime_is_read_as_slurm_reads_it(text: str, minutes: int) -> None:
    profile = validate(ClusterConfig, parse_yaml(f"walltime: {text}\nsignal_lead_s: 30", "p"), "p")

    assert (profile.walltime, profile.walltime_minutes) == (None, minutes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("walltime: soon", "walltime (soon): write it as Slurm does"),
        ("walltime: 0", "walltime (0): write it as Slurm does"),
        ("walltime: UNLIMITED", "walltime (UNLIMITED): write it as Slurm does"),
        ("walltime: 4:00:00\nwalltime_minutes: 30", "walltime (4:00:00) and walltime_minutes (30): leave one out"),
        ("walltime_minutes: 4:00:00", "walltime_minutes: 4:00:00 is no number of minutes; write walltime: 4:00:00"),
    ],
)
def test_a_walltime_that_is_none_is_refused(text: str, message: str) -> None:
    with pytest.raises(BadInput) as caught:
        validate(ClusterConfig, parse_yaml(text, "p"), "p")

    assert str(caught.value).startswith(f"p: {message}")


@pytest.mark.parametrize(
    ("exclude", "names"),
    [
        ("n[1-2]", ["n1", "n2"]),
        (["n[1-2]", "m7"], ["n1", "n2", "m7"]),
        ("n[08-10,7],m1", ["n08", "n09", "n10", "n7", "m1"]),
        ("rack[0-1]n[1-2]-ib", ["rack0n1-ib", "rack0n2-ib", "rack1n1-ib", "rack1n2-ib"]),
        ([], []),
    ],
)
def test_excluded_nodes_are_named_as_slurm_does(exclude: Any, names: list[str]) -> None:
    profile = load(exclude=exclude)

    assert profile.exclude == names
    assert load(**profile.model_dump()).exclude == names


@pytest.mark.parametrize("exclude", ["n[2-1]", "n[1", "n[a]", "n1,,n2", "n[]"])
def test_what_names_no_nodes_is_refused(exclude: str) -> None:
    with pytest.raises(BadInput, match=r"exclude: .*write (it|them) as "):
        load(exclude=exclude)


def test_a_frozen_profile_means_what_was_submitted() -> None:
    profile = load(**FULL)

    assert validate(ClusterConfig, parse_yaml(dump_yaml(profile), "frozen"), "frozen") == profile
    assert profile.cpus == 16


@pytest.mark.parametrize(
    ("written", "gpu"),
    [({"nvidia": True}, "nvidia"), ({"nvidia": False}, "none"), ({}, "none"), ({"gpu": "amd"}, "amd")],
)
def test_profiles_frozen_before_gpu_was_a_key_are_read(written: dict[str, Any], gpu: str) -> None:
    profile = load(container={"image": "/i.sif", **written})

    assert profile.container is not None
    assert profile.container.gpu == gpu
    assert "nvidia: true" not in dump_yaml(profile)


def test_a_gpu_that_the_old_key_contradicts_is_refused() -> None:
    with pytest.raises(BadInput, match=r"container: gpu \(amd\) and nvidia \(true\): leave nvidia out"):
        load(container={"image": "/i.sif", "gpu": "amd", "nvidia": True})


def test_carla_renders_with_nvidias_driver_alone() -> None:
    def word(**values: Any) -> str:
        return load(container={"image": "/i.sif", **values}).no_carla or "none"

    assert word(gpu="nvidia") == "none"
    assert "none for AMD's GPUs" in word(gpu="amd")
    assert "without a GPU's driver" in word(gpu="none")
    assert load().no_carla is None
