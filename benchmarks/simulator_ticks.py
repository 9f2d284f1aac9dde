"""The embedded simulator through the unmodified client, with 10, 30 and 100 moving vehicles and an 84 x 84 camera.

Ticks per second beside those of a stand-in that only sends recorded answers (the floor: the client, its Traffic
Manager and the sockets), and the processor time of server and client a tick.
"""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import psutil

from benchmarks.simulator_traffic import Traffic, running

VEHICLES, WARM_UP, ROUNDS = (10, 30, 100), 100, 15
TICKS = {10: 100, 30: 40, 100: 30}
PROMISED = 300
"""Ticks per second with the fewest vehicles."""


class Round(NamedTuple):
    """One round, by tick."""

    seconds: float
    server_ms: float
    """Processor time."""
    client_ms: float


def main() -> None:
    """Print the medians of each."""
    for vehicles in VEHICLES:
        with tempfile.TemporaryDirectory() as folder:
            record = Path(folder) / "record"
            with running("benchmarks.recording_server", "--to", str(record)) as (pid, port):
                _client(pid, port, vehicles)
            replaying = ("benchmarks.replaying_server", "--record", str(record), "--recorded-port", str(port))
            with running(*replaying) as (pid, port):
                floor = _client(pid, port, vehicles)
            with running("td3_hpc.simulator", "--synchronous") as (pid, port):
                found = _client(pid, port, vehicles)
        rates = [1.0 / each.seconds for each in found]
        print(
            f"  {vehicles} vehicles: {statistics.median(rates):.0f} ticks/s (slowest of {ROUNDS} rounds "
            f"{min(rates):.0f}{f', promised {PROMISED}' if vehicles == VEHICLES[0] else ''}), "
            f"floor {statistics.median(1.0 / each.seconds for each in floor):.0f}; processor time a tick: "
            f"server {statistics.median(each.server_ms for each in found):.2f} ms, "
            f"client {statistics.median(each.client_ms for each in found):.2f} ms "
            f"(against the stand-in {statistics.median(each.client_ms for each in floor):.2f} ms)",
            flush=True,
        )


def _client(pid: int, port: int, vehicles: int) -> list[Round]:
    """Rounds of a client in a process of its own."""
    program = f"from benchmarks.simulator_ticks import drive; drive({pid}, {port}, {vehicles})"
    told = subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.PIPE, text=True).stdout
    return [Round(*each) for each in json.loads(told.splitlines()[-1])]


def drive(pid: int, port: int, vehicles: int) -> None:
    """The client's part: prints its rounds as JSON."""
    traffic, ticks = Traffic(port, vehicles), TICKS[vehicles]
    server, client = psutil.Process(pid), psutil.Process()
    rounds = []
    for count in (WARM_UP, *[ticks] * ROUNDS):
        before, began = (_cpu_s(server), _cpu_s(client)), time.perf_counter()
        for _ in range(count):
            traffic.tick()
        seconds = (time.perf_counter() - began) / count
        used = [(_cpu_s(process) - start) / count * 1e3 for process, start in zip((server, client), before)]
        rounds.append(Round(seconds, *used))
    print(json.dumps(rounds[1:]), flush=True)
    with contextlib.suppress(OSError):
        os._exit(0)  # the stand-in has no answer to the client's farewell


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
