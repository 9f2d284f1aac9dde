"""How a run computes: what it keeps of its checkpoint, what is refused, and that freed memory is kept."""

import resource
import statistics

import pytest
import torch

from td3_hpc.config import StageConfig, apply_overrides
from td3_hpc.errors import BadInput
from td3_hpc.td3.kernels import computes_bfloat16
from td3_hpc.training.device import check_precision, choose_kernels, keep_memory
from td3_hpc.training.state import differences, provenance
from tests.small_stage import SMALL

CPU = torch.device("cpu")
BFLOAT16 = {"agent.precision": "bfloat16"}


def stage(*overrides: str) -> StageConfig:
    return StageConfig.model_validate(apply_overrides(SMALL, overrides))


def test_a_run_keeps_the_kernels_of_its_checkpoint_whatever_the_table_says() -> None:
    for kernels in ("plain", "convolution", "rows"):
        saved = provenance(CPU, 2, kernels)
        assert choose_kernels(stage(), CPU, saved) == kernels
        assert differences(saved, provenance(CPU, 2, kernels), "float32") == []


def test_a_checkpoint_from_before_there_was_a_choice_goes_on_as_it_was() -> None:
    saved = provenance(CPU, 2, "convolution")
    del saved["kernels"]
    assert choose_kernels(stage(), CPU, saved) == "convolution"
    assert differences(saved, provenance(CPU, 2, "convolution"), "float32") == []


def test_other_kernels_are_the_reason_why_a_run_is_not_exact() -> None:
    saved = provenance(CPU, 2, "convolution")
    now = choose_kernels(stage("training.kernels=rows"), CPU, saved)
    assert differences(saved, provenance(CPU, 2, now), "float32") == ["kernels was convolution, is rows"]


def test_bfloat16_is_refused_where_it_is_not_computed(make_run, monkeypatch) -> None:
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    run = make_run("run", **BFLOAT16)
    code, output = run.train("-o", "training.device=cpu")
    assert code == 2
    (line,) = [line for line in output.splitlines() if line.strip()]
    assert "agent.precision: bfloat16 is not computed by this processor" in line
    assert "set it to float32" in line
    assert not run.directory.exists(), "refused before anything is begun"


def test_where_it_is_computed_bfloat16_is_let_through(monkeypatch) -> None:
    check_precision(stage(), CPU)
    monkeypatch.setattr("td3_hpc.td3.kernels.computes_bfloat16", lambda device: True)
    check_precision(stage("agent.precision=bfloat16"), CPU)
    monkeypatch.undo()
    if not computes_bfloat16(CPU):
        with pytest.raises(BadInput):
            check_precision(stage("agent.precision=bfloat16"), CPU)


def test_freed_blocks_are_used_again() -> None:
    keep_memory()
    faults = []
    for _ in range(21):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        torch.zeros(4 << 20)  # 16 MiB: 4096 pages
        faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    assert statistics.median(faults) < 1024
