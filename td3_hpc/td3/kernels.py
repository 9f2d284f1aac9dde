"""How the CNN is computed: equal sums in another order, chosen by the processor from a table measured beforehand.

`python -m benchmarks kernels` measures a processor and prints its rows. A choice changes the last bits of a result, so
a run keeps its own for its whole life: it stands in every checkpoint, and is among what exactness rests on.
"""

import os
from dataclasses import dataclass

import torch

from td3_hpc.errors import BadInput


@dataclass(frozen=True)
class Kernels:
    """One way to compute `encoders.NatureCNN`."""

    rows: int = 1
    """Rows of pixels that lie side by side as channels (see `inputs.PixelBuffer`); a convolution whose stride is as
    many is the same one on them. With 16 input channels, not four, oneDNN's AVX2 kernels reach the matrix rate."""
    convolution: bool = False
    """The last layer as a convolution over its whole input, otherwise as a matrix product."""


KERNELS = {"plain": Kernels(), "convolution": Kernels(convolution=True), "rows": Kernels(rows=4)}
"""By the name that configuration, record and checkpoint give them."""
DEVICES = {"plain": ("cpu", "cuda"), "convolution": ("cpu",), "rows": ("cpu",)}


@dataclass(frozen=True)
class Measured:
    """A row of the table: what was fastest where."""

    processor: str
    """Instruction set, as `processor_kind` tells it."""
    torch: tuple[int, int]
    """Version of PyTorch."""
    threads: int
    precision: str
    fastest: str
    """Name in `KERNELS`."""


TABLE = (
    Measured("AVX2", (2, 13), 1, "float32", "rows"),
    Measured("AVX2", (2, 13), 2, "float32", "rows"),
    Measured("AVX512", (2, 13), 1, "float32", "convolution"),
    Measured("AVX512", (2, 13), 2, "float32", "convolution"),
    Measured("AVX512", (2, 13), 1, "bfloat16", "plain"),
    Measured("AVX512", (2, 13), 2, "bfloat16", "plain"),
)
"""The AVX512 rows were measured on an AMD EPYC with AVX-512 and bf16, AVX2 with one thread on one without them. AVX2
with two threads was not measured: the same is taken."""

_BELOW_AVX512 = ("SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX2_VNNI_2")
_WITHOUT_BFLOAT16 = ("AVX512_CORE", "AVX512_CORE_VNNI")


def processor_kind() -> str:
    """AVX512, AVX2, or what else PyTorch computes with; ATEN_CPU_CAPABILITY and ONEDNN_MAX_CPU_ISA hold it back."""
    kind = torch.backends.cpu.get_cpu_capability()
    return "AVX2" if kind == "AVX512" and _onednn_limit() in _BELOW_AVX512 else kind


def computes_bfloat16(device: torch.device) -> bool:
    """Whether the hardware multiplies in bfloat16; where it does not, PyTorch imitates it, many times slower."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    held_back = processor_kind() == "AVX2" or _onednn_limit() in _WITHOUT_BFLOAT16
    return not held_back and bool({"avx512_bf16", "amx_bf16", "bf16"} & _processor_flags())


def choose(wanted: str, saved: str | None, device: torch.device, precision: str, threads: int) -> str:
    """The kernels of a run: those that are asked for, else the checkpoint's, else the table's.

    `wanted`: a name in `KERNELS` or `auto`; `saved`: what the run has computed with so far, None for a new one. Those
    that the device cannot run are chosen anew. Raises BadInput where they are asked for.
    """
    if wanted != "auto":
        if device.type not in DEVICES[wanted]:
            raise BadInput(
                f"training.kernels: {wanted} are for the CPU, and this run is on {device.type}; set it to auto"
            )
        return wanted
    if saved in KERNELS and device.type in DEVICES[saved]:
        return saved
    return fastest(device, precision, threads)


def fastest(device: torch.device, precision: str, threads: int) -> str:
    """The table's answer for this machine.

    What is not in it is taken for the nearest that is: a processor that is not AVX-512's for the AVX2 kind, then the
    nearest version of PyTorch, then the nearest number of threads. A GPU needs no table: there is one way.
    """
    if device.type == "cuda":
        return "plain"
    kind = processor_kind() if processor_kind() == "AVX512" else "AVX2"
    rows = [row for row in TABLE if (row.processor, row.precision) == (kind, precision)]
    major, minor = (int(part) for part in torch.__version__.split(".")[:2])

    def distance(row: Measured) -> tuple[int, int]:
        return abs(100 * (row.torch[0] - major) + row.torch[1] - minor), abs(row.threads - threads)

    return min(rows, key=distance).fastest if rows else "plain"


def before_there_was_a_choice(accelerator: str, precision: str) -> str:
    """What a checkpoint that names no kernels was computed with; `accelerator`: as its provenance has it."""
    return "convolution" if (accelerator, precision) == ("none", "float32") else "plain"


def _onednn_limit() -> str:
    return os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper()


def _processor_flags() -> set[str]:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            lines = [line for line in file if line.startswith(("flags", "Features"))]
    except OSError:
        return set()
    return set(lines[0].split(":", 1)[1].split()) if lines else set()
