"""Hashes of every message of the embedded simulator over 500 ticks with 10, 30 and 100 vehicles, against those kept.

A message may differ between kinds of processor, whose vector units round differently; so the hashes are kept by kind in
`simulator_messages.json`. `python -m benchmarks.simulator_messages --write` keeps those of this machine anew.
"""

import hashlib
import json
import struct
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import carla
import msgpack
import torch

from benchmarks.recording_server import Record
from benchmarks.simulator_traffic import Traffic, running
from td3_hpc.simulator import wire

VEHICLES, TICKS = (10, 30, 100), 500
KEPT = Path(__file__).with_suffix(".json")
_KINDS = (
    "tesla.model3", "audi.tt", "mini.cooper_s", "nissan.patrol", "mercedes.sprinter", "carlamotors.firetruck",
    "kawasaki.ninja", "bh.crossbike",
)  # fmt: skip
_SENSORS = (
    "camera.depth", "camera.semantic_segmentation", "camera.instance_segmentation", "other.imu", "other.gnss",
    "other.collision", "other.obstacle",
)  # fmt: skip


def main() -> None:
    """Compare, or keep anew."""
    found = {str(vehicles): hashes(vehicles) for vehicles in VEHICLES}
    kept = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {}
    kind = torch.backends.cpu.get_cpu_capability()
    if "--write" in sys.argv:
        KEPT.write_text(json.dumps({**kept, kind: found}, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        print(f"  kept for {kind}")
    elif kind not in kept:
        sys.exit(f"no hashes are kept for a processor of the kind {kind}")
    else:
        _compare(found, kept[kind])


def _compare(found: dict[str, dict[str, str]], kept: dict[str, dict[str, str]]) -> None:
    for vehicles, now in found.items():
        names = sorted(now.keys() | kept[vehicles].keys())
        changed = [name for name in names if now.get(name) != kept[vehicles].get(name)]
        print(f"  {vehicles} vehicles: {'changed: ' + ', '.join(changed) if changed else 'all as kept'}")
    if found != kept:
        sys.exit("messages have changed")


def hashes(vehicles: int) -> dict[str, str]:
    """SHA-256 of the answers by function, and of every stream's messages by kind.

    The server's port is left out, and an answer that repeats the last one of its function counts once: how often the
    client asks for the settings is a matter of time.
    """
    last: dict[str, bytes] = {}
    digests: dict[str, hashlib._Hash] = defaultdict(hashlib.sha256)
    record, port = recorded(vehicles)
    for name, data in _messages(record):
        if last.get(name) != data:
            digests[name].update(data.replace(wire.token(0, port + 1)[4:], wire.token(0, 0)[4:]))
        last[name] = data
    return {name: digest.hexdigest() for name, digest in sorted(digests.items())}


def recorded(vehicles: int) -> tuple[Record, int]:
    """All that the server sends while the traffic drives, and its port."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "record"
        with running("benchmarks.recording_server", "--to", str(path)) as (_, port):
            program = f"from benchmarks.simulator_messages import drive; drive({port}, {vehicles})"
            subprocess.run([sys.executable, "-c", program], check=True)
        return Record.read(path), port


def drive(port: int, vehicles: int) -> None:
    """The client's part, in a process of its own: the second half in rain."""
    traffic = Traffic(port, vehicles, _KINDS, _SENSORS)
    for tick in range(TICKS):
        if tick == TICKS // 2:
            traffic.world.set_weather(carla.WeatherParameters.HardRainSunset)
        traffic.tick()
    traffic.close()


def _messages(record: Record) -> list[tuple[str, bytes]]:
    """What each message is called, and its content: an answer without its call's number."""
    found = []
    for kind, key, data in record.sent:
        if kind == "answer":
            _, number, failure, result = msgpack.unpackb(data)
            found.append((record.names[key, number], msgpack.packb([failure, result])))
        else:
            (sensor,) = struct.unpack_from("<Q", data, 4)
            found.append((f"stream {key} of kind {sensor}", data))
    return found


if __name__ == "__main__":
    main()
