"""Traffic lights and signs: the turns of each junction, which light a vehicle stands at, where it gives way."""

import math
from collections.abc import Iterable
from typing import Generic, TypeVar

from td3_hpc.simulator.actors import GREEN, TrafficLight, Vehicle
from td3_hpc.simulator.geometry import OrientedBox, angle_between
from td3_hpc.simulator.towns.town import ALL_RED_S, GREEN_S, YELLOW_S, SignalGroup, Town

RED, YELLOW = 0, 1
_CELL_M = 4.0
_REACTION_S, _BRAKING = 0.5, 4.0
"""How a vehicle stops that is told to let others in: after this time, with this deceleration, m/s²."""
_ROUNDING_S = 1e-6  # A sum of steps misses a whole number of seconds by this at most.


class LightGroup:
    """The lights of one junction: its phases take turns, each green, then yellow, then all lights are red.

    The times of a phase are those of its lights. A colour that a client sets lasts until the next change.
    """

    def __init__(self, group: SignalGroup, lights: dict[str, TrafficLight]) -> None:
        self.phases = [[lights[signal_id] for signal_id in phase] for phase in group.phases]
        self.lights = [light for phase in self.phases for light in phase]
        for light in self.lights:
            light.green_s, light.yellow_s, light.red_s = GREEN_S, YELLOW_S, ALL_RED_S
        self.frozen = False
        self.reset()

    def reset(self) -> None:
        """Start with the first phase anew."""
        self._phase, self._colour, self._elapsed_s = 0, GREEN, 0.0
        for light in self.lights:
            _set(light, RED)
        self._show()

    def step(self, dt: float) -> None:
        """Advance by `dt` seconds."""
        if self.frozen:
            return
        for light in self.lights:
            light.elapsed_s += dt
        self._elapsed_s += dt
        if self._elapsed_s >= self._duration() - _ROUNDING_S:
            self._elapsed_s = 0.0
            if self._colour == RED:
                self._phase, self._colour = (self._phase + 1) % len(self.phases), GREEN
            else:
                self._colour = YELLOW if self._colour == GREEN else RED
            self._show()

    def phase_of(self, light: TrafficLight) -> list[TrafficLight]:
        """The lights that are green together with this one."""
        return next(phase for phase in self.phases if light in phase)

    def freeze(self, frozen: bool) -> None:
        self.frozen = frozen
        for light in self.lights:
            light.frozen = frozen

    def _duration(self) -> float:
        light = self.phases[self._phase][0]
        return {GREEN: light.green_s, YELLOW: light.yellow_s, RED: light.red_s}[self._colour]

    def _show(self) -> None:
        for number, phase in enumerate(self.phases):
            for light in phase:
                _set(light, self._colour if number == self._phase else RED)


def _set(light: TrafficLight, colour: int) -> None:
    if light.colour != colour:
        light.colour, light.elapsed_s = colour, 0.0


