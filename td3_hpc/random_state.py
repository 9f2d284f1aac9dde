"""NumPy generators as plain state trees, so that a checkpoint needs no pickle."""

from collections.abc import Mapping
from typing import Any

import numpy as np


def generator_state(generator: np.random.Generator) -> dict[str, Any]:
    """The state of a PCG64 generator; its 128-bit integers as decimal strings, which fit no NumPy type."""
    state = generator.bit_generator.state
    if state["bit_generator"] != "PCG64":
        raise ValueError(f"only PCG64 generators are saved, not {state['bit_generator']}")
    return {
        "state": str(state["state"]["state"]),
        "increment": str(state["state"]["inc"]),
        "has_uint32": int(state["has_uint32"]),
        "uinteger": int(state["uinteger"]),
    }


def load_generator_state(generator: np.random.Generator, tree: Mapping[str, Any], name: str) -> None:
    """Continue `generator` where `tree` (from `generator_state`) left off; ValueError says what is wrong in `name`."""
    try:
        generator.bit_generator.state = {
            "bit_generator": "PCG64",
            "state": {"state": int(tree["state"]), "inc": int(tree["increment"])},
            "has_uint32": int(tree["has_uint32"]),
            "uinteger": int(tree["uinteger"]),
        }
    except KeyError as error:
        raise ValueError(f"{name}: entry {error} is missing") from None
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{name}: {error}") from None
