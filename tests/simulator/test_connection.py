"""Whatever arrives on the RPC port: only its own connection may suffer."""

import msgpack
import pytest

from tests.conftest import SimulatorServer
from tests.simulator.protocol import RawClient


@pytest.mark.parametrize(
    "nonsense",
    [
        pytest.param(b"\xc1", id="a byte that msgpack never uses"),
        pytest.param(msgpack.packb(7), id="no list"),
        pytest.param(msgpack.packb([0, 1, "version"]), id="too short"),
        pytest.param(msgpack.packb([9, 1, "version", [[False]]]), id="unknown kind"),
        pytest.param(msgpack.packb([0, "one", "version", [[False]]]), id="id is no number"),
        pytest.param(msgpack.packb([0, 1, 5, [[False]]]), id="name is no text"),
        pytest.param(b"\xdd\xff\xff\xff\xff", id="a list of four billion"),
        pytest.param(b"\x91" * 100_000, id="nested without end"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="a web browser"),
    ],
)
def test_a_malformed_message_ends_its_own_connection_only(hamlet_server: SimulatorServer, nonsense: bytes):
    with RawClient(hamlet_server.port) as healthy, RawClient(hamlet_server.port) as broken:
        broken.socket.sendall(nonsense)
        with pytest.raises(ConnectionError):
            broken.receive()
        assert healthy.call("version") == "0.9.16"


def test_messages_may_come_in_pieces_and_several_at_once(hamlet_server: SimulatorServer):
    request = [msgpack.packb([0, number, "version", [[False]]]) for number in (1, 2)]
    with RawClient(hamlet_server.port) as client:
        client.socket.sendall(request[0] + request[1][:4])
        assert client.receive()[1] == 1
        client.socket.sendall(request[1][4:])
        assert client.receive()[1] == 2


def test_a_notification_gets_no_answer(hamlet_server: SimulatorServer):
    with RawClient(hamlet_server.port) as client:
        client.socket.sendall(msgpack.packb([2, "version", [[False]]]))
        assert client.call("version") == "0.9.16"


def test_an_unknown_function_is_named_in_the_error(hamlet_server: SimulatorServer):
    with RawClient(hamlet_server.port) as client:
        error, _ = client.request("make_coffee", 1, 2)
        assert error == "rpclib: server could not find function 'make_coffee' with argument count 2."


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("get_actors_by_id", (5,)),
        ("get_actors_by_id", ([[1]],)),
        ("spawn_actor", (5, [[0, 0, 0], [0, 0, 0]])),
        ("tick_cue", (1, 2, 3)),
        ("set_episode_settings", ([],)),
        ("apply_batch", (5, False)),
        ("apply_control_to_vehicle", ()),
        ("set_weather_parameters", (None,)),
    ],
)
def test_wrong_arguments_are_an_error_of_that_call(hamlet_server: SimulatorServer, name: str, arguments: tuple):
    with RawClient(hamlet_server.port) as client:
        error, result = client.request(name, *arguments)
        assert error is not None
        assert name in error
        assert result is None
        assert client.call("version") == "0.9.16"


def send_many(deaf: RawClient, requests: bytes, times: int, other: RawClient) -> None:
    for _ in range(times):
        deaf.socket.sendall(requests)
        other.call("version")  # the server has had time to answer


def test_a_client_that_does_not_read_is_dropped(hamlet_server: SimulatorServer):
    with RawClient(hamlet_server.port) as deaf, RawClient(hamlet_server.port) as other:
        answer = len(msgpack.packb(other.call("get_actor_definitions")))
        request = msgpack.packb([0, 1, "get_actor_definitions", [[False]]])
        deaf.socket.settimeout(30)
        with pytest.raises(ConnectionError):
            send_many(deaf, request * 50, 2 * (256 << 20) // answer // 50, other)
        assert other.call("version") == "0.9.16"
