"""A pre-trained encoder as a file: its weights, and where they come from."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from td3_hpc.checkpoint.errors import CheckpointDamaged
from td3_hpc.checkpoint.hdf5_file import read_tree, tree_image, write_file
from td3_hpc.config import AgentConfig
from td3_hpc.durable import sync_directory
from td3_hpc.errors import BadInput

DESCRIPTIONS = {
    "encoder": ("name in td3_hpc/td3/encoders.py", ""),
    "weights": ("the encoder's parameters", ""),
    "weights/*": ("a parameter", "1"),
    "config": ("the resolved configuration that it was trained with", "YAML"),
    "figures": ("what it says on episodes that it was not fitted to", ""),
    "figures/*": ("see docs/seeing.md", ""),
}


@dataclass(frozen=True)
class EncoderFile:
    """What the file holds."""

    encoder: str
    """Its name in `td3.encoders`."""
    weights: Mapping[str, Any]
    """Arrays by the parameters' names."""
    config: str
    """The resolved configuration of its drives, YAML."""
    figures: Mapping[str, float]
    """How well it does on episodes that it was not fitted to."""


def write_encoder(path: Path, content: EncoderFile) -> None:
    """Put it at path, atomically."""
    tree = {
        "encoder": content.encoder,
        "weights": dict(content.weights),
        "config": content.config,
        "figures": dict(content.figures),
    }
    write_file(path, tree_image(tree, DESCRIPTIONS))
    sync_directory(path.absolute().parent)


def read_encoder(path: Path) -> EncoderFile:
    """What is in the file at path. Raises BadInput where it is missing, damaged or something else."""
    if not path.is_file():
        raise BadInput(f"agent.pretrained: {path}: no such file; make it with td3-hpc pretrain, or correct the path")
    try:
        tree = read_tree(path)
        return EncoderFile(str(tree["encoder"]), tree["weights"], str(tree["config"]), tree["figures"])
    except (CheckpointDamaged, KeyError) as error:
        raise BadInput(f"agent.pretrained: {path}: not a pre-trained encoder, or damaged ({error})") from None


def refuse_untrained(config: AgentConfig) -> None:
    """Raise BadInput where `agent.encoder` has to be trained beforehand, and `agent.pretrained` names no file."""
    from td3_hpc.td3.encoders import encoder_named

    if config.pretrained is None and encoder_named(config.encoder).needs_pretraining:
        raise BadInput(
            f"agent.pretrained: encoder {config.encoder} says nothing until it is trained: make a file with td3-hpc "
            f"pretrain CONFIG -O FILE, and name it with -o agent.pretrained=FILE"
        )


def weights_for(config: AgentConfig) -> Mapping[str, Any]:
    """The weights that an agent's CNNs begin with (`agent.pretrained`). Raises BadInput where they are of another
    encoder than `agent.encoder`, or the file is not there."""
    assert config.pretrained is not None, "the caller has asked"
    content = read_encoder(config.pretrained)
    if content.encoder != config.encoder:
        raise BadInput(
            f"agent.pretrained: {config.pretrained}: of encoder {content.encoder}, and agent.encoder is "
            f"{config.encoder}; set agent.encoder to {content.encoder}"
        )
    return content.weights
