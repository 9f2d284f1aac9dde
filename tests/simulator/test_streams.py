"""The streaming port."""

import socket
import struct

from tests.conftest import SimulatorServer
from tests.simulator.protocol import WORLD_HEADER, RawClient, RawStream


def test_a_late_subscriber_gets_the_last_world_frame_at_once(hamlet_server: SimulatorServer):
    with RawClient(hamlet_server.port) as client:
        client.fresh()
        frame = client.call("tick_cue")
        with client.world_stream() as stream:
            header = WORLD_HEADER.unpack(stream.receive()[: WORLD_HEADER.size])
            assert header[0] == 17
            assert header[1] == frame
            assert header[9] == client.call("get_episode_info")[0]


def test_an_unknown_stream_stays_open_and_silent(hamlet_server: SimulatorServer):
    with RawClient(hamlet_server.port) as client, RawStream(hamlet_server.port + 1, 999_999) as stream:
        client.fresh()
        client.call("tick_cue")
        stream.socket.settimeout(0.3)
        try:
            received = stream.socket.recv(1)
        except TimeoutError:
            received = b"silent"
        assert received == b"silent"


def test_a_destroyed_sensors_stream_stays_open_and_silent(hamlet_server: SimulatorServer):
    with RawClient(hamlet_server.port) as client:
        client.fresh()
        camera = client.spawn("sensor.camera.rgb", [[0, 0, 5], [0, 0, 0]], image_size_x="8", image_size_y="6")
        with client.subscribe(camera[5]) as stream:
            frame = client.call("tick_cue")
            payload = stream.receive()
            assert struct.unpack("<QQ", payload[:16]) == (13, frame)
            assert len(payload) == 48 + 12 + 4 * 8 * 6
            client.call("destroy_actor", camera[0])
            client.call("tick_cue")
            stream.socket.settimeout(0.3)
            try:
                received = stream.socket.recv(1)
            except TimeoutError:
                received = b"silent"
            assert received == b"silent"


def test_nonsense_and_hang_ups_leave_the_others_alone(hamlet_server: SimulatorServer):
    with RawClient(hamlet_server.port) as client:
        client.fresh()
        with client.world_stream() as stream:
            stream.receive()
            for sent in (b"", b"\x01", b"\xff" * 100, struct.pack("<I", 1) + b"more"):
                with socket.create_connection(("127.0.0.1", hamlet_server.port + 1)) as other:
                    other.sendall(sent)
            frame = client.call("tick_cue")
            assert struct.unpack("<QQ", stream.receive()[:16]) == (17, frame)
