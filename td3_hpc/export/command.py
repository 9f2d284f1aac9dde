"""`td3-hpc export`: from a checkpoint to a folder of files, checked against the agent before they are written."""

from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

import td3_hpc
from td3_hpc.behaviour import BEHAVIOUR
from td3_hpc.checkpoint import Checkpoint, open_checkpoint
from td3_hpc.config import CONFIG_FILE, StageConfig, load_resolved
from td3_hpc.driving.observation import vector
from td3_hpc.durable import replace_file
from td3_hpc.errors import BadInput, UserError
from td3_hpc.export.card import model_card
from td3_hpc.export.description import FORMAT, KEY, Description, arrays
from td3_hpc.export.network import to_onnx, weights_of
from td3_hpc.export.onnx_file import weights_digest
from td3_hpc.export.policy import FILE, Policy
from td3_hpc.replay import ReplayBuffer
from td3_hpc.spaces import IMAGE
from td3_hpc.td3 import TD3Agent

WEIGHTS, CARD = "policy.safetensors", "MODEL_CARD.md"
OBSERVATIONS = 256
"""Stored ones that the file is tried on."""
CLOSE = 1e-5
"""How far its actions may be from the agent's."""


def export(path: Path, output: Path) -> list[Path]:
    """Write a checkpoint's policy into a folder; returns the files. `path`: a run directory, or a manifest.

    Raises BadInput where there is no checkpoint or its networks are not the configuration's, UserError where the file's
    actions are not the agent's.
    """
    checkpoint = open_checkpoint(path)
    if output.exists() and not output.is_dir():
        raise BadInput(f"{output}: is a file; name a folder with -O")
    config = load_resolved(checkpoint.run_dir / CONFIG_FILE)
    state = checkpoint.state()
    agent = TD3Agent(config.agent.model_copy(update={"precision": "float32"}), "cpu", 0, kernels="plain")
    try:
        agent.load_state(state["agent"])
    except ValueError as error:
        raise BadInput(f"{path}: its networks are not those of its configuration ({error})") from None
    model = to_onnx(agent.actor)
    description = _describe(checkpoint, config, state["provenance"], weights_digest(model))
    entry = model.metadata_props.add()
    entry.key, entry.value = KEY, description.model_dump_json()
    content = model.SerializeToString(deterministic=True)
    observations = stored_observations(checkpoint, OBSERVATIONS)
    difference = float(np.abs(Policy(content, description).actions(observations) - agent.actions(observations)).max())
    if not difference <= CLOSE:
        raise UserError(f"{path}: the exported policy's actions differ by {difference:.2g}; nothing was written")
    texts = {KEY: description.model_dump_json()}
    files = {
        FILE: content,
        WEIGHTS: safetensors.numpy.save(dict(weights_of(agent.actor)), texts),
        CARD: model_card(checkpoint.run_dir, config, description, difference, len(observations[IMAGE.name])).encode(),
    }
    try:
        output.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            replace_file(output / name, data)
    except OSError as error:
        raise BadInput(f"{output}: cannot be written ({error.strerror}); give another folder with -O") from None
    return [output / name for name in files]


def stored_observations(checkpoint: Checkpoint, most: int) -> dict[str, NDArray[Any]]:
    """Up to so many observations (n, ...) that the run has stored last. Raises BadInput where there is none."""
    first_row, blocks = checkpoint.newest_rows(4 * most)  # an episode's first rows may lack their frames
    count = sum(len(block["flags"]) for block in blocks)
    buffer = ReplayBuffer(max(count, 2), np.random.default_rng(0))
    if count:
        buffer.restore(first_row, blocks)
    whole = buffer.oldest(count)
    if not len(whole):
        raise BadInput(f"{checkpoint.run_dir}: its checkpoint holds no stored observation to try the policy on")
    return buffer.observations(whole[np.linspace(0, len(whole) - 1, min(most, len(whole))).astype(int)])


def _describe(checkpoint: Checkpoint, config: StageConfig, provenance: dict[str, Any], weights: str) -> Description:
    return Description(
        format=FORMAT,
        weights_sha256=weights,
        **arrays(),
        decision_seconds=config.environment.decision_seconds,
        environment=config.environment.model_dump(mode="json"),
        vector={
            "speed_m_s": config.environment.speed_range,
            "lateral_m": vector.LATERAL_RANGE,
            "heading_deg": vector.HEADING_RANGE,
            "waypoint_margin_m": vector.WAYPOINT_MARGIN,
            "waypoint_spacing_m": config.environment.route.waypoint_spacing_m,
        },
        origin={
            "stage": config.name,
            "step": checkpoint.manifest.step,
            "seed": config.seed,
            "simulator": config.simulator.kind,
            "checkpoint": checkpoint.manifest.name,
            "version": td3_hpc.__version__,
            "behaviour": int(provenance.get("behaviour", BEHAVIOUR)),
            "code_sha256": str(provenance.get("code_sha256", "")),
        },
    )
