"""The readiness probe, as the supervisor runs it."""

import json
import subprocess
import sys
import time

import carla
import pytest

from td3_hpc.supervision import ports

TOWN = "Hamlet"


@pytest.fixture(scope="module")
def server():
    """The port of a running embedded simulator."""
    block = ports.reserve(0)
    command = [sys.executable, "-m", "td3_hpc.simulator", "--port", str(block.first), "--town", TOWN, "--synchronous"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert "ready" in process.stdout.readline()
        yield block.first
    finally:
        process.kill()
        process.communicate()
        block.close()


def probe(port, *options):
    command = [sys.executable, "-m", "td3_hpc.supervision.readiness", "--host", "127.0.0.1", "--port", str(port)]
    began = time.monotonic()
    finished = subprocess.run(
        [*command, *options], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )
    return finished, time.monotonic() - began


def test_a_serving_simulator_is_ready_and_left_as_it_was(server):
    client = carla.Client("127.0.0.1", server)
    client.set_timeout(10)
    world = client.get_world()
    world.tick()  # a new client knows the actors from the first tick that it sees
    before, settings = {actor.id for actor in world.get_actors()}, world.get_settings()

    finished, seconds = probe(server, "--town", TOWN)
    assert finished.returncode == 0, finished.stderr
    result = json.loads(finished.stdout.splitlines()[-1])
    assert (result["version"], result["map"]) == ("0.9.16", TOWN)
    assert result["frame"] > 0
    assert seconds < 10

    world.tick()
    assert {actor.id for actor in world.get_actors()} == before
    assert world.get_settings() == settings


def test_another_map_is_not_ready(server):
    finished, _ = probe(server, "--town", "maps/Brookfield.xodr")
    assert finished.returncode == 1
    assert finished.stderr.splitlines()[-1] == f"the map is {TOWN}, not Brookfield"


def test_nobody_there_is_not_ready():
    block = ports.reserve(0)
    finished, seconds = probe(block.first, "--timeout", "0.5")
    block.close()
    assert finished.returncode == 1
    assert "time-out" in finished.stderr
    assert seconds < 10
