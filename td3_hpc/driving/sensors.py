"""What every sensor on the ego has in common, and the collision and lane-invasion sensors, read by a tick's frame.

Every sensor has a connection and a thread of its own in the client library, so its data arrives some time after
`world.tick()` has returned, in no fixed order. A reader therefore waits for the frame it wants, up to a deadline.
"""

import queue
import time
from typing import Any

import carla

_GRACE_S = 0.1
"""How long a collision event that the ego's surroundings announce may take to arrive."""
SOLID_MARKINGS = frozenset(("Solid", "SolidSolid", "SolidBroken", "BrokenSolid", "Curb", "Grass"))


class SensorTimeout(Exception):
    """The data of a frame did not arrive in time."""


class EgoSensor:
    """A sensor attached to the ego; it must be closed before the interpreter ends, which would abort otherwise."""

    def __init__(self, world: Any, ego: Any, blueprint: Any, mount: Any) -> None:
        self.actor = world.spawn_actor(blueprint, mount, attach_to=ego)

    def images(self) -> "queue.SimpleQueue[Any]":
        """Start listening; pictures arrive here."""
        images: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.actor.listen(images.put)
        return images

    def close(self) -> None:
        """Stop listening."""
        self.actor.stop()


def picture_of(frame: int, images: "queue.SimpleQueue[Any]", timeout_s: float) -> Any:
    """A camera's picture of a frame; older ones are dropped. Raises SensorTimeout."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            image = images.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            raise SensorTimeout(f"no camera picture of frame {frame} within {timeout_s:g} s") from None
        if image.frame == frame:
            return image
        if image.frame > frame:
            raise SensorTimeout(f"the camera skipped frame {frame}")


class CollisionSensor(EgoSensor):
    """Whether the ego collided: the server sends a message for every tick of a contact, else none."""

    def __init__(self, world: Any, ego: Any) -> None:
        blueprint = world.get_blueprint_library().find("sensor.other.collision")
        super().__init__(world, ego, blueprint, carla.Transform())
        self._last: Any = None
        self._events: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.actor.listen(self._events.put)

    def happened(self, announced: bool) -> bool:
        """Whether it collided since the last call.

        An event of this very tick may still be under way. Where the ego's surroundings announce one (another vehicle
        within reach, a jolt), it is waited for a moment, so that the same episode finds it in the same decision.
        """
        collided = False
        try:
            if announced:
                self._last = self._events.get(timeout=_GRACE_S)
                collided = True
            while True:
                self._last = self._events.get_nowait()
                collided = True
        except queue.Empty:
            return collided

    def touched(self) -> str | None:
        """The type of what it ran into last; may ask the simulator."""
        return str(self._last.other_actor.type_id) if self._last is not None else None


class LaneInvasionSensor(EgoSensor):
    """Lane markings that the ego crossed. The client library computes them itself when a tick's frame arrives."""

    def __init__(self, world: Any, ego: Any) -> None:
        blueprint = world.get_blueprint_library().find("sensor.other.lane_invasion")
        super().__init__(world, ego, blueprint, carla.Transform())
        self._queue: queue.SimpleQueue[tuple[int, frozenset[str] | None]] = queue.SimpleQueue()
        self.actor.listen(self._crossed)
        # Called after the sensor's own callback, by the same thread: once it has seen a frame, so has the sensor.
        self._world, self._callback = world, world.on_tick(self._ticked)

    def read(self, frame: int, timeout_s: float) -> list[frozenset[str]]:
        """The kinds of markings crossed in each event since the last call, up to a frame. Raises SensorTimeout."""
        deadline = time.monotonic() + timeout_s
        events: list[frozenset[str]] = []
        while True:
            try:
                number, markings = self._queue.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise SensorTimeout(f"the client did not handle frame {frame} within {timeout_s:g} s") from None
            if markings is not None:
                events.append(markings)
            elif number >= frame:
                return events

    def close(self) -> None:
        """Stop listening, to the world's ticks too."""
        self._world.remove_on_tick(self._callback)
        super().close()

    def _crossed(self, event: Any) -> None:
        self._queue.put((event.frame, frozenset(str(marking.type) for marking in event.crossed_lane_markings)))

    def _ticked(self, snapshot: Any) -> None:
        self._queue.put((snapshot.frame, None))
