"""Networks, optimizers and generators as state trees, and back with every entry checked.

A tree is nested dictionaries of NumPy arrays and numbers. What is saved is copied, so training may go on meanwhile.
What is loaded must have the same names, shapes and types; ValueError names the first entry that does not fit.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from td3_hpc.td3.adam import Adam

Tree = dict[str, Any]


def to_array(tensor: Tensor) -> NDArray[Any]:
    """A copy on the CPU."""
    return np.array(tensor.detach().cpu().numpy())


def network_state(network: nn.Module) -> Tree:
    """Parameters by name."""
    return {name: to_array(tensor) for name, tensor in network.named_parameters()}


def load_network(network: nn.Module, tree: Mapping[str, Any], where: str) -> None:
    """The reverse of `network_state`; `where` begins the names in errors."""
    parameters = dict(network.named_parameters())
    check_names(parameters, tree, where)
    for name, parameter in parameters.items():
        _copy_into(parameter, tree[name], f"{where}.{name}")


def optimizer_state(optimizer: Adam, network: nn.Module) -> Tree:
    """Adam's moments and step counts by the name of the parameter they belong to."""
    return {
        name: {
            "step": int(optimizer.state[parameter].step.item()),
            "exp_avg": to_array(optimizer.state[parameter].exp_avg),
            "exp_avg_sq": to_array(optimizer.state[parameter].exp_avg_sq),
        }
        for name, parameter in network.named_parameters()
    }


def load_optimizer(optimizer: Adam, network: nn.Module, tree: Mapping[str, Any], where: str) -> None:
    """The reverse of `optimizer_state`."""
    parameters = dict(network.named_parameters())
    check_names(parameters, tree, where)
    for name, parameter in parameters.items():
        entry, moments = tree[name], optimizer.state[parameter]
        check_names(("step", "exp_avg", "exp_avg_sq"), entry, f"{where}.{name}")
        moments.step.fill_(check_count(entry["step"], f"{where}.{name}.step"))
        _copy_into(moments.exp_avg, entry["exp_avg"], f"{where}.{name}.exp_avg")
        _copy_into(moments.exp_avg_sq, entry["exp_avg_sq"], f"{where}.{name}.exp_avg_sq")


def load_torch_generator(generator: torch.Generator, state: object, where: str) -> None:
    """Continue a torch generator from the bytes of its state."""
    if not (isinstance(state, np.ndarray) and state.dtype == np.uint8):
        raise ValueError(f"{where}: must be an array of uint8")
    try:
        generator.set_state(torch.from_numpy(np.array(state)))
    except RuntimeError as error:
        raise ValueError(f"{where}: {error}") from None


def check_names(expected: Iterable[str], tree: object, where: str) -> None:
    """Exactly the expected names, no more and no fewer."""
    if not isinstance(tree, Mapping):
        raise ValueError(f"{where}: must be a group of entries")
    expected = set(expected)
    prefix = f"{where}." if where else ""
    for name in sorted(expected - tree.keys()):
        raise ValueError(f"{prefix}{name}: missing")
    for name in sorted(tree.keys() - expected):
        raise ValueError(f"{prefix}{name}: unknown")


def check_count(value: object, where: str) -> int:
    """A whole number, not negative."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 0:
        raise ValueError(f"{where}: must be a whole number of at least 0, found {value!r}")
    return int(value)


def _copy_into(tensor: Tensor, value: object, where: str) -> None:
    if not isinstance(value, np.ndarray):
        raise ValueError(f"{where}: must be an array")
    expected = np.dtype(str(tensor.dtype).removeprefix("torch."))
    if value.shape != tuple(tensor.shape) or value.dtype != expected:
        raise ValueError(f"{where}: {value.dtype} {value.shape}, expected {expected} {tuple(tensor.shape)}")
    with torch.no_grad():
        tensor.copy_(torch.from_numpy(np.array(value)))
