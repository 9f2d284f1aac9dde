"""CARLA's world settings."""

from dataclasses import dataclass, fields
from typing import Any

from td3_hpc.simulator.wire import Refused

MAX_STEP_S = 10.0
STEP_S = 0.05
"""A step where none is fixed. In asynchronous mode as much real time passes, but none of it enters a message."""


@dataclass(frozen=True, slots=True)
class EpisodeSettings:
    """In the order of the wire; the defaults are those of a fresh server of CARLA.

    Only the first three change what this simulator does; the others are kept for the client.
    """

    synchronous_mode: bool = False
    no_rendering_mode: bool = False
    fixed_delta_seconds: float | None = None
    substepping: bool = True
    max_substep_delta_time: float = 0.01
    max_substeps: int = 10
    max_culling_distance: float = 0.0
    deterministic_ragdolls: bool = True
    tile_stream_distance: float = 3000.0
    actor_active_distance: float = 2000.0
    spectator_as_ego: bool = True

    @property
    def step_seconds(self) -> float:
        """Simulated seconds of one step."""
        return self.fixed_delta_seconds or STEP_S

    def to_wire(self) -> list[Any]:
        values = [getattr(self, field.name) for field in fields(self)]  # astuple() takes twenty times as long
        values[2] = [False] if self.fixed_delta_seconds is None else [True, self.fixed_delta_seconds]
        return values

    @staticmethod
    def from_wire(values: list[Any]) -> "EpisodeSettings":
        """Raises Refused for a step that is no time."""
        fixed = float(values[2][1]) if values[2][0] else 0.0
        if not 0.0 <= fixed <= MAX_STEP_S:
            raise Refused(f"fixed_delta_seconds must be between 0 and {MAX_STEP_S:g}, not {fixed}")
        return EpisodeSettings(bool(values[0]), bool(values[1]), fixed or None, *values[3:11])


FRESH = EpisodeSettings()
"""Of a server that has just started, and of a world that is loaded with `reset_settings`, as in CARLA."""
SYNCHRONOUS = EpisodeSettings(synchronous_mode=True, fixed_delta_seconds=STEP_S)
"""Time stands still until a client ticks, so that no step depends on when a client came."""
