"""`python -m td3_hpc.supervision.readiness`: does a simulator really serve? Version, map, one tick and one frame.

A process of its own, since CARLA's client library may abort or hang with the server. Exits with 0 and one JSON line
({"version", "map", "frame", "seconds"}), or with 1 and the reason in one line on stderr. The world is left as it was
found, but for the ticks. It begins when its standard input says anything, or ends: to load the library takes time.
"""

import argparse
import json
import os
import queue
import sys
import time
from pathlib import Path
from typing import Any

import carla

from td3_hpc.spaces import FRAME_SHAPE


class NotReady(Exception):
    """What is still missing."""


def probe(host: str, port: int, town: str | None, timeout_s: float) -> dict[str, Any]:
    """What the server serves. Raises NotReady, or RuntimeError from the client, where it does not serve yet."""
    started = time.monotonic()
    client = carla.Client(host, port)
    client.set_timeout(timeout_s)
    version = client.get_server_version()
    world = client.get_world()
    name = world.get_map().name.rpartition("/")[2]
    if town is not None and name != Path(town).stem:
        raise NotReady(f"the map is {name}, not {Path(town).stem}")
    frame = _first_frame(world, started + timeout_s)
    return {"version": version, "map": name, "frame": frame, "seconds": round(time.monotonic() - started, 3)}


def _first_frame(world: carla.World, deadline: float) -> int:
    """The number of the first camera frame that arrives."""
    synchronous = world.get_settings().synchronous_mode
    blueprint = world.get_blueprint_library().find("sensor.camera.rgb")
    height, width = FRAME_SHAPE
    blueprint.set_attribute("image_size_x", str(width))
    blueprint.set_attribute("image_size_y", str(height))
    camera = world.spawn_actor(blueprint, world.get_spectator().get_transform())
    try:
        frames: queue.SimpleQueue[int] = queue.SimpleQueue()
        camera.listen(lambda image: frames.put(image.frame))
        while time.monotonic() < deadline:
            _advance(world, synchronous)
            try:
                return frames.get(timeout=0.5)
            except queue.Empty:
                continue  # the camera's stream may not have been open yet at that tick
        raise NotReady("no camera frame arrived")
    finally:
        camera.stop()
        camera.destroy()
        _advance(world, synchronous)


def _advance(world: carla.World, synchronous: bool) -> None:
    if synchronous:
        world.tick()
    else:
        world.wait_for_tick()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--town", help="name or OpenDRIVE file of the town that must be loaded; left out: any")
    parser.add_argument("--timeout", type=float, default=10.0, help="seconds for each call")
    options = parser.parse_args()
    sys.stdin.readline()
    try:
        print(json.dumps(probe(options.host, options.port, options.town, options.timeout)), flush=True)
    except (NotReady, RuntimeError) as error:
        print(" ".join(str(error).split()), file=sys.stderr, flush=True)
        os._exit(1)
    os._exit(0)  # not through the client's destructors, which wait for its threads


if __name__ == "__main__":
    main()
