"""The supervisor's heartbeat against sockets that answer, keep silent, refuse and talk rubbish."""

import socket
import threading
import time

import msgpack
import pytest

from td3_hpc.supervision.heartbeat import VersionCall


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        yield listener


@pytest.fixture
def call(listener):
    call = VersionCall(*listener.getsockname())
    yield call
    call.close()


def advance(call, until, seconds_each=0.1):
    for _ in range(200):
        call.advance(seconds_each)
        if until():
            return
        time.sleep(0.01)
    pytest.fail(f"version {call.version}, silent for {call.silent_s} s")


def answer_once(listener, answer):
    """In a thread: take one connection, read one request, send the answer."""

    def serve():
        connection, _ = listener.accept()
        with connection:
            request = msgpack.unpackb(connection.recv(4096))
            assert request[0] == 0
            assert request[2:] == ["version", [[False]]]
            connection.sendall(answer(request))
            connection.recv(1)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return thread


def test_the_version_is_read(listener, call):
    answer_once(listener, lambda request: msgpack.packb([1, request[1], None, [[1, "0.9.16"]]]))
    advance(call, lambda: call.version == "0.9.16")
    assert call.silent_s == 0
    call.advance(0.5)
    assert call.silent_s == 0, "the next question is not due yet"


def test_silence_is_counted(listener, call):
    advance(call, lambda: call.silent_s > 3)
    assert call.version is None


def test_refusal_counts_as_silence(listener, call):
    listener.close()
    advance(call, lambda: call.silent_s > 3)


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\xc1\xc1\xc1", msgpack.packb([1, 1, "no such function", None])],
    ids=["http", "not msgpack", "an error"],
)
def test_what_is_not_carlas_answer_is_no_version(listener, call, answer):
    answer_once(listener, lambda request: answer)
    advance(call, lambda: call.silent_s > 3)
    assert call.version is None


def test_a_suspended_supervisor_does_not_take_its_own_sleep_for_a_hang(listener, call):
    call.advance(0.1)
    call.advance(600.0)
    assert call.silent_s < 2


def test_silence_after_an_answer_is_counted(listener, call):
    thread = answer_once(listener, lambda request: msgpack.packb([1, request[1], None, [[1, "0.9.16"]]]))
    advance(call, lambda: call.version is not None)
    advance(call, lambda: call.silent_s > 1)
    thread.join(0)