class StopBoxes:
    """Tells vehicles which light they stand at, and where they must give way.

    A vehicle at a stop or yield sign is shown red without a light, as CARLA does: the Traffic Manager then lets
    vehicles take turns at the junction. So, while one waits there or crosses, are those that come to that junction on
    other lanes and can still stop: the Traffic Manager knows of no turn but among those that were shown red, and two
    that meet in the middle of a junction block each other for good.
    """

    def __init__(self, town: Town, lights: dict[str, TrafficLight]) -> None:
        self._lights = _Boxes[TrafficLight]()
        for site in town.traffic_lights:
            for box in site.stop_boxes:
                self._lights.add(box, lights[site.signal_id])
        self._roads = [junction.roads for junction in town.give_way]
        self._signed, self._unsigned = _Boxes[int](), _Boxes[tuple[int, OrientedBox]]()
        for number, junction in enumerate(town.give_way):
            for box in junction.signed:
                self._signed.add(box, number)
            for box in junction.unsigned:
                self._unsigned.add(box, (number, box))
        self._busy = self._lights.cells() | self._signed.cells() | self._unsigned.cells()

    def show_to(self, vehicles: Iterable[Vehicle]) -> None:
        """Tell each vehicle the light in whose stop box its front is; green where there is none.

        One that a light has stopped a little late, its front over the line, is held by it as long as its middle is
        in the box: otherwise it would drive on at red.
        """
        taken: set[int] = set()
        coming: list[tuple[Vehicle, int]] = []
        for vehicle in vehicles:
            pose, front = vehicle.pose, vehicle.extent[0]
            yaw = math.radians(pose.yaw)
            x, y = pose.x + front * math.cos(yaw), pose.y + front * math.sin(yaw)
            if (
                (math.floor(x / _CELL_M), math.floor(y / _CELL_M)) not in self._busy
                and not vehicle.light_id
                and vehicle.gave_way_at is None
            ):
                vehicle.light_state = GREEN  # as for most vehicles
                continue
            light = self._lights.at(x, y, pose.z, pose.yaw)
            if light is None and vehicle.light_id and vehicle.light_state != GREEN:
                held_by = self._lights.at(pose.x, pose.y, pose.z, pose.yaw)
                light = held_by if held_by is not None and held_by.id == vehicle.light_id else None
            vehicle.light_id = light.id if light else 0
            before, vehicle.light_state = vehicle.light_state, light.colour if light else GREEN
            if light is None and self._roads:
                self._give_way(vehicle, x, y, before == RED, taken, coming)
        for vehicle, junction in coming:
            if junction in taken:
                vehicle.light_state = RED

    def _give_way(
        self, vehicle: Vehicle, x: float, y: float, waits: bool, taken: set[int], coming: list[tuple[Vehicle, int]]
    ) -> None:
        """Red at a sign; else note which junction the vehicle crosses (`taken`), or could still stop at (`coming`)."""
        signed = self._signed.at(x, y, vehicle.pose.z, vehicle.pose.yaw)
        if signed is not None:
            vehicle.light_state, vehicle.gave_way_at = RED, signed
        elif vehicle.gave_way_at is not None:
            crosses = vehicle.ground is not None and vehicle.ground.road_id in self._roads[vehicle.gave_way_at]
            vehicle.gave_way_at = vehicle.gave_way_at if crosses else None
        if vehicle.gave_way_at is not None:
            taken.add(vehicle.gave_way_at)
            return
        unsigned = self._unsigned.at(x, y, vehicle.pose.z, vehicle.pose.yaw)
        if unsigned is not None:
            junction, box = unsigned
            left = box.extent[0] - box.centre.offset_of(x, y)[0]
            if waits or left > vehicle.speed * (_REACTION_S + vehicle.speed / (2.0 * _BRAKING)):
                coming.append((vehicle, junction))


_Content = TypeVar("_Content")


class _Boxes(Generic[_Content]):
    """What the boxes around a place hold."""

    def __init__(self) -> None:
        self._cells: dict[tuple[int, int], list[tuple[OrientedBox, _Content]]] = {}

    def add(self, box: OrientedBox, content: _Content) -> None:
        for cell in _cells(box):
            self._cells.setdefault(cell, []).append((box, content))

    def cells(self) -> set[tuple[int, int]]:
        """Outside of these there is no box."""
        return set(self._cells)

    def at(self, x: float, y: float, z: float, yaw: float) -> _Content | None:
        """The content of the first box at a place on the road that is for vehicles of that direction.

        Vehicles that come the other way, and cut a corner, may touch it too.
        """
        for box, content in self._cells.get((math.floor(x / _CELL_M), math.floor(y / _CELL_M)), ()):
            if box.contains(x, y, z + 0.5) and abs(angle_between(box.centre.yaw, yaw)) < 90.0:
                return content
        return None


def _cells(box: OrientedBox) -> set[tuple[int, int]]:
    xs, ys = zip(*box.corners())
    columns = range(math.floor(min(xs) / _CELL_M), math.floor(max(xs) / _CELL_M) + 1)
    rows = range(math.floor(min(ys) / _CELL_M), math.floor(max(ys) / _CELL_M) + 1)
    return {(column, row) for column in columns for row in rows}
