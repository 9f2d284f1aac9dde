"""The device that the stage is to train on: asked for, brought in, and there."""

from pathlib import Path

import pytest
import torch

from td3_hpc.errors import BadInput
from td3_hpc.launch.preflight.device import check_device, check_pretrained
from td3_hpc.launch.preflight.finding import Doubt, Mistake
from td3_hpc.training.pretrained import EncoderFile, write_encoder
from tests.launch.preflight.plans import plan

CUDA = "training.device=cuda"


def test_any_device_will_do_unless_one_is_asked_for(tmp_path: Path) -> None:
    assert check_device(plan(tmp_path / "run")) == "a GPU where there is one, else the CPU"
    assert check_device(plan(tmp_path / "run", "training.device=cpu")) == "the CPU"


def test_a_gpu_must_be_asked_of_slurm_and_brought_into_the_container(tmp_path: Path) -> None:
    run = tmp_path / "run"

    with pytest.raises(Mistake, match="the profile asks for no GPU") as caught:
        check_device(plan(run, CUDA, scheduler="slurm"))
    assert caught.value.change == "set gres: gpu:1 in configs/clusters/here.yaml"
    with pytest.raises(Mistake, match="without the driver"):
        check_device(plan(run, CUDA, scheduler="slurm", gres="gpu:1", container={"image": "/i.sif"}))
    with_driver = {"image": "/i.sif", "gpu": "nvidia"}
    with pytest.raises(Doubt, match="asks for no GPU: right where a partition's nodes come whole"):
        check_device(plan(run, CUDA, scheduler="slurm", container=with_driver))
    assert "gpu:1" in check_device(plan(run, CUDA, scheduler="slurm", gres="gpu:1", container=with_driver))


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_this_machine_has_none(tmp_path: Path) -> None:
    with pytest.raises(Mistake, match=f"PyTorch {torch.__version__.replace('+', '.')} for .*") as caught:
        check_device(plan(tmp_path / "run", CUDA))
    assert caught.value.change


def test_bfloat16_on_this_machine_is_a_mistake_unless_it_computes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = plan(tmp_path / "run", "training.device=cpu", "agent.precision=bfloat16")
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    with pytest.raises(Mistake, match="bfloat16, which the processor does not compute"):
        check_device(here)
    on_slurm = plan(tmp_path / "run", "training.device=cpu", "agent.precision=bfloat16", scheduler="slurm")
    assert check_device(on_slurm) == "the CPU", "a compute node's processor is not this one"


def test_the_encoder_that_a_run_begins_with_must_be_seen_by_the_job_and_fit(tmp_path: Path) -> None:
    run, path = tmp_path / "run", tmp_path / "distances.h5"
    assert check_pretrained(plan(run)) == "none is asked for"
    asked = ("agent.encoder=distances", f"agent.pretrained={path}")
    with pytest.raises(BadInput, match=r"encoder distances says nothing until it is trained: make a file with td3-hpc"):
        check_pretrained(plan(run, asked[0]))
    with pytest.raises(Mistake, match=r"agent\.pretrained .*distances\.h5: no such file"):
        check_pretrained(plan(run, *asked))
    write_encoder(path, EncoderFile("distances", {}, "", {}))
    assert check_pretrained(plan(run, *asked)) == str(path)
    with pytest.raises(BadInput, match=r"set agent\.encoder to distances"):
        check_pretrained(plan(run, asked[1]))
    with pytest.raises(Mistake, match="the job runs in its run directory"):
        check_pretrained(plan(run, "agent.pretrained=distances.h5"))
