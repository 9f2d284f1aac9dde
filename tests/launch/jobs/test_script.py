"""The job's script is valid, readable bash that says what the profile says."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from td3_hpc.config.cluster import ClusterConfig
from td3_hpc.launch.jobs.freeze import FrozenImage
from td3_hpc.launch.jobs.script import job_name, render
from td3_hpc.launch.jobs.submission import load_cluster, show
from tests.paths import ROOT

RUN = Path("/shared/runs/1k")
IMAGE = FrozenImage(Path("/shared/images/it's.sif"), "123 456", "ab" * 32)


def script(**changes: Any) -> str:
    profile = ClusterConfig.model_validate({"container": {"image": IMAGE.path}, **changes})
    return render("1k", profile, RUN, IMAGE if profile.container else None)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"requeue": "chain"},
        {"nodes": 3},
        {"nodes": 2, "container": None},
        {"scheduler": "local"},
        {"container": None},
        {"modules": ["apptainer/1.3", "cuda"], "exclude": ["n1", "n2"]},
        {"container": {"image": "/i.sif", "gpu": "amd"}},
        {"container": {"image": "/i.sif", "gpu": "nvidia", "network": "loopback", "binds": ["/a b:/c:ro"]}},
    ],
)
def test_every_kind_of_script_is_valid_bash(changes: dict[str, Any]) -> None:
    checked = subprocess.run(["bash", "-n"], input=script(**changes), capture_output=True, text=True)

    assert (checked.returncode, checked.stderr) == (0, "")
    assert max(map(len, script(**changes).splitlines())) <= 140


@pytest.mark.parametrize("changes", [{}, {"requeue": "chain", "chain_length": 3}, {"scheduler": "local"}])
def test_every_kind_of_campaign_script_is_valid_bash(changes: dict[str, Any]) -> None:
    profile = ClusterConfig.model_validate({"container": {"image": IMAGE.path}, **changes})
    text = render("1k", profile, RUN.parent / "trial", IMAGE, campaign="trial")

    checked = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True)

    assert (checked.returncode, checked.stderr) == (0, "")
    assert max(map(len, text.splitlines())) <= 140


def test_the_driver_that_the_container_gets_is_of_the_nodes_gpus() -> None:
    def options(gpu: str) -> tuple[bool, bool, bool, bool]:
        text = script(container={"image": IMAGE.path, "gpu": gpu})
        words = ("  --nv\n", "  --rocm\n", "APPTAINERENV_CUDA_VISIBLE_DEVICES=", "APPTAINERENV_ROCR_VISIBLE_DEVICES=")
        return tuple(word in text for word in words)  # type: ignore[return-value]

    assert options("nvidia") == (True, False, True, False)
    assert options("amd") == (False, True, False, True)
    assert options("none") == (False, False, True, False)


def test_the_profile_becomes_sbatch_options() -> None:
    text = script(
        partition="gpu", account="me", qos="long", gres="gpu:1", constraint="a100", exclude=["n1", "n2"], cpus=6,
        memory_gib=1.5, walltime_minutes=90, signal_lead_s=120,
    )  # fmt: skip

    options = [line.removeprefix("#SBATCH ") for line in text.splitlines() if line.startswith("#SBATCH ")]
    assert options == [
        "--job-name=td3-1k",
        "--partition=gpu",
        "--account=me",
        "--qos=long",
        "--gres=gpu:1",
        "--constraint=a100",
        "--exclude=n1,n2",
        "--cpus-per-task=6",
        "--mem=1536M",
        "--time=90",
        "--nodes=1",
        "--ntasks=1",
        "--signal=USR1@120",
        "--requeue",
        "--open-mode=append",
        "--output=/shared/runs/1k/logs/slurm-%j.out",
    ]
    assert "srun --ntasks=1 --cpus-per-task=6 " in text


def test_what_some_sites_ask_for_becomes_sbatch_options() -> None:
    text = script(
        gpus_per_node="a100:1", gpu_bind="closest", cpus_per_gpu=8, hint="nomultithread", exclusive=True,
        mem_per_gpu=20, reservation="course", licenses="carla:1", mail_type="END,FAIL", mail_user="a@b.org",
        nice=0, comment="it's #1 \"x\"", clusters="cm4", sbatch={"wckey": "w", "contiguous": True},
    )  # fmt: skip

    options = [line.removeprefix("#SBATCH --") for line in text.splitlines() if line.startswith("#SBATCH ")]
    assert options[1:-6] == [
        "clusters=cm4",
        "reservation=course",
        "gpus-per-node=a100:1",
        "gpu-bind=closest",
        "cpus-per-gpu=8",
        "hint=nomultithread",
        "mem-per-gpu=20480M",
        "time=240",
        "licenses=carla:1",
        "mail-type=END,FAIL",
        "mail-user=a@b.org",
        "nice=0",
        'comment="it\'s #1 \\"x\\""',
        "exclusive",
        "wckey=w",
        "contiguous",
    ]
    assert "srun --ntasks=1 --cpus-per-task=8 --gpu-bind=closest --hint=nomultithread " in text


def test_memory_that_is_left_out_is_left_to_the_site() -> None:
    assert "#SBATCH --mem" not in script()
    assert "#SBATCH --mem-per-cpu=1536M\n" in script(mem_per_cpu=1.5)


def test_a_chain_waits_its_turn_and_is_not_requeued() -> None:
    text = script(requeue="chain")

    assert "#SBATCH --dependency=singleton\n" in text
    assert "#SBATCH --no-requeue\n" in text
    assert "scontrol requeue" not in text


def test_a_local_script_needs_no_slurm() -> None:
    text = script(scheduler="local")

    assert "#SBATCH" not in text
    assert "srun" not in text.replace("nsrun", "")
    assert "scontrol" not in text


def test_runs_of_one_stage_have_names_of_their_own() -> None:
    profile = ClusterConfig()
    assert job_name("1k", Path("/runs/1k"), profile) == "td3-1k"
    assert job_name("1k", Path("/runs/seed-2"), profile) == "td3-1k-seed-2"


def test_chains_of_two_runs_never_wait_for_each_other() -> None:
    """A dependency of kind singleton goes by the name."""
    names = [job_name("1k", Path(folder) / "seed-1", ClusterConfig(requeue="chain")) for folder in ("/a", "/b")]
    assert len(set(names)) == 2
    assert all(name.startswith("td3-1k-seed-1-") for name in names)


def test_the_script_in_the_repository_is_what_print_shows_for_the_example_profile() -> None:
    """`td3-hpc submit configs/stages/1k.yaml --cluster example --print`, on a machine without the image."""
    profile = load_cluster(str(ROOT / "configs/clusters/example.yaml"))

    expected = show(ROOT / "configs/stages/1k.yaml", profile)

    path = ROOT / "slurm" / "stage.sbatch"
    assert path.read_text() == expected, f"{path} is out of date; it should be:\n{expected}"


LEFT_OVER = {
    "SLURM_EXPORT_ENV": "NONE", "SLURM_MEM_PER_CPU": "100", "SLURM_CPU_BIND": "none", "SLURM_TRES_PER_TASK": "cpu=1",
    "SRUN_CPUS_PER_TASK": "9", "SBATCH_TIMELIMIT": "1", "SBATCH_EXPORT": "NONE", "SQUEUE_PARTITION": "other",
    "SINFO_FORMAT": "%N", "SALLOC_ACCOUNT": "x", "APPTAINERENV_LD_PRELOAD": "/x.so", "SINGULARITY_BIND": "/nowhere",
}  # fmt: skip
KEPT = {"SLURM_JOB_ID": "7", "SLURM_RESTART_COUNT": "2", "SLURM_CONF": "/c", "SLURM_TMPDIR": "/scratch/7"}


def test_what_is_left_in_the_environment_does_not_steer_the_job() -> None:
    text = script()
    first, last = text.index("say() {"), text.index("# The furthest step")
    program = f"set -u; job=7 attempt=2 node=n1\n{text[first:last]}env"
    command = ["bash", "-c", program]

    result = subprocess.run(command, env={**LEFT_OVER, **KEPT}, capture_output=True, text=True, check=True)

    said, *lines = result.stdout.splitlines()
    assert said.endswith(
        "SBATCH_TIMELIMIT=1 was in the environment of sbatch, which puts it before what the profile says"
    )
    found = dict(line.split("=", 1) for line in lines)
    assert found.keys() - KEPT.keys() <= {"HOME", "PATH", "PWD", "SHLVL", "_"}
    assert KEPT.items() <= found.items()
    assert found["HOME"] == str(Path.home())
    assert "/usr/bin" in found["PATH"]


@pytest.mark.parametrize(
    ("scratch", "expected"),
    [
        ("/tmp", "/tmp"),
        ("/it's #1", "/it's #1"),
        ("~", "/home/me"),
        ("~/x y", "/home/me/x y"),
        ("$SLURM_TMPDIR", "/local/7"),
        ("${SLURM_TMPDIR}/td3", "/local/7/td3"),
        ("/scratch/$USER/`id`", "/scratch/me/`id`"),
        ("$NOWHERE/x", "not-set/x"),
    ],
)
def test_scratch_is_what_the_node_says(scratch: str, expected: str) -> None:
    text = script(scratch=scratch)
    (line,) = [line for line in text.splitlines() if line.startswith("scratch=") and "td3-hpc-" not in line]
    there = {"HOME": "/home/me", "SLURM_TMPDIR": "/local/7", "USER": "me"}

    result = subprocess.run(
        ["bash", "-c", f'set -u; {line}; echo "$scratch"'], env=there, capture_output=True, text=True
    )

    assert result.stdout == f"{expected}\n", result.stderr
    assert ("[[ $scratch = /* ]] || node_lacks" in text) == (scratch[0] in "~$" or "$" in scratch)


def test_singularity_is_used_where_apptainer_is_not_there(tmp_path: Path) -> None:
    text = script(container={"image": "/i.sif"})
    first, last = text.index("apptainer=("), text.index('say "start')
    end = text.index("# What killed jobs")
    rest = text[text.index("export APPTAINERENV_PYTHONUNBUFFERED") : last]
    program = (
        f'node_lacks() {{ echo "lacks: $1"; exit 2; }}\nset -u; run=/r scratch=/s image=/i\n{text[first:end]}{rest}'
    )
    program += 'echo "${python[@]}"; env'

    def run(*names: str) -> str:
        for path in tmp_path.iterdir():
            path.unlink()
        for name in (*names, "env"):
            (tmp_path / name).symlink_to("/usr/bin/env")
        result = subprocess.run(
            ["/bin/bash", "-c", program], env={"PATH": str(tmp_path)}, capture_output=True, text=True
        )
        return result.stdout + result.stderr

    assert run("apptainer", "singularity").startswith("apptainer --silent exec --no-eval --containall ")
    told = run("singularity")
    assert told.startswith("singularity --silent exec --containall ")
    assert "SINGULARITYENV_PYTHONUNBUFFERED=1" in told
    assert run().startswith("lacks: no apptainer on this node")


@pytest.mark.parametrize("mode", [0o600, 0o640])
def test_the_job_reads_the_containers_secrets_on_its_node(tmp_path: Path, mode: int) -> None:
    secret = tmp_path / "it's a key"
    secret.write_text("T0KEN\n")
    secret.chmod(mode)
    text = script(container={"image": "/i.sif", "environment": {"A": "env:HOOK", "B": f"file:~/{secret.name}"}})
    first, last = text.index('[ -n "${HOOK'), text.index("python=(")
    program = f'node_lacks() {{ echo "lacks: $1"; exit 2; }}\nset -u\n{text[first:last]}env | grep APPTAINERENV_'

    def run(**environment: str) -> tuple[int, str]:
        command = ["bash", "-c", program]
        result = subprocess.run(command, capture_output=True, text=True, env={"HOME": str(tmp_path), **environment})
        return result.returncode, result.stdout

    assert "T0KEN" not in text
    assert run() == (2, "lacks: the job's environment has no HOOK, which container.environment.A names\n")
    status, output = run(HOOK="https://x.org/a b")
    if mode == 0o600:
        assert sorted(output.splitlines()) == ["APPTAINERENV_A=https://x.org/a b", "APPTAINERENV_B=T0KEN"]
    else:
        assert status == 2
        assert "is not on this node with mode 0600" in output
