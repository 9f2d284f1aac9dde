"""Which way of computing is taken on which processor, by what is asked for, and what a run keeps."""

import os
import subprocess
import sys

import pytest
import torch

from td3_hpc.config import AgentConfig
from td3_hpc.errors import BadInput
from td3_hpc.td3 import TD3Agent, kernels
from td3_hpc.td3.kernels import KERNELS, TABLE, before_there_was_a_choice, choose, computes_bfloat16, fastest
from tests.td3.batches import random_batch

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
FLAGS = {"AVX512": {"avx512_bf16"}, "AVX2": {"avx2"}, "DEFAULT": set[str]()}
SHOW = (
    "import torch; from td3_hpc.td3.kernels import *; "
    "print(processor_kind(), fastest(torch.device('cpu'), 'float32', 1), computes_bfloat16(torch.device('cpu')))"
)


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch):
    """Pretend to be a processor of a kind."""

    def pretend(kind: str, onednn: str = "") -> None:
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: kind)
        monkeypatch.setattr(kernels, "_processor_flags", lambda: FLAGS[kind])
        monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", onednn)

    return pretend


@pytest.mark.parametrize(
    ("kind", "onednn", "precision", "taken", "bfloat16"),
    [
        ("AVX2", "", "float32", "rows", False),
        ("AVX512", "", "float32", "convolution", True),
        ("AVX512", "", "bfloat16", "plain", True),
        ("AVX512", "AVX2", "float32", "rows", False),
        ("AVX512", "avx512_core", "float32", "convolution", False),
        ("DEFAULT", "", "float32", "rows", False),
        ("AVX2", "", "bfloat16", "plain", False),
    ],
)
def test_the_path_taken_on_each_kind_of_processor(on, kind, onednn, precision, taken, bfloat16):
    on(kind, onednn)
    assert fastest(CPU, precision, 1) == taken
    assert computes_bfloat16(CPU) == bfloat16
    cnn = TD3Agent(AgentConfig(precision=precision), "cpu", 1).actor.cnn
    assert cnn.kernels == KERNELS[taken]


def test_the_path_taken_is_the_one_computed():
    """What PyTorch is asked for: 16 channels and a matrix product, or four and a convolution."""
    for name, (channels, convolutions) in {"rows": (16, 3), "plain": (4, 3), "convolution": (4, 4)}.items():
        agent = TD3Agent(AgentConfig(), "cpu", 1, kernels=name)
        with torch.profiler.profile(record_shapes=True) as profile:
            agent.update(random_batch(2, 1))
        found = [event.input_shapes for event in profile.events() if event.name == "aten::conv2d"]
        assert len(found) == 3 * convolutions, "the critics, both targets"
        assert [shapes[0][1] for shapes in found if shapes[0][3] == 84] == 3 * [channels]


@pytest.mark.parametrize("held", [{"ATEN_CPU_CAPABILITY": "avx2"}, {"ONEDNN_MAX_CPU_ISA": "AVX2"}])
def test_a_newer_processor_that_is_held_back_takes_the_older_one_s_path(held):
    command = [sys.executable, "-c", SHOW]
    done = subprocess.run(command, env={**os.environ, **held}, capture_output=True, text=True, check=True)
    assert done.stdout == "AVX2 rows False\n"


def test_the_nearest_row_of_the_table_counts(on, monkeypatch):
    on("AVX512")
    rows = [
        kernels.Measured("AVX512", (2, 13), 1, "float32", "a"),
        kernels.Measured("AVX512", (2, 13), 4, "float32", "b"),
        kernels.Measured("AVX512", (3, 0), 1, "float32", "c"),
    ]
    monkeypatch.setattr(kernels, "TABLE", rows)
    for version, threads, taken in (("2.13.0+cpu", 1, "a"), ("2.14.1", 16, "b"), ("3.1.0", 16, "c"), ("2.5.0", 2, "a")):
        monkeypatch.setattr(torch, "__version__", version)
        assert fastest(CPU, "float32", threads) == taken


def test_every_row_names_kernels_that_there_are_once():
    assert {row.fastest for row in TABLE} <= KERNELS.keys() == kernels.DEVICES.keys()
    assert len({(row.processor, row.torch, row.threads, row.precision) for row in TABLE}) == len(TABLE)


def test_what_is_asked_for_comes_before_what_was_and_that_before_the_table(on):
    on("AVX2")
    assert choose("auto", None, CPU, "float32", 1) == "rows"
    assert choose("auto", "convolution", CPU, "float32", 1) == "convolution"
    assert choose("plain", "convolution", CPU, "float32", 1) == "plain"
    assert choose("auto", "of a later version", CPU, "float32", 1) == "rows"


def test_a_gpu_takes_no_cpu_s_path():
    assert choose("auto", "convolution", CUDA, "float32", 1) == "plain"
    with pytest.raises(BadInput, match=r"^training\.kernels: rows are for the CPU, .* cuda; set it to auto$"):
        choose("rows", None, CUDA, "float32", 1)


def test_a_checkpoint_that_names_none_was_computed_as_versions_without_a_choice_did():
    assert before_there_was_a_choice("none", "float32") == "convolution"
    assert before_there_was_a_choice("none", "bfloat16") == "plain"
    assert before_there_was_a_choice("NVIDIA H100", "float32") == "plain"
