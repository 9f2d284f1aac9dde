"""Traffic lights: the phases of each junction, and which light a vehicle stands at."""

import math
from collections.abc import Iterable

from td3_hpc.simulator.actors import TrafficLight, Vehicle
from td3_hpc.simulator.geometry import OrientedBox
from td3_hpc.simulator.town import ALL_RED_S, GREEN_S, YELLOW_S, SignalGroup, Town

RED, YELLOW, GREEN, OFF = 0, 1, 2, 3
_CELL_M = 20.0


class LightGroup:
    """The lights of one junction: its phases take turns, each green, then yellow, then all red."""

    def __init__(self, group: SignalGroup, lights: dict[str, TrafficLight]) -> None:
        self.phases = [[lights[signal_id] for signal_id in phase] for phase in group.phases]
        self.lights = [light for phase in self.phases for light in phase]
        self.green_s, self.yellow_s, self.red_s = GREEN_S, YELLOW_S, ALL_RED_S
        self.reset()

    def reset(self) -> None:
        """Start the first phase anew."""
        self._phase, self._elapsed = 0, 0.0
        self._show()

    def step(self, dt: float) -> None:
        """Advance by `dt` seconds."""
        self._elapsed += dt
        # Summed ticks of 0.05 s miss a whole number of seconds by rounding.
        if self._elapsed >= self.green_s + self.yellow_s + self.red_s - 1e-6:
            self._phase, self._elapsed = (self._phase + 1) % len(self.phases), 0.0
        self._show()

    def _show(self) -> None:
        elapsed = self._elapsed + 1e-6
        active = GREEN if elapsed < self.green_s else YELLOW if elapsed < self.green_s + self.yellow_s else RED
        for number, phase in enumerate(self.phases):
            for light in phase:
                light.state = active if number == self._phase else RED
                light.elapsed = self._elapsed


class StopBoxes:
    """Finds the light whose stop box a point is in."""

    def __init__(self, town: Town, lights: dict[str, TrafficLight]) -> None:
        self._cells: dict[tuple[int, int], list[tuple[OrientedBox, TrafficLight]]] = {}
        for site in town.traffic_lights:
            for box in site.stop_boxes:
                for cell in _cells(box):
                    self._cells.setdefault(cell, []).append((box, lights[site.signal_id]))

    def light_at(self, x: float, y: float, z: float) -> TrafficLight | None:
        """The light that a vehicle with its middle here stands at."""
        here = self._cells.get((math.floor(x / _CELL_M), math.floor(y / _CELL_M)), ())
        return next((light for box, light in here if box.contains(x, y, z)), None)

    def show_to(self, vehicles: Iterable[Vehicle]) -> None:
        """Tell each vehicle the light that it stands at; green where it stands at none."""
        for vehicle in vehicles:
            light = self.light_at(vehicle.pose.x, vehicle.pose.y, vehicle.pose.z + 0.5)
            vehicle.light_id = light.id if light else 0
            vehicle.light_state = light.state if light else GREEN


def _cells(box: OrientedBox) -> set[tuple[int, int]]:
    xs, ys = zip(*box.corners())
    columns = range(math.floor(min(xs) / _CELL_M), math.floor(max(xs) / _CELL_M) + 1)
    rows = range(math.floor(min(ys) / _CELL_M), math.floor(max(ys) / _CELL_M) + 1)
    return {(column, row) for column in columns for row in rows}
