"""The embedded simulator's processor time a tick, by recorded calls answered in one process, against another version.

    BEFORE=/path/to/another/checkout python -m benchmarks simulator_server

The calls are those of a client whose Traffic Manager drives 10, 30 and 100 vehicles with one 84 x 84 camera. No sockets
are in the way, and the versions take turns. Both must send the same bytes.
"""

import contextlib
import hashlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgpack

OURS = Path(__file__).resolve().parent.parent
VEHICLES, WARM_UP, ROUNDS = (10, 30, 100), 100, 15
TICKS = {10: 300, 30: 200, 100: 100}
PROMISED = {10: 0.60, 30: 0.45, 100: 0.33}
"""Of what commit f7c596c takes."""


def main() -> None:
    """Print the medians."""
    trees = {"before": Path(os.environ["BEFORE"]).resolve()} if os.environ.get("BEFORE") else {}
    trees["now"] = OURS
    for vehicles in VEHICLES:
        with tempfile.TemporaryDirectory() as folder:
            calls = Path(folder) / "calls"
            record(vehicles, calls)
            found = _in_turn(trees, calls)
        for name, times in found.items():
            print(f"  {vehicles} vehicles, {name}: {statistics.median(times):.2f} ms of processor time a tick")
        if "before" in found:
            ratios = [now / before for before, now in zip(found["before"], found["now"])]
            lower, middle, upper = statistics.quantiles(ratios, n=4)
            print(
                f"  {vehicles} vehicles: {middle:.2f} of before (quartiles {lower:.2f} to {upper:.2f}, "
                f"promised {PROMISED[vehicles]:.2f})",
                flush=True,
            )


def record(vehicles: int, path: Path) -> None:
    """Write the calls of such a client, as msgpack."""
    from benchmarks.recording_server import Record
    from benchmarks.simulator_traffic import running

    recorded = path.with_suffix(".record")
    with running("benchmarks.recording_server", "--to", str(recorded)) as (_, port):
        program = f"from benchmarks.simulator_server import drive; drive({port}, {vehicles})"
        subprocess.run([sys.executable, "-c", program], check=True)
    path.write_bytes(msgpack.packb(Record.read(recorded).asked))


def drive(port: int, vehicles: int) -> None:
    """The client's part, in a process of its own."""
    from benchmarks.simulator_traffic import Traffic

    traffic = Traffic(port, vehicles)
    for _ in range(WARM_UP + TICKS[vehicles]):
        traffic.tick()
    traffic.close()


def _in_turn(trees: dict[str, Path], calls: Path) -> dict[str, list[float]]:
    """Milliseconds a tick of each version, round by round."""
    servers = {
        name: subprocess.Popen(
            [sys.executable, str(Path(__file__).resolve()), str(calls)], cwd=tree, text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(tree)},
        )
        for name, tree in trees.items()
    }  # fmt: skip
    found: dict[str, list[float]] = {name: [] for name in trees}
    for _ in range(ROUNDS + 1):
        sent = set()
        for name, server in servers.items():
            assert server.stdin is not None
            assert server.stdout is not None
            print("once more", file=server.stdin, flush=True)
            milliseconds, digest = server.stdout.readline().split()
            found[name].append(float(milliseconds))
            sent.add(digest)
        if len(sent) > 1:
            raise SystemExit("the versions do not send the same bytes")
    for server in servers.values():
        server.communicate()
    return {name: times[1:] for name, times in found.items()}


class _Subscriber:
    """Takes what a stream sends."""

    def __init__(self, sent: list[bytes]) -> None:
        self._sent = sent

    def send(self, message: bytes, lossless: bool) -> None:
        self._sent.append(message)


def answer(town: Any, calls: list[tuple[str, list[Any]]]) -> tuple[float, list[bytes]]:
    """Answer all calls in a new world; milliseconds of processor time a tick after the warm-up, and what it sent."""
    from td3_hpc.simulator.rpc import CallTable
    from td3_hpc.simulator.rpc.service import Service
    from td3_hpc.simulator.streams import Streams
    from td3_hpc.simulator.world import World

    world, sent = World(town, Streams()), list[bytes]()
    with contextlib.suppress(ImportError):  # once, a fresh world was synchronous
        from td3_hpc.simulator.settings import SYNCHRONOUS

        world.apply_settings(SYNCHRONOUS)
    table = CallTable(Service(world, 2000, None))
    ticks, began = 0, 0.0
    for name, arguments in calls:
        if not name:
            world.streams.subscribe(arguments[0], _Subscriber(sent))  # type: ignore[arg-type]
            continue
        if name == "tick_cue":
            ticks += 1
            if ticks == WARM_UP:
                began = time.process_time()
        sent.append(msgpack.packb([1, 0, None, table.answer(name, arguments)]))
        world.draw()
    return (time.process_time() - began) / (ticks - WARM_UP + 1) * 1e3, sent


def _serve(path: Path) -> None:
    """Once more for each line of the standard input."""
    import cv2

    from td3_hpc.simulator.towns import load_town

    cv2.setNumThreads(1)
    calls, town = msgpack.unpackb(path.read_bytes(), strict_map_key=False), load_town("Brookfield", None)
    for _ in sys.stdin:
        milliseconds, sent = answer(town, calls)
        print(milliseconds, hashlib.sha256(b"".join(sent)).hexdigest(), flush=True)


if __name__ == "__main__":
    sys.path[0] = os.getcwd()  # the version to measure
    _serve(Path(sys.argv[1]))
