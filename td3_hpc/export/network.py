"""The policy's network as ONNX."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from td3_hpc.spaces import ACTION, OBSERVATION
from td3_hpc.td3.networks import ActorNetwork


class _Exported(nn.Module):
    """The policy on arrays as they are stored: raw pixels and the rest."""

    def __init__(self, actor: ActorNetwork) -> None:
        super().__init__()
        self.actor = actor

    def forward(self, *arrays: Tensor) -> Tensor:
        """Actions (B, 2) of an array (B, ...) for each entry of the observation."""
        return self.actor(  # type: ignore[no-any-return]
            {entry.name: array.float() for entry, array in zip(OBSERVATION, arrays, strict=True)}
        )


def to_onnx(actor: ActorNetwork) -> Any:
    """The ModelProto of a policy in float32 whose encoder takes frames as they are: of one observation or of many."""
    example = tuple(torch.zeros((2, *entry.shape), dtype=_DTYPES[entry.dtype.name]) for entry in OBSERVATION)
    count = torch.export.Dim("observations")
    with _quiet():
        program = torch.onnx.export(
            _Exported(actor).eval(),
            example,
            dynamo=True,
            input_names=[entry.name for entry in OBSERVATION],
            output_names=[ACTION.name],
            dynamic_shapes=(tuple({0: count} for _ in OBSERVATION),),
            verbose=False,
        )
    assert program is not None
    return program.model_proto


def weights_of(actor: ActorNetwork) -> Mapping[str, Any]:
    """The weights by name, as NumPy arrays."""
    return {name: parameter.detach().cpu().numpy() for name, parameter in actor.named_parameters()}


_DTYPES = {"uint8": torch.uint8, "float32": torch.float32}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's remarks on libraries that are not there."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
